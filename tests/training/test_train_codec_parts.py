"""The parts of `dacse train codec`: recipes, crops, discriminators, losses, usage of codes, networks."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
import torch
from training_runs import CODEC, RATE, voice
from transformers import DacConfig, DacModel

from dacse_cli.codec.dac.shape import shape_from_config
from dacse_cli.errors import InputError, NoInputError, UsageError
from dacse_cli.training.dac import losses, plan
from dacse_cli.training.dac.crops import Crops, divide
from dacse_cli.training.dac.discriminators import Discriminators, halves
from dacse_cli.training.dac.network import (
    dac_config,
    fresh_codec,
    norm_weights,
    warm_codec,
    write_codec_folder,
)
from dacse_cli.training.dac.recipe import CodecRecipe, CodecStage, Discriminating
from dacse_cli.training.dac.shapes import shape_of
from dacse_cli.training.dac.trainer import pace
from dacse_cli.training.dac.usage import Usage, move, places, taken
from dacse_cli.training.runs.recipe import read_run_recipe

SHAPE = shape_from_config({"model_type": "dac"} | CODEC, source="test")


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
    "bad", ["stage.betas=[0.9]", "data.seconds=0", "discriminators.windows=[30]", "stage.decay=2"]
)
def test_wrong_recipes_are_refused(bad):
    with pytest.raises(UsageError):
        read_run_recipe(CodecRecipe, None, [bad])


def test_the_learning_rate_decays_as_released():
    stage = CodecStage(warm_up=10)
    assert pace(stage, 0) == pytest.approx(1e-5)
    assert pace(stage, 100_000) == pytest.approx(1e-4 * 0.999996**100_000)


def recordings(folder, seconds):
    for number, length in enumerate(seconds):
        sf.write(folder / f"r{number}.wav", voice(int(length * RATE), number), RATE)
    return [(f"r{number}.wav", folder / f"r{number}.wav") for number in range(len(seconds))]


def test_crops_have_one_level_and_follow_their_number(tmp_path):
    speech = divide(recordings(tmp_path, [0.5, 1.0, 2.0, 0.05]), RATE, 0.1, 0.3)
    assert len(speech.train) + len(speech.valid) == 3
    crops = Crops(speech.train, RATE, 0.1, 64, -20.0, seed=1)
    wav = crops.batch(3, 5)
    assert wav.shape == (5, 1600)
    assert np.sqrt(np.square(wav).mean(1)) == pytest.approx(0.1, rel=1e-3)
    assert np.array_equal(wav, crops.batch(3, 5))
    assert not np.array_equal(wav, crops.batch(4, 5))
    with pytest.raises(NoInputError):
        divide(recordings(tmp_path, [0.05]), RATE, 0.1, 0.0)


def test_longer_recordings_are_drawn_more_often(tmp_path):
    speech = divide(recordings(tmp_path, [0.2, 1.8]), RATE, 0.1, 0.0)
    long = Crops(speech.train, RATE, 0.1, 64, -20.0, seed=1)
    drawn = long.batch(0, 80)
    low, high = 200 * 1.2, 290  # Hz: the first recording stays below, the second begins above
    peaks = np.abs(np.fft.rfft(drawn * np.hanning(1600))).argmax(1) * RATE / 1600
    assert 1 <= (peaks < (low + high) / 2).sum() <= 20


def test_discriminators_return_maps_of_every_layer_and_a_verdict():
    options = Discriminating(periods=(2, 3), windows=(128, 64), width=2)
    judges = Discriminators(options)
    features = judges(torch.randn(4, 999))
    assert [len(one) for one in features] == [6, 6, 26, 26]
    first, second = halves(features)
    assert all(
        a.shape == b.shape and len(a) == 2
        for x, y in zip(first, second, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def test_the_released_discriminators_have_their_size():
    """Five periods of 8.2 M and three spectra of 0.47 M parameters each, weight norm's gains included."""
    count = sum(parameter.numel() for parameter in Discriminators(Discriminating()).parameters())
    assert count == pytest.approx(42e6, rel=0.03)


def test_a_level_or_an_offset_tells_nothing_apart():
    judges = Discriminators(Discriminating(periods=(2,), windows=(64,), width=2))
    wav = torch.randn(1, 500)
    for a, b in zip(judges(wav), judges(0.3 * wav + 0.1), strict=True):
        assert torch.allclose(a[-1], b[-1], atol=1e-4)


def test_discriminators_learn_to_tell_tones_from_noise_and_the_losses_say_so():
    torch.manual_seed(0)
    judges = Discriminators(Discriminating(periods=(2,), windows=(64,), width=4))
    optimizer = torch.optim.AdamW(judges.parameters(), lr=2e-3)
    real = torch.from_numpy(np.stack([voice(800, number) for number in range(4)]))
    made = 0.2 * torch.randn(4, 800)
    told = []
    for _ in range(25):
        features = halves(judges(torch.cat([real, made])))
        loss = losses.telling_apart(*features)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        told.append((float(loss.detach()), float(losses.fooling(features[1]).detach())))
    assert told[-1][0] < 0.5 * told[0][0]
    assert told[-1][1] > told[-1][0]
    assert float(losses.feature_distance(features[0], features[0]).detach()) == 0.0


def test_usage_counts_codes_and_knows_how_many_would_do():
    usage = Usage.of(2, 4)
    codes = torch.tensor([[[0, 0, 1, 1], [3, 3, 3, 3]]])  # [B, K, T]
    usage.add(taken(codes, 4))
    assert usage.shares().tolist() == [0.5, 0.25]
    assert usage.perplexity().tolist() == pytest.approx([2.0, 1.0])
    assert usage.dead().tolist() == [[False, False, True, True], [True, True, True, False]]


def test_dead_codes_are_put_on_latents_of_their_own_codebook():
    model = DacModel(DacConfig(**CODEC)).eval()
    wav = torch.from_numpy(voice(3200, 1))[None, None]
    with torch.no_grad():
        _, codes, projected, _, _ = model.quantizer(model.encoder(wav))
    usage = Usage.of(3, 32)
    usage.add(taken(codes, 32))
    dead = usage.dead()
    before = [quantizer.codebook.weight.clone() for quantizer in model.quantizer.quantizers]
    move(model, dead, places(projected, dead, torch.Generator().manual_seed(0)))
    asked = projected.reshape(3, 9, -1).transpose(1, 2)
    for k, quantizer in enumerate(model.quantizer.quantizers):
        weight = quantizer.codebook.weight
        assert torch.equal(weight[~dead[k]], before[k][~dead[k]])
        nearest = torch.cdist(weight[dead[k]], asked[k]).amin(1).detach()
        assert float(nearest.max()) < 1e-3


def test_a_warm_start_under_weight_norm_still_reconstructs():
    """Weight norm divides a silent filter by its length: without a nudge all would be NaN."""
    wav = torch.from_numpy(np.stack([voice(3200, number) for number in range(16)]))
    shape = shape_from_config({"model_type": "dac"} | CODEC | {"downsampling_ratios": [4, 4]}, source="test")
    model = warm_codec(shape, 0, wav)
    norm_weights(model)
    with torch.no_grad():
        linear = model.decoder(model.encoder(0.2 * wav[:2, None]))[:, 0] - 0.2 * wav[:2]
    inside = linear[:, 200:-200]
    assert torch.isfinite(linear).all()
    assert 10 * math.log10(float((0.2 * wav[:2]).square().mean() / inside.square().mean())) > 10


def test_odd_strides_have_no_warm_start():
    shape = shape_from_config({"model_type": "dac"} | CODEC | {"downsampling_ratios": [4, 5]}, source="test")
    with pytest.raises(UsageError, match="odd"):
        warm_codec(shape, 0, torch.zeros(1, 400))


def test_written_codecs_compute_what_the_trained_ones_do(tmp_path):
    model = fresh_codec(SHAPE, 0)
    norm_weights(model)
    write_codec_folder(tmp_path, model)
    wav = torch.from_numpy(voice(1600, 2))[None, None]
    plain = DacModel.from_pretrained(tmp_path).eval()
    with torch.no_grad():
        assert torch.allclose(plain(wav).audio_values, model.eval()(wav).audio_values, atol=1e-5)


def test_the_shipped_recipe_is_the_released_one():
    path = Path(__file__).parents[2] / "examples" / "recipes" / "codec-44khz.toml"
    shipped, default = (
        read_run_recipe(CodecRecipe, path),
        read_run_recipe(CodecRecipe, None, ["model.size=44khz"]),
    )
    assert shipped.weights == default.weights
    assert replace(shipped.stage[0], rows=72) == default.stage[0]


@pytest.mark.parametrize("size", ["16khz", "44khz"])
def test_a_plan_counts_what_torch_counts(size):
    """On networks without weights: parameters exactly, FLOPs to what edges make of them."""
    from torch.utils.flop_counter import FlopCounterMode

    shape, samples = shape_of(size), 20 * shape_of(size).hop_length
    with torch.device("meta"):
        model, judges = DacModel(dac_config(shape)), Discriminators(Discriminating())
        wav = torch.zeros(1, samples)
        with FlopCounterMode(display=False) as codec:
            model.decoder(model.encoder(wav[:, None]))
        with FlopCounterMode(display=False) as judged:
            for network in judges.networks[:5]:
                network(wav)
    planned = plan.codec_plan(size, shape)
    assert planned.parameters == sum(p.numel() for p in model.parameters())
    assert planned.judges == sum(p.numel() for p in judges.parameters())
    assert plan.forward_flops(list(plan.codec_layers(shape, samples))) == pytest.approx(
        codec.get_total_flops(), rel=0.01
    )
    periods = list(plan.judge_layers(Discriminating(windows=()), samples))
    assert plan.forward_flops(periods) == pytest.approx(judged.get_total_flops(), rel=0.01)


def test_the_codecs_in_the_recipes_are_planned_so():
    text = (Path(__file__).parents[2] / "examples" / "recipes" / "README.md").read_text()
    for size in ("16khz", "24khz", "44khz"):
        one, eight = (plan.codec_plan(size, shape_of(size), gpus=gpus) for gpus in (1, 8))
        row = f"| {size} | {one.parameters / 1e6:.1f} M | {one.judges / 1e6:.1f} M |"
        assert f"{row} {one.state_bytes / 1e9:.1f} GB | {one.hours:.1f} h | {eight.hours:.1f} h |" in text


def test_a_plan_of_spectra_is_that_of_their_layers():
    network = Discriminators(Discriminating(periods=(), windows=(256,), width=4)).networks[0]
    places = []
    for layer in [*(layer for band in network.bands for layer in band), network.last]:
        layer.register_forward_hook(
            lambda module, _, out: places.append((module, out.shape[2] * out.shape[3]))
        )
    network(torch.randn(1, 4096))
    counted = sum(2.0 * module.weight.numel() * count for module, count in places)
    layers = list(plan.judge_layers(Discriminating(periods=(), windows=(256,), width=4), 4096))
    assert plan.forward_flops(layers) == pytest.approx(counted)


def test_a_pause_is_taken_when_there_is_nothing_else_and_stays_one(tmp_path):
    sf.write(tmp_path / "pause.wav", 1e-5 * voice(4000, 1), RATE, subtype="FLOAT")
    speech = divide([("pause.wav", tmp_path / "pause.wav")], RATE, 0.1, 0.0)
    assert np.abs(Crops(speech.train, RATE, 0.1, 64, -16.0, seed=1).batch(0, 2)).max() < 1e-3
    sf.write(tmp_path / "nothing.wav", np.zeros(4000), RATE)
    nothing = divide([("nothing.wav", tmp_path / "nothing.wav")], RATE, 0.1, 0.0)
    with pytest.raises(InputError, match="digital silence"):
        Crops(nothing.train, RATE, 0.1, 64, -16.0, seed=1).batch(0, 1)
