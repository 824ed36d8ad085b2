"""What reaches stdout and stderr, whoever listens: a terminal, a pipe, a closed pipe, a full disk, nobody."""

import contextlib
import io
import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from dacse_cli.cli import app as entry
from dacse_cli.cli.batch.launch import say_how_to_go_on
from dacse_cli.cli.options.run import Batch
from dacse_cli.cli.outlet import Outlet
from dacse_cli.cli.render.results import console
from dacse_cli.cli.render.screen import Screen
from dacse_cli.cli.render.table import Table
from dacse_cli.config import ModelOptions
from dacse_cli.errors import UsageError
from dacse_cli.pipeline.wire.events import Detail, Ended, Planned, Progress, Stage
from dacse_cli.pipeline.wire.outcome import Outcome, Result, Summary

DONE = Result("in/a.wav", "out/a.wav", Outcome.DONE, seconds=1.0)
LATER = Result("in/b.wav", "out/b.wav", Outcome.NOT_REACHED, "stopped", "the run was stopped")

RUN = """
import sys
from dacse_cli.cli.render.screen import Screen
from dacse_cli.pipeline.wire.events import *
from dacse_cli.pipeline.wire.outcome import *
screen = Screen(json="--json" in sys.argv)
results = [Result(f"in/{i}.wav", f"out/{i}.wav", Outcome.DONE, seconds=1.0) for i in range(2000)]
with screen:
    screen.tell(Planned(2000, 2000.0))
    screen.tell(Stage("enhancing"))
    for result in results:
        screen.tell(Ended(result))
screen.summary(Summary(results, elapsed=1.0))
sys.exit(7 if screen.results.lost else 5)
"""


def run(*args, **kwargs):
    return subprocess.Popen([sys.executable, "-c", RUN, *args], text=True, **kwargs)


def test_results_stay_on_stdout_while_a_bar_moves_on_stderr():
    """Rich redirects stdout to the terminal of its bars: `--json > results.jsonl` then stays empty."""
    terminal, other = pty.openpty()
    process = run("--json", stdout=subprocess.PIPE, stderr=other)
    os.close(other)
    threading.Thread(target=drain, args=(terminal,), daemon=True).start()
    out, _ = process.communicate(timeout=60)
    assert len([json.loads(line) for line in out.splitlines()]) == 2001


def drain(terminal):
    """A terminal that nobody reads holds up who writes to it."""
    with contextlib.suppress(OSError), open(terminal, "rb", buffering=0) as screen:
        while screen.read(4096):
            pass


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_closed_pipe_does_not_stop_the_run(stream):
    """`dacse enhance ... | head -1`: Rich ends the process with status 1, whatever is still to do."""
    process = run(**{"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: subprocess.PIPE})
    getattr(process, stream).close()
    assert process.wait(timeout=60) == 5


@pytest.mark.parametrize(("args", "redirect", "code"), [
    ([], "1>&-", 5), ([], "2>&-", 5), (["--json"], "1>&-", 5), (["--json"], "1>/dev/full", 7),
])  # fmt: skip
def test_closed_streams_are_ignored_and_full_disks_reported(args, redirect, code):
    command = ["bash", "-c", f'exec "$@" {redirect}', "bash", sys.executable, "-c", RUN, *args]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


def screen_with(monkeypatch, **kwargs):
    out, err = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stdout", out)
    monkeypatch.setattr(sys, "stderr", err)
    return Screen(**kwargs), out, err


def test_json_has_a_line_for_every_input_even_if_not_reached(monkeypatch):
    screen, out, err = screen_with(monkeypatch, json=True)
    for result in (DONE, LATER):
        screen.tell(Ended(result))
    screen.summary(Summary([DONE, LATER], elapsed=1.0, stopped_by=2))
    *files, summary = map(json.loads, out.getvalue().splitlines())
    assert [file["outcome"] for file in files] == ["done", "not-reached"]
    assert summary["inputs"] == len(files)
    assert err.getvalue() == ""


@pytest.mark.parametrize(("stopped_by", "overwrite", "keeps_chunks", "says"), [
    (2, False, True, "stopped; run the same command again to continue where this run stopped\n"),
    (15, False, False, "stopped; run the same command again to do the rest\n"),
    (2, True, True, ""),  # it would begin again
    (None, False, True, ""),
])  # fmt: skip
def test_a_stopped_run_says_how_to_continue(monkeypatch, stopped_by, overwrite, keeps_chunks, says):
    """ "not-reached 4" was all that Ctrl-C left."""
    screen, _, err = screen_with(monkeypatch)
    request = Batch(overwrite=overwrite).request("enhance", ["in"], "out", ModelOptions())
    summary = Summary([DONE, LATER], stopped_by=stopped_by, keeps_chunks=keeps_chunks)
    say_how_to_go_on(request, summary, screen)
    say_how_to_go_on(request, replace(summary, results=[DONE]), screen)  # nothing is left
    assert err.getvalue() == says


@pytest.mark.parametrize(("command", "says"), [
    (["train", "lm"], "stopped; run the same command again to continue\n"),
    (["evaluate"], ""),
    ([], ""),
])  # fmt: skip
def test_a_stopped_training_says_how_to_continue(monkeypatch, capsys, command, says):
    monkeypatch.setattr(sys, "argv", ["dacse", *command])
    monkeypatch.setattr(entry, "app", lambda **_: entry._stop(15, None))
    with pytest.raises(SystemExit) as end:
        entry.main()
    assert end.value.code == 143
    assert capsys.readouterr().err == says


def test_a_signal_works_while_soundfile_drops_exceptions(monkeypatch):
    """Ctrl-C while `dacse try` encoded its page printed a traceback, and the command went on to its end."""

    class Interrupted(io.BytesIO):
        def write(self, data):
            if not self.tell():
                signal.raise_signal(signal.SIGTERM)
            return super().write(data)

    before = signal.signal(signal.SIGTERM, entry._stop)
    unraisable = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)

    def write():
        soundfile.write(Interrupted(), np.zeros(100), 8000, format="RAW", subtype="PCM_16")
        time.sleep(10)

    try:
        with pytest.raises(SystemExit) as end:
            write()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert end.value.code == 143
    assert not unraisable


def test_control_characters_in_details_are_escaped(monkeypatch):
    """A traceback holds file names, a dead worker's last words hold anything."""
    screen, _, err = screen_with(monkeypatch, verbose=True)
    screen.tell(Detail("Traceback:\n  in/\x1b[2J.wav\x9b"))
    assert err.getvalue() == "Traceback:\n  in/\\x1b[2J.wav\\x9b\n"


def test_no_bars_without_a_terminal(monkeypatch):
    """Workflows set FORCE_COLOR for everything they run; their logs then filled with cursor movements."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    screen, _, err = screen_with(monkeypatch)
    with screen:
        screen.tell(Planned(1, 1.0))
        screen.tell(Stage("enhancing"))
        screen.download("[/]model.safetensors", 1, 2)
        screen.download("[/]model.safetensors", 2, 2)
        screen.download("[/]model.safetensors", 2, 2)
    assert "\x1b[?25l" not in err.getvalue()
    assert err.getvalue().count("fetched [/]model.safetensors") == 1


def test_a_hint_for_many_inputs_is_shown_once(monkeypatch):
    """Batches showed none: the supervisor dropped them."""
    screen, _, err = screen_with(monkeypatch)
    with screen:
        for name in ("a.wav", "b.wav"):
            screen.tell(
                Ended(Result(name, name, Outcome.FAILED, "format", "cannot hold it", "Use --format wav."))
            )
    assert err.getvalue().count("cannot hold it") == 2
    assert err.getvalue().count("Use --format wav.") == 1


def test_an_unknown_length_is_not_shown_as_zero(monkeypatch):
    """Runs on object stores read "0:12/0:00"."""
    screen, _, err = screen_with(monkeypatch)
    monkeypatch.setattr("dacse_cli.cli.render.screen.PLAIN_EVERY", -1.0)
    with screen:
        screen.tell(Planned(3, None))
        screen.tell(Stage("enhancing"))
        screen.tell(Progress(12.0, 6.0))
    assert "0:00" not in err.getvalue() and "0:12" in err.getvalue()


def test_an_outlet_keeps_its_first_error(tmp_path):
    with open("/dev/full", "w") as full:
        outlet = Outlet(full)
        outlet.write("x")
        outlet.flush()
        outlet.write("y")
        assert outlet.error.errno == 28


def test_the_line_on_the_model_comes_when_work_begins(tmp_path, capsys, monkeypatch):
    """Before an error about a missing input it would hide the one line that matters."""
    monkeypatch.setattr("dacse_cli.hub.choice.has_gpu", lambda: False)
    with pytest.raises(UsageError, match="no such file"):
        CliRunner().invoke(entry.app, ["enhance", str(tmp_path / "gone"), "out"], catch_exceptions=False)
    assert "model nano" not in capsys.readouterr().err
    screen = Screen()
    screen.note_later("model nano")
    assert capsys.readouterr().err == ""
    for _ in range(2):
        screen.tell(Planned(1, 2.0))
    assert capsys.readouterr().err.count("dacse: model nano") == 1


def test_no_line_of_a_table_ends_in_blanks(capsys):
    table = Table("title", right=(1,))
    table.add_row("a", "1", "x")
    table.add_row("long", "200", "")
    console(Outlet(sys.stdout)).print(table)
    assert capsys.readouterr().out == "title\na       1  x\nlong  200\n"


def test_steps_before_a_training_say_how_long_they_take(monkeypatch, capsys):
    """Decoding a corpus took ten minutes without a line where there was no terminal."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    screen = Screen()
    for done in range(1, 5):
        screen.prepared("decoding recordings", done, 100)
        now[0] += 20
    assert capsys.readouterr().err.splitlines() == ["decoding recordings  3/100  32:20 left"]


@pytest.mark.parametrize(("steps", "place"), [(200, "100/200"), (0, "100 steps, 50%")])
def test_a_training_says_how_far_it_is_and_what_is_left(steps, place, monkeypatch, capsys):
    """It showed no time left, and a stage that ends by the clock `100/0`."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    screen = Screen()
    for step in (50, 100):
        screen.trained("distance", step, steps, step / 200, "loss 0.05")
        now[0] += 40
    assert capsys.readouterr().err.splitlines()[-1] == f"distance  {place}  1:20 left  loss 0.05"
