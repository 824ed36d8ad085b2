"""What a report is told of a result: which files have players, and the guard's stretches without gaps."""

import pytest

from dacse_cli.cli.batch.reporting import entry_of, spans_of
from dacse_cli.pipeline.wire.guard_report import GuardReport, Stretch
from dacse_cli.pipeline.wire.outcome import Outcome, Result


@pytest.mark.parametrize(
    ("source", "outcome", "reason", "playable"),
    [
        ("a.wav", Outcome.DONE, "", True),
        ("a.wav", Outcome.SKIPPED, "already-done", True),
        ("a.wav", Outcome.SKIPPED, "exists", False),
        ("a.wav", Outcome.FAILED, "nan", False),
        ("a.tokens.safetensors", Outcome.DONE, "", False),
        ("s3://b/a.wav", Outcome.DONE, "", False),
    ],
)
def test_only_local_audio_has_a_player(source, outcome, reason, playable):
    assert entry_of(Result(source, f"out/{source}", outcome, reason)).playable is playable


def test_guard_spans_cover_the_whole_file():
    stretches = (
        Stretch(2.0, 4.0, 0, "repaired", ("invented",)),
        Stretch(6.0, 7.0, 0, "passed-through", ("dropped",)),
    )
    guard = GuardReport("normal", 3, 1, 1, stretches)
    found = spans_of(guard, 9.0)
    assert [(s.start, s.end, s.verdict) for s in found] == [
        (0.0, 2.0, "kept"),
        (2.0, 4.0, "repaired"),
        (4.0, 6.0, "kept"),
        (6.0, 7.0, "passed-through"),
        (7.0, 9.0, "kept"),
    ]
    assert found[1].why == "invented"
