"""The benchmark runs all ways, and each does all files."""

import bench_workers
import pytest


@pytest.mark.slow
def test_every_way_is_timed(tiny_model):
    rows = bench_workers.main(
        ["--model", str(tiny_model), "--clips", "2", "--seconds", "0.3", "--rounds", "1"]
    )
    assert len({row["way"] for row in rows}) == len(rows) == 3
    assert all(row["seconds"] > 0 and row["processor seconds"] > 0 for row in rows)
    assert rows[1]["against 1 worker"] == 1
