"""Training of a speech VAE: the published discriminators and losses, runs that stop and go on."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

from dacse_cli.codec.loading import load_codec
from dacse_cli.codec.vae.autoencoder import Autoencoder, sigma_noise
from dacse_cli.codec.vae.bigvgan import BigVgan
from dacse_cli.codec.vae.codec import vae_shapes
from dacse_cli.codec.vae.published import autoencoder_shape
from dacse_cli.codec.vae.shape import AutoencoderShape, GriffinLimShape, VaeShape, VocoderShape
from dacse_cli.errors import UsageError
from dacse_cli.training.export import write_json, write_weights
from dacse_cli.training.losses.adversarial import (
    adversarial_loss,
    discriminator_loss,
    feature_distance,
    halves,
)
from dacse_cli.training.losses.dispersive import dispersive_loss
from dacse_cli.training.losses.mel_discriminators import MelDiscriminators
from dacse_cli.training.runs.loop import Listener
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.pace import Pace
from dacse_cli.training.runs.recipe import read_run_recipe
from dacse_cli.training.steps.adversarial import AdversarialOptions, AdversarialStep
from dacse_cli.training.steps.optimizers import SHARE, Muon, make_optimizers
from dacse_cli.training.vae.network import VaeNetwork, is_direction
from dacse_cli.training.vae.recipe import DiscriminatorPart, VaePart, VaeRecipe, VaeStage, Weights
from dacse_cli.training.vae.run import VaeRequest, train_vae
from dacse_cli.training.vae.vocoder import VocoderNetwork, VocoderPart

GOLDEN = Path(__file__).parents[1] / "golden" / "dcvae"
SMALL_VOCODER = VocoderShape(64, residual_kernels=(3,), dilations=((1,),))
TINY = VaeShape(AutoencoderShape(4, (2, 4, 4, 8, 8), (1,) * 5, (1,) * 5), GriffinLimShape(2))


@pytest.fixture(scope="module")
def numbers():
    return load_file(GOLDEN / "train.safetensors"), json.loads((GOLDEN / "train.json").read_text())


def test_discriminators_are_the_published_ones(numbers):
    """41 and 5 maps, verdicts, LSGAN and feature distance (published: twice the sum)."""
    tensors, scalars = numbers
    network = MelDiscriminators(4, 2)
    network.load_state_dict(load_file(GOLDEN / "discriminators" / "model.safetensors"))
    with torch.no_grad():
        maps = network(torch.cat([tensors["disc.real"], tensors["disc.fake"]]))
    real, fake = halves(maps)
    for place, name in enumerate(("multi_band", "patchgan")):
        assert [list(m.shape) for m in real[place][:-1]] == scalars[f"disc.{name}.feature_maps"]
        torch.testing.assert_close(real[place][-1], tensors[f"disc.{name}.real"], atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(fake[place][-1], tensors[f"disc.{name}.fake"], atol=1e-5, rtol=1e-5)
    assert float(discriminator_loss("lsgan", real, fake)) == pytest.approx(
        scalars["disc.discriminator_loss"], rel=1e-5
    )
    assert float(adversarial_loss("lsgan", fake)) == pytest.approx(scalars["disc.generator_loss"], rel=1e-5)
    assert 2 * float(feature_distance(real, fake)) == pytest.approx(scalars["disc.feature_loss"], rel=1e-5)


def test_dispersive_loss_is_the_published_one(numbers):
    """Value and gradient; a batch of one, which the published code answers with NaN, is refused."""
    tensors, scalars = numbers
    latent = tensors["dispersive.latent"].clone().requires_grad_()
    loss = dispersive_loss(latent)
    loss.backward()
    assert loss.item() == pytest.approx(scalars["dispersive.loss"], rel=1e-5)
    torch.testing.assert_close(latent.grad, tensors["dispersive.grad"], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("name", ["tall", "wide", "conv"])
def test_muon_steps_are_the_published_ones(numbers, name):
    """At the rate and decay that our scaling makes of the published ones; torch iterates in bfloat16."""
    tensors, _ = numbers
    weight = torch.nn.Parameter(tensors[f"muon.{name}.param_0"].clone())
    muon = Muon([weight], 0.02 / 0.2, 0.1 * 0.2)
    for step in (1, 2):
        weight.grad = tensors[f"muon.{name}.grad_{step}"].clone()
        muon.step()
        theirs = tensors[f"muon.{name}.param_{step}"]
        moved = (theirs - tensors[f"muon.{name}.param_{step - 1}"]).abs().max()
        assert (weight - theirs).abs().max() < 0.03 * step * moved


def test_gains_are_no_matrices():
    gain, kernel = torch.nn.Parameter(torch.ones(4, 1, 1, 1)), torch.nn.Parameter(torch.ones(4, 2, 3, 3))
    assert not is_direction("conv.parametrizations.weight.original0", gain)
    assert is_direction("conv.parametrizations.weight.original1", kernel)


def test_noise_has_one_deviation_per_row():
    noise = sigma_noise(torch.empty(2000, 10, 10), 0.5, torch.Generator().manual_seed(1))
    deviations = noise.flatten(1).std(dim=1)
    assert abs(float(deviations.mean()) - 0.25) < 0.02
    assert float(deviations.max()) < 0.65


@pytest.fixture
def speech(tmp_path):
    rng = np.random.default_rng(5)
    for name in ("a", "b", "c"):
        (tmp_path / "speech" / name).mkdir(parents=True)
        wave = rng.normal(0, 0.1, 22050 * 2).astype(np.float32)
        soundfile.write(tmp_path / "speech" / name / "x.wav", wave, 22050)
    return [
        (str(path.relative_to(tmp_path / "speech")), path)
        for path in sorted((tmp_path / "speech").rglob("*.wav"))
    ]


def request(tmp_path, speech, out, steps, **settings):
    config = tmp_path / "config.json"
    config.write_text(json.dumps(TINY.config()))
    options = {
        "data.seconds": 0.75, "data.valid": 0.3, "data.valid_rows": 2, "stage.steps": steps,
        "stage.rows": 2, "stage.rate": 1e-3, "discriminators.band_width": 1,
        "discriminators.patch_width": 1, "run.cadence.save_every": 2, "run.cadence.log_every": 1, **settings,
    }  # fmt: skip
    recipe = read_run_recipe(
        VaeRecipe, None, [f'model.config="{config}"', *(f"{k}={v}" for k, v in options.items())]
    )
    return VaeRequest(out=tmp_path / out, recipe=recipe, clean=speech, jobs=0, device="cpu")


def test_a_run_that_stops_goes_on_as_if_it_had_not(tmp_path, speech):
    """Weights of a run of four steps equal those of one that stopped after three; both are codecs."""

    def stop(report):
        if report.step == 3:
            raise KeyboardInterrupt

    whole = train_vae(request(tmp_path, speech, "whole", 4))
    with pytest.raises(KeyboardInterrupt):
        train_vae(request(tmp_path, speech, "halves", 4), Listener(step=stop))
    train_vae(request(tmp_path, speech, "halves", 4))
    one, two = (load_file(tmp_path / out / "vae" / "model.safetensors") for out in ("whole", "halves"))
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], atol=0, rtol=0)
    codec = load_codec(whole.model)
    latents = codec.encode(np.zeros((1, 9000), np.float32))
    assert latents.shape == (1, 20, 3)
    assert codec.decode(latents).shape == (1, 3 * 4096)


def test_a_single_row_is_refused(tmp_path, speech):
    with pytest.raises(UsageError, match="2"):
        train_vae(request(tmp_path, speech, "out", 1, **{"stage.rows": 1}))


def vocoder_run(tmp_path, speech, start):
    """Train the vocoder alone, two steps, from the speech VAE in `start`."""
    made = request(
        tmp_path, speech, "out", 2,
        **{"discriminators.wave_width": 1, "stage.part": '"vocoder"', "stage.optimizer": '"adamw"'},
    )  # fmt: skip
    model = VaePart(start=None if start is None else str(start))
    return train_vae(replace(made, recipe=replace(made.recipe, model=model)))


def drawn_vae(folder, shape):
    """A folder of a speech VAE, its weights drawn."""
    chance = torch.Generator().manual_seed(0)
    weights = {name: 0.1 * torch.randn(size, generator=chance) for name, size in vae_shapes(shape).items()}
    folder.mkdir()
    write_json(folder / "config.json", shape.config())
    write_weights(folder, weights, torch.float32)
    return folder


def test_a_vocoder_is_trained_on_and_the_autoencoder_stays(tmp_path, speech):
    start = drawn_vae(tmp_path / "start", VaeShape(TINY.autoencoder, SMALL_VOCODER))
    made = vocoder_run(tmp_path, speech, start)
    before, after = (load_file(folder / "model.safetensors") for folder in (start, made.model))
    assert before.keys() == after.keys()
    for name, tensor in before.items():
        assert torch.equal(tensor, after[name]) is name.startswith("autoencoder."), name
    log = list(csv.DictReader((tmp_path / "out" / "log.csv").open()))
    assert all(float(row[name]) > 0 for row in log[:2] for name in ("mel", "features", "discriminator"))
    assert log[-1]["valid_loss"] and not log[-1]["valid_noisy"]


def test_a_vocoder_comes_nearer_to_the_recording():
    """BigVGAN's gradients reach all its weights, and steps on one crop lower the mel distance."""
    torch.manual_seed(0)
    recipe = VaeRecipe(discriminators=DiscriminatorPart(wave_width=1))
    machine = Machine(torch.device("cpu"))
    part = VocoderPart(VocoderNetwork(BigVgan(SMALL_VOCODER), machine, False, {}), recipe, machine)
    batch = part.batch(0.1 * torch.randn(1, 16 * 256), 0.0, torch.Generator())
    optimizer, found = torch.optim.AdamW(part.network.parameters(), 5e-3), []
    for _ in range(25):
        made = part.network(batch)
        loss = part.losses(made.estimate, made.target)["mel"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        found.append(loss.item())
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in part.network.parameters())
    assert found[-1] < 0.8 * found[0]


def test_a_part_that_is_neither_given_nor_trained_is_refused(tmp_path, speech):
    with pytest.raises(UsageError, match="no autoencoder"):
        vocoder_run(tmp_path, speech, None)
    with pytest.raises(UsageError, match="there is none"):
        vocoder_run(tmp_path, speech, drawn_vae(tmp_path / "start", TINY))
    assert VaeStage(part="codec").problems() == ["vae: part is autoencoder or vocoder"]


def test_three_steps_of_training_are_the_published_ones(numbers):
    """Both models from the published weights, noise given: losses and gradients, then where they move to.

    The published rule is taken here, by which Muon moves the gains of weight norm too, at its scale. What
    no step has moved yet is equal; the rest as near as torch's Muon, which iterates in bfloat16, comes.
    """
    tensors, scalars = numbers
    network, discriminators = published_pair()
    machine = Machine(torch.device("cpu"))
    step = AdversarialStep(
        network,
        discriminators,
        machine,
        AdversarialOptions(weights=vars(Weights()), clip=500.0, clip_discriminators=500.0),
        published_optimizers(network),
        published_optimizers(discriminators),
        Pace(1e-3),
        losses=lambda estimate, target: {"mel": (estimate - target).abs().mean()},
    )
    named = {"discriminator": "discriminator", "mel": "mel_l1", "dispersive": "dispersive",
             "adversarial": "generator_adversarial", "loss": "generator_total",
             "gradient": "grad_norm_generator"}  # fmt: skip
    for number, theirs in enumerate(scalars["steps"]):
        noise = tensors[f"steps.noise_{number}"] * tensors[f"steps.std_{number}"]
        ours, _ = step(number, 0.0, (tensors["steps.mel"], noise.flatten(1, 2)))
        for name, other in named.items():
            untouched = number == 0 and name in ("discriminator", "mel", "dispersive")
            tolerance = 1e-5 if untouched else 0.005
            assert float(ours[name]) == pytest.approx(theirs[other], rel=tolerance), (number, name)
        assert 2 * float(ours["features"]) == pytest.approx(theirs["feature"], rel=0.005)
        if number == 0:
            compare_weights(network, discriminators, tensors)
    network.eval()
    with torch.no_grad():
        decoded = network((tensors["steps.mel"], None)).estimate[:1]
    distance = (decoded - tensors["steps.final_decoded"]).abs().mean()
    assert float(distance) < 0.01 * float(decoded.abs().mean())


def published_pair():
    """The small autoencoder and discriminators that the published numbers are of."""
    stored = load_file(GOLDEN / "autoencoder" / "model.safetensors")
    config = json.loads((GOLDEN / "autoencoder" / "config.json").read_text())
    network = VaeNetwork(Autoencoder(autoencoder_shape(config)), Machine(torch.device("cpu")), False)
    own = {f"autoencoder.{name.removeprefix('model.')}": tensor for name, tensor in stored.items()}
    network.load_state_dict(own)
    discriminators = MelDiscriminators(4, 2)
    discriminators.load_state_dict(load_file(GOLDEN / "discriminators" / "model.safetensors"))
    return network, discriminators


def published_optimizers(network):
    """Muon for all of two and more dimensions at its published scale, AdamW for the rest."""
    muon, adamw = make_optimizers(
        "muon", network.named_parameters(), rate=1e-3, betas=(0.9, 0.95), weight_decay=0.1 * 0.2,
        decays=lambda name, weight: True,
    )  # fmt: skip
    muon.param_groups[0][SHARE] = 1 / 0.2
    for group in adamw.param_groups:
        group["weight_decay"] = 0.1
    return [muon, adamw]


def compare_weights(network, discriminators, tensors):
    """All weights after one step, against those whose numbers are known."""
    ours = {f"model.{name.removeprefix('autoencoder.')}": w for name, w in network.named_parameters()}
    ours |= dict(discriminators.named_parameters())
    known = {name.removeprefix("steps.after_1."): t for name, t in tensors.items() if "after_1" in name}
    assert len(known) == 7
    for name, theirs in known.items():
        torch.testing.assert_close(ours[name].detach(), theirs, atol=1e-4, rtol=0, msg=name)


def test_a_process_without_held_out_crops_takes_part_in_the_sum(tmp_path, speech, monkeypatch):
    """It returned before it, and the others waited for it, or summed what was not meant."""
    summed = []

    def sums(machine, tensor):
        summed.append(len(tensor))
        return tensor + torch.tensor([6.0, 4.0, 2.0])  # another process had two rows

    monkeypatch.setattr(Machine, "sum", sums)
    result = train_vae(request(tmp_path, speech, "out", 1, **{"data.valid": 0}))
    assert summed and set(summed) == {3}
    assert result.last["valid_loss"] == 2.0


def test_discriminators_outlive_a_stage_without_them(tmp_path, speech):
    """A run that was continued in such a stage began the next one with fresh discriminators."""

    def stop(report):
        if report.stage == "plain" and report.step == 2:
            raise KeyboardInterrupt

    def run(out, listener=None):
        made = request(tmp_path, speech, out, 2, **{"run.cadence.save_every": 1})
        first = made.recipe.stage[0]
        stages = (first, replace(first, name="plain", adversarial=False), replace(first, name="last"))
        return train_vae(replace(made, recipe=replace(made.recipe, stage=stages)), listener)

    whole = run("whole")
    with pytest.raises(KeyboardInterrupt):
        run("halves", Listener(step=stop))
    halves = run("halves")
    one, two = (load_file(result.model / "model.safetensors") for result in (whole, halves))
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], atol=0, rtol=0)
