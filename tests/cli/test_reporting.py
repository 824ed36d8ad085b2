"""What a report is told of a result: which files have players, and the guard's stretches without gaps."""

from types import SimpleNamespace

import pytest

from dacse_cli.cli.batch import launch
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


class Screen:
    """A screen that keeps the summaries it is given."""

    def __init__(self):
        self.summaries = []
        self.summary = self.summaries.append

    def __enter__(self):
        return self

    def __exit__(self, *error):
        return None


def test_a_signal_while_the_report_is_drawn_does_not_lose_the_summary(monkeypatch, tmp_path):
    """All files were done, and the command ended without a word about them."""

    def stopped(*_):
        raise SystemExit(143)

    screen, done = Screen(), SimpleNamespace(exit_code=0)
    monkeypatch.setattr(launch, "_run", lambda *_: done)
    monkeypatch.setattr(launch, "_report", stopped)
    with pytest.raises(SystemExit) as end:
        launch._do(SimpleNamespace(inlet=None, outlet=None), screen, tmp_path, None)
    assert end.value.code == 143
    assert screen.summaries == [done]
