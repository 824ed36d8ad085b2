"""What a summary says of a run that ended early."""

import signal

import pytest

from dacse_cli.errors import OutputError
from dacse_cli.pipeline.wire.outcome import Outcome, Result, Summary


def test_inputs_left_without_a_cause_are_a_bug():
    """Inputs that no run had come to ended with exit code 0, as if all had been done."""
    summary = Summary([Result("a.wav", "out/a.wav", Outcome.DONE), Result("b", "out/b", Outcome.FAILED)])
    assert (summary.exit_code, summary.problem) == (3, None)
    summary.not_reached(2)
    assert summary.exit_code == summary.to_json()["exit_code"] == 1
    assert summary.problem.message == "a bug: inputs not reached: 2, although nothing stopped the run"


@pytest.mark.parametrize(
    ("cause", "code"), [({"stopped_by": signal.SIGINT}, 130), ({"fatal": OutputError("disk full")}, 6)]
)
def test_a_cause_decides_the_exit_code(cause, code):
    """A stop must not be reported as a bug."""
    summary = Summary(**cause)
    summary.not_reached(2)
    assert (summary.exit_code, summary.problem) == (code, cause.get("fatal"))
