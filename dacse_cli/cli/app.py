"""The `dacse` command: its subcommands, and how errors become messages and exit codes."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, ClassVar, NoReturn

import typer

from dacse_cli import __version__
from dacse_cli.cli.lazy import Later, LazyGroup
from dacse_cli.cli.outlet import Outlet
from dacse_cli.cli.settings import any_variable, collect, fitted, nested, of_file
from dacse_cli.cli.usage import CLICK_ERROR, lines, with_options
from dacse_cli.errors import DacseError
from dacse_cli.files.names import quoted, shown

_BATCH, _LOOK, _PREPARE = "Enhance", "Look", "Prepare and train"


class _Dacse(LazyGroup):
    """All commands, in the order of `dacse --help`."""

    later: ClassVar = {
        "enhance": Later(
            "batch.enhance:enhance",
            "Enhance noisy speech: audio or token files in, enhanced ones out",
            _BATCH,
        ),
        "try": Later(
            "commands.try_out:try_", "Compare three strengths on a recording's noisiest seconds", _BATCH
        ),
        "watch": Later("batch.watch:watch", "Enhance files that appear in a folder, until Ctrl-C", _BATCH),
        "serve": Later("commands.serve:serve", "Serve a page and an HTTP API on this computer", _BATCH),
        "tokenize": Later(
            "batch.tokenize:tokenize", "Turn audio into token files: a codec's codes or latents", _BATCH
        ),
        "detokenize": Later("batch.detokenize:detokenize", "Turn token files back into audio", _BATCH),
        "inspect": Later(
            "commands.inspect:inspect",
            "Show what a file holds: format, length, level, channels, codes",
            _LOOK,
        ),
        "evaluate": Later(
            "commands.evaluate:evaluate",
            "Score enhanced speech: DNSMOS, PESQ, STOI, word error and more",
            _LOOK,
        ),
        "status": Later("commands.status:status", "Show what an output folder holds, and what failed", _LOOK),
        "doctor": Later("commands.doctor:doctor", "Show what this installation can do", _LOOK),
        "models": Later("commands.models:models", "List models: built in, in the cache, published", _LOOK),
        "download": Later(
            "commands.download:download", "Fetch a model and its codec into the local cache", _PREPARE
        ),
        "mix": Later("commands.mix:mix", "Make noisy/clean pairs for training from clean speech", _PREPARE),
        "train": Later("train.group:app", "Train models, or estimate memory and time", _PREPARE),
    }


app = typer.Typer(
    name="dacse",
    cls=_Dacse,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="Turn folders of noisy speech into clean speech with DAC-SE1.",
    epilog="Options can also be set in dacse.toml, in \\[tool.dacse] of a pyproject.toml, or in variables "
    "such as DACSE_MODEL. The command line has priority, then the variable, then the file.\n\n"
    "Exit codes: 0 done, 1 bug, 2 usage, 3 some inputs failed, 4 no input, 5 model, 6 output, "
    "7 folder in use, 8 device, 130/143 stopped.",
)


def _print_version(value: bool) -> None:
    if value:
        typer.echo(f"dacse {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Options before the command."""
    said = of_file(Path.cwd())
    if said and not {"-q", "--quiet"} & set(sys.argv[1:]):
        _say(f"settings from {said}")
    if not said and not any_variable(os.environ):
        return  # no other command is imported
    commands = dict(_commands_of(context.command))
    options = {name: _options_of(command) for name, command in commands.items()}
    parameters = {name: {one.name: one for one in command.params} for name, command in commands.items()}
    values = collect(options, Path.cwd(), os.environ)
    context.default_map = nested(fitted(values, options, parameters))


def _commands_of(group: Any, above: str = "") -> Iterator[tuple[str, Any]]:
    """Every command with its full name, such as `train lm`."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands_of(command, f"{above}{name} ")
        else:
            yield f"{above}{name}", command


def _options_of(command: Any) -> dict[str, str]:
    """A command's options: long name without dashes -> name of the parameter."""
    words = [(word, parameter.name) for parameter in command.params for word in parameter.opts]
    return {word[2:]: name for word, name in words if word.startswith("--")}


_CONTINUES = {"download", "mix", "train"}
"""Commands that continue where they were stopped. The batch commands print a message of their own."""


class _Stopped(SystemExit):
    """Raised when a signal asks the process to end."""


def _stop(number: int, frame: FrameType | None) -> None:
    """Raise `_Stopped`. While soundfile runs, try again later: its callbacks from C drop exceptions."""
    if any(one.f_globals.get("__name__") == "soundfile" for one, _ in traceback.walk_stack(frame)):
        threading.Timer(0.01, _signal_self, (number,)).start()
    else:
        raise _Stopped(128 + number)


def _signal_self(number: int) -> None:
    if sys.platform == "win32":
        signal.raise_signal(number)  # os.kill would end the process without calling its handlers
    else:
        os.kill(os.getpid(), number)  # also interrupts a blocking call of the main thread


def main() -> None:
    """Entry point. Never shows a traceback for an error that a user can cause."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:  # nohup ignores SIGHUP
            signal.signal(number, _stop)
    if _verbose():
        logging.basicConfig(format="dacse: %(message)s")
        logging.getLogger("dacse_cli").setLevel(logging.INFO)
    try:
        sys.exit(app(prog_name="dacse", standalone_mode=False))
    except CLICK_ERROR as error:
        _say(*lines(error))
        sys.exit(2)
    except typer.Abort:
        sys.exit(130)
    except _Stopped:
        if _CONTINUES.intersection(sys.argv[1:2]):
            _say("stopped; run the same command again to continue")
        raise
    except DacseError as error:
        _say(with_options(f"dacse: {error.message}"), with_options(f"  {error.hint}") if error.hint else None)
        sys.exit(error.exit_code)
    except OSError as error:
        _fail(error)
    except Exception as error:
        _bug(error)


def _fail(error: OSError) -> None:
    """Report a path that cannot be used; any other error of the operating system is a bug."""
    from dacse_cli.files.problems import concerns_name, reason

    if error.filename is None or not concerns_name(error):
        _bug(error)
    _say(f"dacse: {quoted(os.fsdecode(error.filename))}: {reason(error)}")
    sys.exit(2)


def _bug(error: Exception) -> NoReturn:
    if _verbose():
        _say(*traceback.format_exc().splitlines())
    _say(f"dacse: a bug: {type(error).__name__}: {error}")
    _say("  Run it again with -v and report the output.")
    sys.exit(1)


def _say(*lines: str | None) -> None:
    stderr = Outlet(sys.stderr)
    stderr.write("".join(f"{shown(line)}\n" for line in lines if line))
    stderr.flush()


def _verbose() -> bool:
    return any(word in ("-v", "--verbose") for word in sys.argv[1:])
