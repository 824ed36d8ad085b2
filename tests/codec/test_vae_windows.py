"""A recording in windows is the recording in one pass, and margins are no wider than they must be."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from published_vae import GOLDEN, tiny_codec, tiny_network
from safetensors.numpy import load_file

from dacse_cli.codec.stream import DecodeStream, EncodeStream
from dacse_cli.codec.vae.codec import VaeNetwork, place_vae
from dacse_cli.codec.vae.griffin_lim import GriffinLim
from dacse_cli.codec.vae.mel import MelSpectrum
from dacse_cli.codec.vae.shape import AutoencoderShape, GriffinLimShape, VaeShape
from dacse_cli.errors import InputError

FRAMES = 40
SAMPLES = FRAMES * 4096 - 1000


@pytest.fixture(scope="module")
def recording() -> np.ndarray:
    speech = load_file(GOLDEN / "mel.safetensors")["speech_wave"]
    return np.resize(speech, (1, SAMPLES))


@pytest.mark.parametrize("seconds", [0.9, 2.5])
def test_windows_equal_one_pass(recording, seconds):
    """Latents within 1e-5 and samples within 1e-5 of one pass, whatever the window."""
    codec = tiny_codec()
    whole = codec.encode(recording, window_seconds=100.0)
    latents = codec.encode(recording, window_seconds=seconds)
    assert latents.shape == (1, 20, FRAMES)
    assert np.abs(latents - whole).max() < 1e-5
    samples = codec.decode(whole, window_seconds=seconds)
    assert samples.shape == (1, FRAMES * 4096)
    assert np.abs(samples - codec.decode(whole, window_seconds=100.0)).max() < 1e-5


def test_narrower_margins_would_be_wrong(recording):
    """The margins are those of the layers: with a third of them the results differ."""
    codec = tiny_codec()
    whole = codec.encode(recording, window_seconds=100.0)
    samples = codec.decode(whole, window_seconds=100.0)
    spec = codec.spec
    codec.spec = dataclasses.replace(spec, encode_margin=spec.encode_margin // 3)
    assert np.abs(codec.encode(recording, window_seconds=2.5) - whole).max() > 1e-5
    codec.spec = dataclasses.replace(spec, decode_margin=spec.decode_margin // 3)
    assert np.abs(codec.decode(whole, window_seconds=2.5) - samples).max() > 1e-4


def test_streams_equal_calls(recording):
    """Pieces of odd sizes give bit for bit what one call with the same window gives."""
    codec, frames = tiny_codec(), 12
    encode, decode = EncodeStream(codec, 1, frames), DecodeStream(codec, 1, frames)
    pieces = [encode.push(recording[:, at : at + 7777]) for at in range(0, SAMPLES, 7777)]
    latents = np.concatenate([*pieces, encode.finish()], axis=-1)
    seconds = frames * 4096 / 22050 + 0.01
    np.testing.assert_array_equal(latents, codec.encode(recording, window_seconds=seconds))
    parts = [decode.push(latents[..., at : at + 5]) for at in range(0, FRAMES, 5)]
    samples = np.concatenate([*parts, decode.finish()], axis=-1)
    np.testing.assert_array_equal(samples, codec.decode(latents, window_seconds=seconds))


def test_stand_in_for_a_vocoder(recording):
    """Griffin and Lim's iteration amplifies rounding: windows change samples, but not the sound."""
    network = tiny_network()
    shape = VaeShape(network.shape.autoencoder, GriffinLimShape(16))
    weights = {n: t for n, t in network.state_dict().items() if n.startswith("autoencoder.")}
    codec = place_vae(VaeNetwork(shape, weights), shape.spec("stand-in"))
    latents = codec.encode(recording)
    whole, parts = (codec.decode(latents, window_seconds=s) for s in (100.0, 2.0))
    one, other = (MelSpectrum()(torch.from_numpy(samples)) for samples in (whole, parts))
    assert 8.7 * (one - other).abs().mean() < 0.5


def test_stand_in_sounds_like_its_spectrum(recording):
    """The mel spectrum of what it makes is the one that was asked for, within 1.1 dB on average."""
    speech = load_file(GOLDEN / "mel.safetensors")["speech_wave"][: 200 * 256]
    mel = MelSpectrum()(torch.from_numpy(speech)[None])
    again = MelSpectrum()(GriffinLim(32)(mel))
    assert 8.7 * (again - mel).abs().mean() < 1.1


def test_latents_of_another_width_are_refused():
    codec = tiny_codec()
    with pytest.raises(InputError, match="width 7, but tiny has 20"):
        codec.decode(np.zeros((1, 7, 3), np.float32))


def test_margins_of_the_released_model():
    """13 latents to encode, 16 to decode, 40 mel frames of the vocoder alone."""
    spec = VaeShape().spec("full")
    assert (spec.hop_length, spec.units.width, spec.sample_rate) == (4096, 80, 22050)
    assert (spec.encode_margin, spec.decode_margin, VaeShape().vocoder_margin) == (13, 16, 40)
    assert AutoencoderShape().reduction == 16
