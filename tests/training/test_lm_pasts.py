"""Targets after a past that is not right."""

import torch
from training_runs import fresh_codec

from dacse_cli.training.lm.pairs.recipe import Corruption
from dacse_cli.training.lm.pasts import ResidualTargets, corrupt

K, N, T = 4, 32, 6


def test_a_clean_past_keeps_its_targets():
    clean = torch.randint(0, N, (2, K, T))
    assert (ResidualTargets(fresh_codec(K, N))(clean, clean) == clean).all()


def test_a_wrong_code_is_made_up_for_in_its_own_frame():
    """With the clean targets kept, later codes correct what is right and leave what is wrong."""
    model = fresh_codec(K, N)
    targets = ResidualTargets(model)
    clean = torch.randint(0, N, (1, K, T))
    read = clean.clone()
    read[0, 0, 2] = (read[0, 0, 2] + 1) % N
    wanted = targets(clean, read)
    others = [t for t in range(T) if t != 2]
    assert (wanted[:, :, others] == clean[:, :, others]).all()
    assert (wanted[0, 0] == clean[0, 0]).all()  # the first codebook has no past in its frame
    first, second = model.quantizer.quantizers[:2]
    missing = sum(
        q.out_proj(q.codebook(clean[:, k]).transpose(1, 2)) for k, q in enumerate(model.quantizer.quantizers)
    ) - first.out_proj(first.codebook(read[:, 0]).transpose(1, 2))
    assert wanted[0, 1, 2] == second.decode_latents(second.in_proj(missing))[1][0, 2]


def test_targets_under_autocast_are_those_of_float32():
    """Looked up in bfloat16, 74 % of the targets after a wrong past were others."""
    torch.manual_seed(0)
    targets = ResidualTargets(fresh_codec(K, 1024))
    clean, drawn = torch.randint(0, 1024, (2, 2, K, 100))
    read = torch.where(torch.rand(clean.shape) < 0.3, drawn, clean)
    wanted = targets(clean, read)
    with torch.autocast("cpu", torch.bfloat16):
        assert (targets(clean, read) == wanted).all()


def test_a_past_of_its_own_leaves_nothing_for_the_training_pass_in_autocast():
    """On torch 2.10 weights cast without gradients were used again, and got none."""
    layer = torch.nn.Linear(4, 4)
    clean = torch.zeros(1, K, 3, dtype=torch.int64)

    def answer(read):
        with torch.no_grad():
            layer(torch.ones(1, 4))
        return read

    with torch.autocast("cpu", torch.bfloat16):
        corrupt(clean, clean, 8, Corruption(own=1.0), torch.Generator().manual_seed(0), answer)
        layer(torch.ones(1, 4)).sum().backward()
    assert layer.weight.grad is not None
