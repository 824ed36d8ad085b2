"""Recipes of codecs: the released numbers, wrong values, and what a training takes."""

from pathlib import Path

import pytest
import torch
from transformers import DacModel

from dacse_cli.errors import UsageError
from dacse_cli.training.codec import plan
from dacse_cli.training.codec.network import dac_config
from dacse_cli.training.codec.recipe import BANDS, CodecRecipe, CodecStage, DiscriminatorPart
from dacse_cli.training.codec.shapes import shape_of
from dacse_cli.training.losses.discriminators import WaveDiscriminators
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.runs.recipe import read_run_recipe


def discriminators(part):
    return WaveDiscriminators(part.periods, part.windows, part.width, BANDS)


@pytest.mark.parametrize(
    ("size", "hop", "rate"), [("16khz", 320, 16000), ("24khz", 320, 24000), ("44khz", 512, 44100)]
)
def test_released_shapes(size, hop, rate):
    shape = shape_of(size)
    assert (shape.hop_length, shape.sampling_rate) == (hop, rate)


def test_an_unknown_size_is_refused():
    with pytest.raises(UsageError, match="48khz"):
        shape_of("48khz")


@pytest.mark.parametrize(
    "bad",
    [
        "stage.betas=[0.9]",
        "data.seconds=0",
        "discriminators.windows=[30]",
        "stage.decay=2",
        "model.codebooks=average",
        "stage.restart=8",
        "stage.hearing=1",
        "data.speeds=[0.9]",
        "data.shares.a=0",
        "data.shares=3",
    ],
)
def test_wrong_recipes_are_refused(bad):
    with pytest.raises(UsageError):
        read_run_recipe(CodecRecipe, None, [bad])


def test_the_learning_rate_decays_as_released():
    stage = CodecStage()
    pace = Pace(stage.rate, warm_up=10, cosine=stage.cosine, decay=stage.decay)
    assert pace.at(0, 0.0) == pytest.approx(1e-5)
    assert pace.at(100_000, 0.25) == pytest.approx(1e-4 * 0.999996**100_000)


def test_the_shipped_recipe_is_the_released_one():
    path = Path(__file__).parents[2] / "examples" / "recipes" / "codec-44khz.toml"
    shipped, default = (
        read_run_recipe(CodecRecipe, path),
        read_run_recipe(CodecRecipe, None, ["model.size=44khz"]),
    )
    assert shipped.weights == default.weights
    assert shipped.stage == default.stage


@pytest.mark.parametrize("size", ["16khz", "44khz"])
def test_a_plan_counts_what_torch_counts(size):
    """On networks without weights: parameters exactly, FLOPs to what edges make of them."""
    from torch.utils.flop_counter import FlopCounterMode

    shape, samples = shape_of(size), 20 * shape_of(size).hop_length
    with torch.device("meta"):
        model, networks = DacModel(dac_config(shape)), discriminators(DiscriminatorPart())
        wav = torch.zeros(1, samples)
        with FlopCounterMode(display=False) as codec:
            model.decoder(model.encoder(wav[:, None]))
        with FlopCounterMode(display=False) as judged:
            for network in networks.networks[:5]:
                network(wav)
    planned = plan.codec_plan(size)
    assert planned.parameters == sum(p.numel() for p in model.parameters())
    assert planned.discriminators == sum(p.numel() for p in networks.parameters())
    assert plan.forward_flops(list(plan.codec_layers(shape, samples))) == pytest.approx(
        codec.get_total_flops(), rel=0.01
    )
    periods = list(plan.discriminator_layers(DiscriminatorPart(windows=()), samples))
    assert plan.forward_flops(periods) == pytest.approx(judged.get_total_flops(), rel=0.01)


def test_the_codecs_in_the_recipes_are_planned_so():
    text = (Path(__file__).parents[2] / "examples" / "recipes" / "README.md").read_text()
    for size in ("16khz", "24khz", "44khz"):
        one, eight = (plan.codec_plan(size, gpus=gpus) for gpus in (1, 8))
        row = f"| {size} | {one.parameters / 1e6:.1f} M | {one.discriminators / 1e6:.1f} M |"
        assert f"{row} {one.state_bytes / 1e9:.1f} GB | {one.hours:.1f} h | {eight.hours:.1f} h |" in text


def test_a_plan_of_spectra_is_that_of_their_layers():
    network = discriminators(DiscriminatorPart(periods=(), windows=(256,), width=4)).networks[0]
    places = []
    for layer in [*(layer for band in network.bands for layer in band), network.last]:
        layer.register_forward_hook(
            lambda module, _, out: places.append((module, out.shape[2] * out.shape[3]))
        )
    network(torch.randn(1, 4096))
    counted = sum(2.0 * module.weight.numel() * count for module, count in places)
    layers = list(plan.discriminator_layers(DiscriminatorPart(periods=(), windows=(256,), width=4), 4096))
    assert plan.forward_flops(layers) == pytest.approx(counted)
