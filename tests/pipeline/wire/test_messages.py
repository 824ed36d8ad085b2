"""Messages between processes: what is sent is what arrives, and nothing else is taken."""

import json
from pathlib import Path

import pytest

from dacse_cli.audio.info import AudioInfo, AudioScan
from dacse_cli.config import ChunkOptions, SoundOptions
from dacse_cli.pipeline.wire.coding import CodingError
from dacse_cli.pipeline.wire.failures import Failure
from dacse_cli.pipeline.wire.guard_report import GuardReport, Stretch
from dacse_cli.pipeline.wire.messages import (
    End,
    Failed,
    Form,
    Keep,
    Load,
    Look,
    Ready,
    Seen,
    Work,
    decode,
    encode,
)
from dacse_cli.pipeline.wire.model_plan import ModelPlan, Part
from dacse_cli.pipeline.wire.outcome import Finished, OutputFile

INFO = AudioInfo(100, 16000, 2, "WAV", "PCM_16", 444)
SCAN = AudioScan(INFO, 100, 0.5, 0, (0, 0), (False, True), None)
PLAN = ModelPlan(Part("dac", "codec", "nano"), None, None, "cpu", "auto", None, ChunkOptions(4.0, 0.05, 1.0))
STRETCH = Stretch(0.0, 1.5, 0, "repaired", ("dropped",))
MESSAGES = [
    End(),
    Load(PLAN, 2, 1),
    Look(3, Path("a\udcff.wav")),
    Seen(3, INFO, SCAN),
    Work(
        1,
        Path("a"),
        Path("b"),
        Form.ENHANCE,
        SoundOptions(loudness="match"),
        SCAN,
        Keep(Path("k"), "b", (1, 2, "s"), True),
    ),
    Work(1, Path("a"), Path("b"), Form.DETOKENIZE, SoundOptions(loudness=-16.0), None),
    Failed(1, Failure("nan", "bad", None, 3, "Traceback")),
    Ready(
        1,
        Finished(
            (OutputFile(Path(".b"), Path("b"), 5, "00"),),
            1.5,
            ("w",),
            0.5,
            GuardReport("normal", 1, stretches=(STRETCH,)),
        ),
    ),
]


@pytest.mark.parametrize("message", MESSAGES, ids=lambda message: type(message).__name__)
def test_what_is_sent_arrives(message):
    line = encode(message)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert decode(line) == message


@pytest.mark.parametrize(
    "change",
    [
        {"type": "Exec"},
        {"path": 3},
        {"id": "3"},
        {"id": True},
        {"more": 1},
        {"id": None},
    ],
)
def test_what_does_not_fit_is_refused(change):
    """A worker's libraries print what they like: no line of theirs may pass for an answer."""
    data = {**json.loads(encode(Look(3, Path("a.wav")))), **change}
    with pytest.raises(CodingError):
        decode(json.dumps(data).encode())


@pytest.mark.parametrize(
    "line", [b"", b"warning: x\n", b"[" * 100_000, b"{}", b"[1]", b"\xff\n", b'{"type": []}']
)
def test_no_message_at_all(line):
    with pytest.raises(CodingError, match="not a message"):
        decode(line)
