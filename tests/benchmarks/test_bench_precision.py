"""The benchmark of precision runs, and calls equal what is equal."""

from __future__ import annotations

import bench_precision
import pytest
import torch


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.ci
def test_float32_agrees_with_itself(tiny_model, monkeypatch):
    """Fails when the teacher's tokens are shifted against the steps, which would look like lost quality."""
    monkeypatch.delitem(bench_precision.METRICS, "dnsmos_ovrl")  # costs more than all else
    told = []
    found = bench_precision.main(["--model", str(tiny_model), "--clips", "2"], told.append)
    assert found == told
    results = {r["mode"]: r for r in found}
    assert list(results) == ["float32", *bench_precision.MODES]
    heard = [{column: result[column] for column in bench_precision.METRICS} for result in results.values()]
    assert heard[0] == heard[1] == heard[2]
    for mode in ("float32, torch's attention", "float32, one row"):
        assert results[mode]["agreement"] == results[mode]["free"] == 1
    assert 0.3 < results["bfloat16"]["agreement"] <= 1


@pytest.mark.ci
def test_of_the_built_in_model_it_is_the_language_model(monkeypatch):
    """It ended with an error once the built-in model was a filter by default."""
    monkeypatch.delitem(bench_precision.METRICS, "dnsmos_ovrl")
    results = bench_precision.main(["--clips", "1", "--modes", "float32, one row"])
    assert [result["mode"] for result in results] == ["float32", "float32, one row"]
