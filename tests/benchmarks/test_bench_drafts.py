"""The benchmark of drafts runs on a real small model, and every kind of draft leaves the ids alone."""

from __future__ import annotations

import bench_drafts
import pytest
import torch


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.ci
def test_drafts_leave_the_ids_of_a_real_checkpoint(tiny_model):
    """Fails when drafts change what a checkpoint writes, or guesses are counted against other tokens."""
    results = bench_drafts.main(["--model", str(tiny_model), "--clips", "2", "--batch", "2"])
    assert [r["draft"] for r in results] == ["noisy", "right 0.5", "right 0.8", "right 0.95"]
    assert all(r["equal"] == 1 for r in results)
    assert results[3]["right at first"] == pytest.approx(0.95, abs=0.05)
