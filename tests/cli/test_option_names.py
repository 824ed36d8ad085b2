"""Messages of the library name arguments (`batch_size`), those of the commands options (--batch-size)."""

import ast
import re
import signal
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import dacse_cli
from dacse_cli.cli.app import app, main
from dacse_cli.cli.usage import with_options
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import OutputError, UsageError

ROOT = Path(dacse_cli.__file__).parent
ALLOWED = {
    "pip install --no-deps resemblyzer && pip install webrtcvad-wheels librosa scipy",
    "Install it: pip install --no-deps resemblyzer && pip install webrtcvad-wheels librosa scipy",
    "Convert the model with ct2-transformers-converter --quantization float16.",
}
"""Commands of other programs, which a user of the library types, too."""
ARGUMENT = re.compile(r"`([a-z_]+)(?:=[^`]+)?`")
LIMITS = [
    (ModelOptions(dtype="int3"), "dtype"),
    (ModelOptions(kv="int3"), "kv"),
    (ModelOptions(beam=0), "beam"),
    (ModelOptions(expansion="all"), "expansion"),
    (ModelOptions(batch_size=0), "batch_size"),
    (ChunkOptions(seconds=-1.0), "chunk"),
    (ChunkOptions(overlap=1.0), "overlap"),
    (SoundOptions(channels="two"), "channels"),
    (SoundOptions(rate=3), "rate"),
    (SoundOptions(format="raw"), "format"),
    (SoundOptions(guard="some"), "guard"),
    (SoundOptions(mix=2.0), "mix"),
    (SoundOptions(method="magic"), "method"),
    (SoundOptions(profile="wild"), "profile"),
    (SoundOptions(loudness="loud"), "loudness"),
    (SoundOptions(loudness=3.0), "loudness"),
    (SoundOptions(true_peak=3.0), "true_peak"),
]


def options(command=None) -> set[str]:
    """Every option of a command and of those below it."""
    command = command or get_command(app)
    own = {word for parameter in command.params for word in (*parameter.opts, *parameter.secondary_opts)}
    return own.union(*(options(below) for below in getattr(command, "commands", {}).values()))


def messages(path: Path) -> list[str]:
    """The strings of a module but its docstrings; what an f-string fills in is `{}`."""
    tree = ast.parse(path.read_text())
    passed = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            passed |= set(map(id, node.values))
            found.append("".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values))
    return found + [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in passed
    ]


LIBRARY = [path for path in ROOT.rglob("*.py") if path.relative_to(ROOT).parts[0] != "cli"]


@pytest.mark.parametrize(("wrong", "argument"), LIMITS, ids=lambda value: str(value)[-30:])
def test_the_library_names_the_argument_and_the_command_the_option(wrong, argument):
    with pytest.raises(UsageError, match=f"^`{argument}` ") as caught:
        wrong.check()
    option = f"--{argument.replace('_', '-')}"
    typed = with_options(caught.value.message)
    assert typed.startswith(f"{option} ") and "`" not in typed
    assert option in options(get_command(app).commands["enhance"])


def test_every_limit_is_tried_above():
    named = {name for text in messages(ROOT / "config.py") for name in ARGUMENT.findall(text)}
    assert named == {argument for _, argument in LIMITS} | {"strength"}  # tried in test_library


def test_a_command_says_it_in_one_line(monkeypatch, capsys, tmp_path):
    words = ["dacse", "enhance", str(tmp_path), str(tmp_path / "out"), "--model", "nano"]
    monkeypatch.setattr(sys, "argv", [*words, "--batch-size", "0", "--overlap", "1.5"])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit):
        main()
    said = capsys.readouterr().err
    assert "dacse: --batch-size must be a whole number of at least 1, not 0; --overlap must be" in said


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ('Use `format="wav"`.', "Use --format wav."),
        ("of 3 files none is left by `filters` *.wav", "of 3 files none is left by --filter *.wav"),
        ("`codes_format` txt holds codes only", "--format txt holds codes only"),
        ('Use `model.units="latents"`.', "Use --set model.units=latents."),
        ("a folder: `start=runs/first try`.", "a folder: --from runs/first try."),
        ("without clean ones, give `clean=None`.", "without clean ones, give --no-reference."),
        ('run `dacse download a/b`, or `codec="a/b"`', "run `dacse download a/b`, or --codec a/b"),
        ("a``rate``.wav: no such file", "a``rate``.wav: no such file"),
    ],
)
def test_how_an_argument_is_typed(text, typed):
    assert with_options(text) == typed


def test_no_message_of_the_library_names_an_option():
    every = [(str(path), text) for path in LIBRARY for text in messages(path) if text not in ALLOWED]
    assert [(path, text) for path, text in every if re.search(r"--[a-z]", text)] == []


def test_every_argument_named_is_an_option_of_a_command():
    """A name that no command has would be printed as an option that cannot be typed."""
    known = options()
    for path in LIBRARY:
        for text in messages(path):
            for argument in re.finditer(r"`[a-z_]+(\.[a-z_.]+)?(=[^`]+)?`", text):
                assert with_options(argument[0]).split()[0] in known, f"{path}: {argument[0]}"


def test_hints_are_translated_too(monkeypatch, capsys):
    def fail(**_):
        raise OutputError("no space in `x y`", hint='choose `format="flac"`')

    monkeypatch.setattr("dacse_cli.cli.app.app", fail)
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == "dacse: no space in `x y`\n  Choose --format flac.\n"
