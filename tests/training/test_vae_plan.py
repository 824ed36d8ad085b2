"""What training a speech VAE takes on paper, against what torch counts."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from typer.testing import CliRunner

from dacse_cli.cli.app import app
from dacse_cli.codec.vae.autoencoder import Autoencoder
from dacse_cli.codec.vae.shape import AutoencoderShape
from dacse_cli.errors import UsageError
from dacse_cli.training.losses.mel_discriminators import MelDiscriminators
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.steps.adversarial import AdversarialOptions, AdversarialStep
from dacse_cli.training.steps.optimizers import make_optimizers
from dacse_cli.training.vae import plan
from dacse_cli.training.vae.network import VaeNetwork, is_direction
from dacse_cli.training.vae.recipe import DiscriminatorPart, Weights

SMALL = AutoencoderShape(4, (16, 16, 32, 32, 32), (1, 2, 1, 1, 2), (2, 1, 1, 2, 1))
PART = DiscriminatorPart(band_width=16, patch_width=4)


def networks(shape, part):
    network = VaeNetwork(Autoencoder(shape), Machine(torch.device("cpu")), False)
    return network, MelDiscriminators(part.band_width, part.patch_width)


@pytest.mark.parametrize(
    ("shape", "part"),
    [
        (AutoencoderShape(), DiscriminatorPart()),
        (AutoencoderShape(8, (32, 64, 64), (1, 2, 3), (3, 1, 2)), PART),
    ],
)
def test_parameters_are_those_of_the_networks(shape, part):
    with torch.device("meta"):
        ours = networks(shape, part)
    layers = plan.autoencoder_layers(shape, 64), plan.discriminator_layers(part, 64)
    counted = [sum(weight.numel() for weight in network.parameters()) for network in ours]
    assert [plan.parameters(list(some)) for some in layers] == counted
    if part == DiscriminatorPart():
        planned = plan.vae_plan()
        assert [planned.parameters, planned.discriminators] == counted


def test_a_step_and_its_state_are_what_torch_counts():
    """All passes and Muon's products, to what the first layers save; memory to the byte."""
    rows, frames = 2, 128
    network, discriminators = networks(SMALL, PART)
    optimizers = partial(make_optimizers, "muon", rate=1e-4, muon=is_direction)
    both = [optimizers(side.named_parameters()) for side in (network, discriminators)]
    step = AdversarialStep(
        network, discriminators, Machine(torch.device("cpu")), AdversarialOptions(weights=vars(Weights())),
        *both, Pace(1e-4), losses=lambda estimate, target: {"mel": (estimate - target).abs().mean()},
    )  # fmt: skip
    with FlopCounterMode(display=False) as counted:
        step(0, 0.0, (torch.randn(rows, 80, frames), None))
    own = list(plan.autoencoder_layers(SMALL, frames))
    others = list(plan.discriminator_layers(PART, frames))
    planned = rows * plan.crop_flops(own, others) + sum(kernel.muon_flops for kernel in (*own, *others))
    assert planned == pytest.approx(counted.get_total_flops(), rel=0.02)
    kept = [
        tensor
        for optimizer in (*both[0], *both[1])
        for state in optimizer.state.values()
        for name, tensor in state.items()
        if name != "step"
    ]
    weights = [weight for side in (network, discriminators) for weight in side.parameters()]
    size = sum(4 * tensor.numel() for tensor in (*weights, *weights, *kept))  # a gradient for each weight
    assert plan.state_bytes([*own, *others]) == size


def test_a_second_gpu_takes_half_of_the_crops_and_a_third_none():
    one, two, eight = (plan.vae_plan(gpus=gpus) for gpus in (1, 2, 8))
    assert two == eight
    assert one.hours / 2 < two.hours < 0.7 * one.hours  # both repeat what Muon does
    with pytest.raises(UsageError):
        plan.vae_plan(mfu=0.0)


def test_the_command_has_a_record_and_a_table():
    (line,) = CliRunner().invoke(app, ["train", "plan", "vae", "--json"]).stdout.splitlines()
    assert json.loads(line)["type"] == "vae-plan"
    header, row = CliRunner().invoke(app, ["train", "plan", "vae"]).stdout.splitlines()
    assert (header.split("  ")[0], row.split()[:2]) == ("speech VAE", ["vae", "190.0"])


def test_the_recipes_say_so():
    text = (Path(__file__).parents[2] / "examples" / "recipes" / "README.md").read_text()
    one, two = (plan.vae_plan(gpus=gpus) for gpus in (1, 2))
    sizes = (
        f"{one.parameters / 1e6:.1f} M | {one.discriminators / 1e6:.1f} M | {one.state_bytes / 1e9:.1f} GB"
    )
    assert f"| vae | {sizes} | {one.hours:.1f} h | {two.hours:.1f} h |" in text
