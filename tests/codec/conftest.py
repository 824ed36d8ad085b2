"""Small DAC models with lively weights: the default initialisation would give one code for all sound."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import DacConfig, DacModel

from dacse_cli.codec.dac.codec import DacCodec
from dacse_cli.codec.dac.network import DacNetwork
from dacse_cli.codec.dac.shape import DacShape, shape_from_config


@pytest.fixture(autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class TinyDac:
    """A random `DacModel` and the `DacCodec` over the same weights.

    With `double`, both compute in float64: then rounding decides no code, and what differs is a fault.
    """

    def __init__(self, strides, *, K=3, size=64, rate=16000, seed=0, hidden=None, double=False):
        config = DacConfig(
            encoder_hidden_size=4,
            decoder_hidden_size=2 * 2 ** len(strides),
            downsampling_ratios=list(strides),
            n_codebooks=K,
            codebook_size=size,
            codebook_dim=4,
            sampling_rate=rate,
        )
        if hidden:
            config.hidden_size = hidden
        self.model = enliven(DacModel(config), seed)
        self.shape: DacShape = shape_from_config(config.to_dict(), source="test")
        weights = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}
        network = DacNetwork(self.shape, weights)
        if double:
            self.model.double()
            network = DoubleNetwork(network)
        self.network = network
        self.codec = DacCodec(network, self.shape.spec("tiny"))

    @torch.inference_mode()
    def encode(self, samples):
        """The whole recording in one pass of the untouched model: the truth to compare with."""
        hop = self.shape.hop_length
        padded = np.pad(samples, ((0, 0), (0, -samples.shape[1] % hop)))
        return self.model.encode(torch.from_numpy(padded)[:, None].to(self.model.dtype)).audio_codes.numpy()

    @torch.inference_mode()
    def decode(self, codes):
        return self.model.decode(audio_codes=torch.from_numpy(codes.astype(np.int64))).audio_values.numpy()


class DoubleNetwork:
    """A `DacNetwork` that computes in float64."""

    def __init__(self, network):
        self._network = network.double()
        self.width = network.width

    def encode(self, samples):
        return self._network.encode(samples.double())

    def quantize(self, latents):
        return self._network.quantize(latents)

    def embed(self, codes):
        return self._network.embed(codes)

    def decode(self, latents):
        return self._network.decode(latents.double()).float()


def enliven(model, seed):
    """Variance-preserving weights, so that codes differ and every tap matters."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("alpha"):
                parameter.copy_(torch.rand(parameter.shape, generator=generator) + 0.5)
            elif parameter.ndim == 3:
                scale = 0.5 / math.sqrt(parameter[0].numel())
                parameter.copy_(scale * torch.randn(parameter.shape, generator=generator))
            elif "codebook" in name:
                parameter.copy_(torch.randn(parameter.shape, generator=generator))
    return model.eval()


def noise(channels, samples, seed=0):
    """Coloured noise with pauses, [C, S]."""
    rng = np.random.default_rng(seed)
    wave = rng.standard_normal((channels, samples)).cumsum(axis=1) * 0.02
    wave *= np.sin(np.arange(samples) / 997) > -0.6
    return (0.5 * np.sin(wave)).astype(np.float32)


@pytest.fixture(scope="session")
def tiny_dac():
    return TinyDac


@pytest.fixture(scope="session")
def make_noise():
    return noise


@pytest.fixture
def golden():
    return Path(__file__).parents[1] / "golden"


@pytest.fixture
def saved_dac(tmp_path, tiny_dac):
    """A model folder as `save_pretrained` writes it, and the model in it."""
    tiny = tiny_dac((2, 4))
    folder = tmp_path / "dac"
    tiny.model.save_pretrained(folder)
    return folder, tiny
