"""DC-Speech-VAE and BigVGAN number for number as the published code computes them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
from published_vae import GOLDEN, formula, small_codec, small_network
from safetensors.torch import load_file
from torch import Tensor
from torch.nn.functional import layer_norm

from dacse_cli.codec.mel_filters import mel_filters
from dacse_cli.codec.vae.antialias import AntialiasedSnake, kaiser_lowpass, snake_beta
from dacse_cli.codec.vae.autoencoder import Autoencoder
from dacse_cli.codec.vae.bigvgan import BigVgan
from dacse_cli.codec.vae.codec import vae_shapes
from dacse_cli.codec.vae.mel import MelSpectrum
from dacse_cli.codec.vae.shape import AutoencoderShape, VaeShape, VocoderShape
from dacse_cli.errors import CodecError
from dacse_cli.weights.folding import fold_weight_norm, folded_shapes

FULL = json.loads((GOLDEN / "full_shapes.json").read_text())
FILTERS = ("upsample.filter", "lowpass.filter")


@pytest.fixture(scope="module")
def network():
    return small_network()


@pytest.fixture(scope="module")
def autoencoder_numbers():
    return load_file(GOLDEN / "autoencoder.safetensors")


@pytest.fixture(scope="module")
def vocoder_numbers():
    return load_file(GOLDEN / "bigvgan.safetensors")


def off(ours: Tensor, theirs: Tensor) -> float:
    assert ours.shape == theirs.shape
    return (ours - theirs).abs().max().item()


@pytest.mark.parametrize("name", ["speech", "noise", "silence", "impulse", "edge_impulse", "sine"])
def test_mel(name):
    """Mirrored edges, periodic window, Slaney's filters, floor.

    Magnitudes are equal to 1e-6 of the loudest, their logarithms to 1e-4 within 60 dB of it: what is softer
    depends on how a processor rounds in an FFT (5e-4 between two of them; 7e-3 beside a loud tone).
    """
    numbers = load_file(GOLDEN / "mel.safetensors")
    wave = {
        "silence": torch.zeros(4096),
        "impulse": torch.eye(1, 4096, dtype=torch.float32)[0].roll(2048),
        "edge_impulse": torch.eye(1, 4096)[0],
        "sine": (3 * torch.sin(2 * math.pi * 1000 / 22050 * torch.arange(4096).double())).float(),
    }.get(name, numbers.get(f"{name}_wave"))
    mel = MelSpectrum()(wave.reshape(-1, wave.shape[-1]))
    theirs = numbers[f"{name}_mel"]
    ours, loudest = mel.reshape(theirs.shape), theirs.exp().max()
    assert off(ours.exp(), theirs.exp()) < 1e-6 * max(1.0, loudest)
    loud = theirs.exp() > 1e-3 * loudest
    assert off(ours[loud], theirs[loud]) < 1e-4
    if name == "speech":
        assert off(mel_filters(22_050, 1024, 80).float(), numbers["mel_basis"]) < 1e-8


@torch.inference_mode()
def test_autoencoder(network, autoencoder_numbers):
    """Every stage, the norm of the latents, and their order as 80 values of a frame."""
    numbers, own = autoencoder_numbers, network.autoencoder
    assert off(own.encode(numbers["mel"]), numbers["latent_1d"]) < 1e-5
    assert off(own.decode(numbers["latent_1d"]), numbers["decoded"]) < 1e-4
    x = own.encoder.conv_in(numbers["mel"][:1, None])
    assert off(x, numbers["stage.encoder.conv_in"]) < 1e-5
    for place, block in enumerate(own.encoder.down_blocks):
        x = block(x)
        assert off(x, numbers[f"stage.encoder.down_blocks.{place}"]) < 1e-4
    raw = own.encoder(numbers["mel"][:, None])
    assert off(raw, numbers["latent_raw"]) < 1e-5
    normed = layer_norm(raw.movedim(1, -1), (4,), eps=1e-5).movedim(-1, 1)
    assert off(normed, numbers["latent"]) < 1e-5


@torch.inference_mode()
def test_noise_of_training(network, autoencoder_numbers):
    """Noise of one deviation per row is added behind the norm."""
    numbers = autoencoder_numbers
    noise = (numbers["train_noise"] * numbers["train_std"]).flatten(1, 2)
    decoded, latents = network.autoencoder(numbers["mel"], noise)
    assert off(latents + noise, numbers["train_noisy_latent"].flatten(1, 2)) < 1e-5
    assert off(decoded, numbers["train_decoded"]) < 1e-4


@torch.inference_mode()
def test_vocoder(network, vocoder_numbers):
    """The wave, 2 % of which is clamped, and the first stages."""
    numbers, own = vocoder_numbers, network.vocoder
    assert off(own(numbers["mel"]), numbers["wave"][:, 0]) < 1e-5
    x = own.conv_pre(numbers["mel"][:1])
    assert off(x, numbers["stage.conv_pre"]) < 1e-5
    x = own.ups[0][0](x)
    assert off(x, numbers["stage.ups.0"]) < 1e-5
    assert off(own.resblocks[0](x), numbers["stage.resblocks.0"]) < 1e-5


@torch.no_grad()
def test_activation(vocoder_numbers):
    """At twice the rate; one frame too, where padding is all there is."""
    numbers = vocoder_numbers
    own = AntialiasedSnake(3)
    own.alpha.copy_(numbers["activation.alpha"])
    own.beta.copy_(numbers["activation.beta"])
    assert off(own(numbers["activation.in"]), numbers["activation.out"]) < 2e-6
    assert off(own(numbers["activation.one_frame_in"]), numbers["activation.one_frame_out"]) < 2e-6
    assert off(kaiser_lowpass(), numbers["activation.filter_up"][0, 0]) < 1e-7
    active = snake_beta(numbers["activation.upsampled"], own.alpha[:, None], own.beta[:, None])
    assert off(active, numbers["activation.activated"]) < 2e-6


def test_whole_path():
    """Samples to samples as the published wrapper gives them."""
    wave = load_file(GOLDEN / "mel.safetensors")["speech_wave"].numpy()
    numbers = load_file(GOLDEN / "inference.safetensors")
    codec = small_codec()
    latents = codec.encode(wave[None])
    assert off(torch.from_numpy(latents[0]), numbers["latent_1d"]) < 1e-5
    assert off(torch.from_numpy(codec.decode(latents)[0]), numbers["wave_out"]) < 1e-5


def test_lengths():
    """Frames and padded samples for any length; the published code cuts nothing off, its callers must."""
    (lengths,) = json.loads((GOLDEN / "inference_lengths.json").read_text()).values()
    codec = small_codec()
    for samples, (shape, out) in lengths.items():
        if int(samples) < 9000:
            latents = codec.encode(np.zeros((1, int(samples)), np.float32))
            assert [*latents.shape] == shape
            assert codec.decode(latents).shape == (1, out)


def test_names_and_shapes_of_the_released_models():
    """All 227 and 783 tensors, folded to exactly the tensors of our networks."""
    own = {n: tuple(s) for n, (_, s) in FULL["autoencoder"]["tensors"].items()}
    vocoder = {n: tuple(s) for n, (_, s) in FULL["bigvgan"]["tensors"].items()}
    assert (len(own), len(vocoder)) == (227, 783)
    stored = {f"autoencoder.{name.removeprefix('model.')}": shape for name, shape in own.items()}
    stored |= {f"vocoder.{n}": shape for n, shape in vocoder.items() if not n.endswith(FILTERS)}
    assert folded_shapes(stored, CodecError) == vae_shapes(VaeShape())


@pytest.mark.slow
def test_full_size_with_weights_by_formula():
    """The released shapes, 302 million weights, against the published code with the same formula."""
    numbers = load_file(GOLDEN / "full_formula.safetensors")
    own = Autoencoder(AutoencoderShape()).requires_grad_(False)
    own.load_state_dict(by_formula("autoencoder", "model."))
    with torch.inference_mode():
        assert off(own.encode(numbers["autoencoder.mel"]), numbers["autoencoder.latent"].flatten(1, 2)) < 5e-5
        latents = numbers["autoencoder.latent"].flatten(1, 2)
        assert off(own.decode(latents), numbers["autoencoder.decoded"]) < 5e-5
        del own
        vocoder = BigVgan(VocoderShape()).requires_grad_(False)
        vocoder.load_state_dict(by_formula("bigvgan", ""))
        assert off(vocoder(numbers["bigvgan.mel"]), numbers["bigvgan.wave"][:, 0]) < 1e-5


def by_formula(part: str, prefix: str) -> dict[str, Tensor]:
    stored = {
        name.removeprefix(prefix): formula(place, name, shape)
        for place, (name, (_, shape)) in enumerate(FULL[part]["tensors"].items())
        if not name.endswith(FILTERS)
    }
    return fold_weight_norm(stored, CodecError)
