"""The comparison of codecs runs, and both compute the same."""

import pytest
from bench_codec_peers import main


@pytest.mark.ci
def test_both_ways_give_the_same_codes():
    result = main(["--small", "--seconds", "0.5", "--repeats", "1"])
    assert [row["way"] for row in result["ways"]] == ["dacse", "transformers"]
    assert result["equal codes"] > 0.999
    assert result["largest difference"] < 1e-4
    assert all(row["decode, times dacse's"] > 0 for row in result["ways"])
