"""The benchmark runs, compares like with like, and both ways write the same codes."""

import json

import bench_folder


def test_both_ways_write_the_same_codes(tiny_model, tmp_path):
    where = tmp_path / "result.json"
    args = [
        "--model",
        str(tiny_model),
        "--clips",
        "4",
        "--seconds",
        "0.3",
        "--threads",
        "1",
        "--json",
        str(where),
    ]
    result = bench_folder.main(args)
    assert result["equal_codes"] == 1
    assert result["clips"] == 4
    assert 99 < sum(result["stages"].values()) < 101
    assert json.loads(where.read_text()) == result
