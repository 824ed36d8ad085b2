"""The benchmark of SET's speed runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import bench_set
import pytest
from timing import SHAPES

from dacse_cli.interfaces import Codes


@pytest.mark.slow
def test_every_way_at_every_batch_and_length(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"width": 16, "heads": 2, "feed_forward": 16, "kernel": 3, "layers": 1}
    small: dict[str, Any] = {"embedding_width": 8, "joint_width": 16, "encoder": sizes}
    searched = small | {"predictor": {"kind": "conformer", **sizes}}
    monkeypatch.setattr(bench_set, "UNITS", Codes(2, 1024))
    monkeypatch.setattr(bench_set, "sized_config", {"set-small": searched, "nar-small": small}.__getitem__)
    monkeypatch.setitem(SHAPES, "set-small's size", (32, 32, 1, 2, 2, 2))
    where = tmp_path / "set.json"
    options = "--chunk 0.1 --batch 1 2 --lengths 0.2 0.5 --repeats 1 --json"
    results = bench_set.main([*options.split(), str(where)])
    assert [r["sound"] for r in results] == [
        *["1 x 0.1 s"] * 4, *["2 x 0.1 s"] * 4, *["0.2 s"] * 4, *["0.5 s"] * 3
    ]  # fmt: skip
    assert all(r["seconds per second"] > 0 for r in results)
    assert json.loads(where.read_text())["results"] == results
