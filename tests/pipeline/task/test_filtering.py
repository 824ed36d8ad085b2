"""Filters alone: recordings through a `Filter` by the same journal, rates, channels and mix as everything."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch
from engine_runs import enhance

from dacse_cli import Enhancer, registry
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import CheckpointError, InputError, ModelError, UsageError
from dacse_cli.filters.mask.config import MaskConfig
from dacse_cli.filters.mask.load import mask_config_values
from dacse_cli.filters.mask.network import MaskNetwork
from dacse_cli.pipeline.request.find_models import find_models
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.reading.sources import ArraySource, Signal
from dacse_cli.pipeline.wire.messages import Form

SMALL = MaskConfig(width=8, dilations=(1,))


class Delayed:
    """A filter that halves, and gives samples back `late` samples later; counts its streams."""

    guides, lookahead = 0, 0.01

    def __init__(self, rate=None, late=700):
        self.rate, self.late, self.channels = rate, late, []

    def start(self, channels, rate):
        assert self.rate in (None, rate)
        self.channels.append(channels)
        return DelayedStream(np.zeros((channels, 0), np.float32), self.late)


class DelayedStream:
    def __init__(self, held, late):
        self.held, self.late = held, late

    def push(self, dry, guides=None):
        self.held = np.concatenate([self.held, dry], axis=1)
        ready = max(0, self.held.shape[1] - self.late)
        out, self.held = self.held[:, :ready], self.held[:, ready:]
        return out / 2

    def finish(self):
        return self.held / 2


def noise(channels, samples, rate):
    wave = np.random.default_rng(0).uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)
    return ArraySource(wave, Signal.of_array(wave, rate))


@pytest.mark.parametrize(("rate", "samples"), [(8000, 1), (16000, 699), (44100, 50_000)])
def test_every_sample_in_its_place(rate, samples):
    source = noise(2, samples, rate)
    (result,) = enhance([source], Models(filter=Delayed()))
    np.testing.assert_allclose(result, source.samples / 2, atol=1e-7)


def test_a_filter_of_one_rate_gets_that_rate_and_keeps_the_length():
    filter_ = Delayed(rate=16000)
    source = noise(1, 30_001, 48000)
    (result,) = enhance([source], Models(filter=filter_))
    assert result.shape == source.samples.shape
    (out,) = enhance([source], Models(filter=filter_), sound=SoundOptions(rate=24000))
    assert out.shape == (1, 15_001)


def test_channels_mix_and_strength():
    source, filter_ = noise(2, 9000, 16000), Delayed()
    equal = np.concatenate([source.samples[:1]] * 3)
    (result,) = enhance([ArraySource(equal, Signal.of_array(equal, 16000))], Models(filter=filter_))
    np.testing.assert_allclose(result, equal / 2, atol=1e-7)
    assert filter_.channels == [1]  # equal channels once
    (half,) = enhance([source], Models(filter=filter_), sound=SoundOptions(mix=0.5))
    np.testing.assert_allclose(half, 0.75 * source.samples, atol=1e-6)
    (dry,) = enhance([source], Models(filter=filter_), sound=SoundOptions(mix=0))
    assert (dry == source.samples).all()
    (mono,) = enhance([source], Models(filter=filter_), sound=SoundOptions(channels="mono"))
    np.testing.assert_allclose(mono, source.samples.mean(axis=0, keepdims=True) / 2, atol=1e-7)


def mask_folder(folder, config=SMALL):
    from safetensors.torch import save_file

    torch.manual_seed(0)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(mask_config_values(config)))
    save_file(MaskNetwork(config).state_dict(), folder / "model.safetensors")
    return folder


def request(model, form=Form.ENHANCE, codec=None, **sound):
    models = ModelOptions(str(model), codec=codec, offline=True)
    return Request(form, (), None, models, ChunkOptions(), SoundOptions(**sound)).check()


def test_a_folder_of_a_mask_network_is_a_model_without_codec(tmp_path):
    found = find_models(request(mask_folder(tmp_path / "mask")))
    assert (found.plan.codec, found.plan.translator, found.plan.filter.kind) == (None, None, "dacse-mask")
    assert found.method == "mask"
    with pytest.raises(UsageError, match="has no method generate, only mask"):
        find_models(request(tmp_path / "mask", method="generate")).plan  # noqa: B018
    with pytest.raises(UsageError, match="has no codec"):
        find_models(request(tmp_path / "mask", Form.TOKENIZE))


def test_it_enhances_arrays_and_files(tmp_path):
    source = noise(2, 24_000, 16000)
    with Enhancer(str(mask_folder(tmp_path / "mask")), device="cpu") as enhancer:
        made = enhancer.enhance(source.samples, 16000)
        assert made.samples.shape == source.samples.shape and np.isfinite(made.samples).all()
        assert not np.allclose(made.samples, source.samples, atol=1e-3)
        pieces = list(enhancer.stream(source.samples, 16000))
        np.testing.assert_allclose(np.concatenate([p.samples for p in pieces], 1), made.samples, atol=1e-6)
        soundfile.write(tmp_path / "a.wav", source.samples.T, 16000, subtype="FLOAT")
        enhancer.enhance_file(tmp_path / "a.wav", tmp_path / "b.wav")
        np.testing.assert_allclose(soundfile.read(tmp_path / "b.wav")[0].T, made.samples, atol=1e-6)


def test_a_model_brings_a_filter_beside_it(tmp_path, tiny_model):
    import shutil

    folder = tmp_path / "model"
    shutil.copytree(tiny_model, folder)
    card = json.loads((folder / "dacse.json").read_text())
    for guides, methods in ((0, "generate, filter, mask"), (1, "generate, filter")):
        inner = mask_folder(folder / f"mask{guides}", replace(SMALL, guides=guides))
        (folder / "dacse.json").write_text(json.dumps({**card, "filter": inner.name}))
        found = find_models(request(folder))
        assert ", ".join(found._methods) == methods
        part = found.plan_for("mask" if guides == 0 else "filter").filter
        assert (part.kind, part.folder) == ("dacse-mask", str(inner))
        with (
            pytest.raises(CheckpointError, match="guided by a voice")
            if guides
            else pytest.raises(CheckpointError)
        ):
            find_models(request(inner if guides else tiny_model / "codec"))
    for name in ("absent", "..", "/tmp"):
        (folder / "dacse.json").write_text(json.dumps({**card, "filter": name}))
        with pytest.raises(CheckpointError, match="names the filter"):
            find_models(request(folder))


def test_every_kind_is_known_by_its_config_alone():
    """A line of the registry that names nothing, or a folder that two kinds take for theirs."""
    for kind in registry.KINDS:
        assert callable(registry._imported(kind.load)), kind.name
        assert not kind.spec or callable(registry._imported(kind.spec))
    for model_type, name in (
        ("llama", "llama"),
        ("dac", "dac"),
        ("dacse-set", "set"),
        ("dacse-mask", "dacse-mask"),
    ):
        assert [k.name for k in registry.KINDS if k.recognises({"model_type": model_type})] == [name]
    assert registry.recognise({"model_type": "bert"}) is None and registry.recognise([1]) is None
    assert registry.named("deepfilternet3").role == "filter" and registry.named("voice-gains") is None
    with pytest.raises(ModelError, match="not a kind of model"):
        registry.by_name("bert")


def test_an_unknown_folder_is_refused_with_the_kinds_that_are_known(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "bert\\u001b[2J"}')
    with pytest.raises(CheckpointError) as caught:
        registry.kind_of(tmp_path)
    assert "bert" in caught.value.message and "\x1b" not in caught.value.message
    assert all(kind.name in caught.value.hint for kind in registry.KINDS if kind.needs_files)


def test_a_token_file_needs_a_codec():
    with pytest.raises(InputError, match="token files need a codec"):
        Models(filter=Delayed()).spec  # noqa: B018
