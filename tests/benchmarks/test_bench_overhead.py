"""The benchmark of everything but the models runs whole: real processes, real files."""

from __future__ import annotations

import bench_overhead


def test_every_file_is_done_without_models():
    """Fails when the stand-ins no longer fit the worker, or a run without models ends in another way."""
    results = bench_overhead.main(["--files", "3", "--guard", "normal"])
    assert [result["way"] for result in results] == ["bare", "dacse, guard normal"]
    assert results[0]["cpu ms/file"] < results[1]["cpu ms/file"]
