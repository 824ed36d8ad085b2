"""The measurement runs, and memory does not follow the length."""

import pytest
from bench_codec_memory import main


@pytest.mark.ci
def test_memory_is_measured_for_each_length():
    short, long = main(["encode", "20", "60", "--small"])
    assert (short["seconds"], long["seconds"]) == (20, 60)
    assert 0 < long["peak, MiB"] < 1.15 * short["peak, MiB"]
