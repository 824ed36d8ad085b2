"""A recogniser's encoder as a loss: read from a file, and pulling a signal towards another."""

import pytest
import torch
from training_runs import write_recogniser

from dacse_cli.errors import CheckpointError
from dacse_cli.training.losses.hearing import Hearing


def test_its_gradient_leads_to_what_is_target(tmp_path):
    hearing = Hearing(write_recogniser(tmp_path))
    torch.manual_seed(0)
    target = 0.1 * torch.randn(2, 3200)
    assert hearing(target, target) == 0
    estimate = (0.1 * torch.randn(2, 3200)).requires_grad_()
    optimizer, first = torch.optim.Adam([estimate], 3e-3), float(hearing(estimate, target))
    for _ in range(30):
        optimizer.zero_grad()
        distance = hearing(estimate, target)
        distance.backward()
        optimizer.step()
    assert float(hearing(estimate, target)) < 0.9 * first


def test_it_makes_no_tensor_on_another_device(tmp_path):
    """Fails when a step on a GPU meets a tensor on the CPU: an operation on both raises, here as there."""
    hearing = Hearing(write_recogniser(tmp_path)).to("meta")
    estimate, target = (torch.zeros(2, 3200, device="meta", requires_grad=grad) for grad in (True, False))
    hearing(estimate, target).backward()
    assert estimate.grad.device.type == "meta"


def test_other_files_are_refused(tmp_path):
    with pytest.raises(CheckpointError, match="version 5"):
        Hearing(write_recogniser(tmp_path, version=5))
    (tmp_path / "model.bin").write_bytes((write_recogniser(tmp_path) / "model.bin").read_bytes()[:500])
    with pytest.raises(CheckpointError, match="no CTranslate2 model"):
        Hearing(tmp_path)
