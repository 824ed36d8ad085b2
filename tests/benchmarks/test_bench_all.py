"""The one command for a GPU, tried on a CPU at a size that says nothing: every row is there."""

from __future__ import annotations

import json
from pathlib import Path

import bench_all
import bench_precision
import pytest
import torch


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def test_a_trial_fills_every_row(
    tiny_model: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Fails when a command it calls has changed, or a row that cannot be measured is left out in silence."""
    monkeypatch.delitem(bench_precision.METRICS, "dnsmos_ovrl")  # costs more than all else
    options = ["--device", "cpu", "--trial"]
    rows = bench_all.main([*options, "--model", str(tiny_model), "--json", str(tmp_path / "all.json")])
    assert {row["id"] for row in rows} == {f"R{i}" for i in (*range(1, 10), 17)} | {"codes", "ids"}
    unmeasured = {row["id"] for row in rows if "not measured" in str(row["measured"])}
    assert unmeasured == {"codes", "R3"}
    assert json.loads((tmp_path / "all.json").read_text())["rows"] == rows
    assert "| R5 |" in capsys.readouterr().out
