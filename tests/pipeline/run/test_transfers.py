"""What a transfer between a store and this disk reports when the disk refuses."""

import errno

import pytest

from dacse_cli.errors import OutputError
from dacse_cli.pipeline.run.transfers import _error_of


@pytest.mark.parametrize(
    ("number", "says"), [(errno.ENOSPC, "no space left on the disk"), (errno.EACCES, "permission denied")]
)
def test_the_disks_own_reason_is_given(number, says):
    """A folder without permission was called a disk without room."""

    def refuse():
        raise OSError(number, "x")

    error = _error_of(refuse)
    assert (error.message, error.reason) == (f"the copy on this disk cannot be written: {says}", "disk")


def test_other_errors_pass_and_success_is_none():
    def fail():
        raise OutputError("the store refuses")

    assert str(_error_of(fail)) == "the store refuses"
    assert _error_of(lambda: None) is None
