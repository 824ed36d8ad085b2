"""Names that are no Unicode, too long for a suffix, or patterns, commands and markup to somebody.

The figure (R18): raw control characters shown, crashes, outputs misnamed, over 60 names and 12 terminals:

    pytest tests/reliability/test_odd_names.py
"""

import io
import os
import re
import sys
import unicodedata

import fake_children
import pytest
from test_runs import enhance, record

from dacse_cli.cli.render.screen import Screen
from dacse_cli.pipeline.wire.events import Ended
from dacse_cli.pipeline.wire.outcome import Outcome, Result, Summary

BIDI_CONTROLS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
ODD = [
    b" leading.wav",
    b"two  spaces.wav",
    b"tab\t.wav",
    b"quote'\".wav",
    b"$HOME.wav",
    b"%s%n.wav",
    b"star*.wav",
    b"what?.wav",
    b"new\nline.wav",
    b"return\r.wav",
    b"\x1b[2J\x1b]0;title\x07.wav",
    b"\xc2\x9b31m.wav",
    "‮gpj.wav".encode(),
    b"[red]x.wav",
    b"[bold].wav",
    b"[link=http:x]y.wav",
    b":boom:.wav",
    "é.wav".encode(),
    "日本 🎤.wav".encode(),
    b"\xff\xfe.wav",
    b"-rf.wav",
    b"--output.wav",
    b"CON.wav",
    b"a:b.wav",
    b"trailing..wav",
    b"back\\slash.wav",
    b"x" * 247 + b".wav",
    "é".encode() * 123 + b".wav",
    # 60 in all: one of each kind of what a disk allows
    b"bell\x07.wav",
    b"backspace\x08\x08\x08.wav",
    b"delete\x7f.wav",
    b"shift\x0e.wav",
    b"vertical\x0b.wav",
    b"form\x0c.wav",
    b"\x1b]8;;http:x\x1b\\link.wav",
    b"\x1bP1$r0m\x1b\\.wav",
    b"\x1b[?1049h.wav",
    b"\xc2\x85next.wav",
    b"\xc2\x90dcs.wav",
    "isolate\u2066x\u2069.wav".encode(),
    "mark\u200fx\u061c.wav".encode(),
    "line\u2028x\u2029.wav".encode(),
    "\ufeffbom.wav".encode(),
    "zero\u200bwidth\u200d.wav".encode(),
    "n\u0303.wav".encode(),
    "z\u0300\u0301\u0302\u0303\u0304.wav".encode(),
    "\U000e0041tag.wav".encode(),
    "عربي.wav".encode(),
    "👩‍👩‍👧.wav".encode(),
    b"\xed\xa0\x80surrogate.wav",
    b"\xc0\xaf.wav",
    b"latin\xe9.wav",
    b"[blink][b][i].wav",
    b"[@click=app.bell]x.wav",
    b"\\[red].wav",
    b"{0}{name}.wav",
    b"`id`;$(id)&&|.wav",
    b"~.wav",
    b"#.wav",
    b"<script>.wav",
]


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch):
    fake_children.install(monkeypatch.setattr)


def test_odd_names_go_through_unchanged(tmp_path):
    source = record(tmp_path / "in [1]", *ODD)
    record(source / ".hidden", "x.wav")
    record(source, "._resource.wav")
    summary = enhance(source, tmp_path / "out")
    assert summary.counts["done"] == len(ODD) == 60
    names = {name for name in os.listdir(os.fsencode(tmp_path / "out")) if name != b".dacse"}
    assert names == set(ODD)
    assert summary.ignored >= 1


@pytest.mark.parametrize("terminal", ["plain", "colour", "ascii"])
@pytest.mark.parametrize("columns", ["0", "10", "abc", "80"])
def test_no_name_reaches_the_terminal_raw(monkeypatch, columns, terminal):
    """A name that clears the screen, hides what follows it, or makes the tool die of markup."""
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setenv("FORCE_COLOR" if terminal == "colour" else "NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    shown = io.BytesIO()
    encoding = "ascii" if terminal == "ascii" else "utf-8"
    stream = io.TextIOWrapper(shown, encoding, errors="backslashreplace")  # as the command sets its own
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, stream)
    results = [
        Result(os.fsdecode(name), os.fsdecode(b"out/" + name), outcome, "text", os.fsdecode(name))
        for name in [*ODD, b"[red]x[/].wav", b"[/].wav"]
        for outcome in (Outcome.DONE, Outcome.WARNED, Outcome.FAILED)
    ]
    with Screen(verbose=True) as screen:
        for result in results:
            screen.tell(Ended(result))
        screen.summary(Summary(results))
    stream.flush()
    text = shown.getvalue().decode(encoding)
    plain = re.sub(r"\x1b\[[0-9;?]*m", "", text) if terminal == "colour" else text
    assert not [c for c in plain if c != "\n" and unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    assert not [c for c in plain if unicodedata.bidirectional(c) in BIDI_CONTROLS]
    expected = ["[red]x[/].wav", ":boom:.wav", "new\\nline.wav", "\\xff\\xfe.wav"]
    for name in [*expected, *(["日本 🎤.wav"] if terminal != "ascii" else [])]:
        assert name in plain
    assert len([line for line in plain.splitlines() if line.startswith(("done", "failed"))]) >= len(ODD)
