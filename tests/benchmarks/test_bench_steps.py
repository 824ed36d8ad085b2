"""The benchmark of single steps runs, and every way does the same step."""

from __future__ import annotations

import json
from pathlib import Path

import bench_steps
import pytest
import torch


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.ci
def test_every_way_is_measured_at_every_length(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fails when a way is left out, or growth is not relative to the first length of its own."""
    where = tmp_path / "steps.json"
    options = "--shape nano --layers 1 --context 40 90 --batch 2 --repeats 1 --dtype float32 --json"
    results = bench_steps.main([*options.split(), str(where)])
    assert [(r["context"], r["attention"]) for r in results] == [
        (length, way) for length in (40, 90) for way in ("torch", "own", "own, int8")
    ]
    assert all(r["growth"] == r["bytes"] == 1 for r in results[:3])
    assert results[3]["bytes"] > results[5]["bytes"] > 1  # int8 grows least
    assert json.loads(where.read_text())["results"] == results
    assert "| 2 | 90 | own, int8 |" in capsys.readouterr().out


@pytest.mark.ci
def test_ways_compute_the_same_step() -> None:
    """Fails when one way reads fewer positions than another, which would make it fast."""
    config = bench_steps.config_of("nano", 2)
    ranges = bench_steps.ranges_of(config)
    picked = []
    for name, (lm, decoder) in bench_steps.make_ways(config, "cpu", torch.float32).items():
        if "int8" in name:
            continue
        torch.manual_seed(0)
        seen: list[torch.Tensor] = []
        step = lm.network.step
        lm.network.step = lambda *args, f=step, s=seen: s.append(f(*args)) or s[-1]
        bench_steps.eager_step(lm, decoder, 2, 50, ranges)()
        lm.network.step = step
        picked.append(seen[0])
    torch.testing.assert_close(*picked, atol=1e-4, rtol=1e-4)
