"""Losses: the published mel distance, discriminators and what both sides minimise, latents kept apart."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from training_runs import RATE, voice

from dacse_cli.codec.mel_filters import mel_filters
from dacse_cli.training.codec.recipe import BANDS, DiscriminatorPart
from dacse_cli.training.losses.adversarial import (
    adversarial_loss,
    discriminator_loss,
    feature_distance,
    halves,
)
from dacse_cli.training.losses.discriminators import WaveDiscriminators
from dacse_cli.training.losses.dispersive import dispersive_loss
from dacse_cli.training.losses.intelligibility import Unintelligibility
from dacse_cli.training.losses.opinion import CURVES, SAMPLES, Opinion
from dacse_cli.training.losses.perceived import PerceivedDisturbance
from dacse_cli.training.losses.speaker import LEVEL, VoiceChange
from dacse_cli.training.losses.spectra import SCALES, SpectralDistance


def discriminators(periods=(), windows=(), width=2):
    return WaveDiscriminators(periods, windows, width, BANDS)


def test_the_released_mel_distance_cuts_at_its_floor():
    """log10 of max(mel, 1e-5), summed over seven scales; a version of it had mel + 2e-3."""
    wav = torch.stack([torch.from_numpy(voice(4000, 1)), torch.from_numpy(voice(4000, 2))])
    wav[:, 2000:] = 1e-6 * torch.randn(2, 2000)
    expected = 0.0
    for window, bins in SCALES:
        stft = torch.stft(wav, window, window // 4, window=torch.hann_window(window), return_complex=True)
        log = (mel_filters(RATE, window, bins).float() @ stft.abs()).clamp(min=1e-5).log10()
        expected += float((log[0] - log[1]).abs().mean())
    found = SpectralDistance(RATE)(wav[:1], wav[1:])
    assert float(found.mel) == pytest.approx(expected, rel=1e-5)
    assert float(SpectralDistance(RATE, floor="add")(wav[:1], wav[1:]).mel) < 0.8 * expected
    assert float(found.wave) == pytest.approx(float((wav[0] - wav[1]).abs().mean()))


def test_mel_filters_are_slaneys():
    """Unit area over hertz, linear below 1 kHz: what librosa's default gives."""
    filters = mel_filters(16000, 512, 40)
    assert filters.shape == (40, 257)
    peaks = filters.argmax(1) * 16000 / 512
    assert float(peaks[1] - peaks[0]) == pytest.approx(float(peaks[5] - peaks[4]), abs=32)
    assert float((filters.sum(1) * 16000 / 512)[20:].mean()) == pytest.approx(1.0, rel=0.05)


def test_discriminators_return_maps_of_every_layer_and_a_verdict():
    features = discriminators((2, 3), (128, 64))(torch.randn(4, 999))
    assert [len(one) for one in features] == [6, 6, 26, 26]
    first, second = halves(features)
    assert all(
        a.shape == b.shape and len(a) == 2
        for x, y in zip(first, second, strict=True)
        for a, b in zip(x, y, strict=True)
    )


def test_the_released_discriminators_have_their_size():
    """Five periods of 8.2 M and three spectra of 0.47 M parameters each, weight norm's gains included."""
    part = DiscriminatorPart()
    with torch.device("meta"):
        network = discriminators(part.periods, part.windows, part.width)
    assert sum(parameter.numel() for parameter in network.parameters()) == pytest.approx(42e6, rel=0.03)


def test_a_level_or_an_offset_changes_no_verdict():
    network, wav = discriminators((2,), (64,)), torch.randn(1, 500)
    for a, b in zip(network(wav), network(0.3 * wav + 0.1), strict=True):
        assert torch.allclose(a[-1], b[-1], atol=1e-4)


@pytest.mark.parametrize("kind", ["lsgan", "hinge"])
def test_discriminators_learn_to_distinguish_tones_from_noise_and_the_losses_show_it(kind):
    torch.manual_seed(0)
    network = discriminators((2,), (64,), 4)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3)
    real = torch.from_numpy(np.stack([voice(800, number) for number in range(4)]))
    made, seen = 0.2 * torch.randn(4, 800), []
    for _ in range(25):
        features = halves(network(torch.cat([real, made])))
        loss = discriminator_loss(kind, *features)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        seen.append((float(loss.detach()), float(adversarial_loss(kind, features[1]).detach())))
    assert seen[-1][0] < 0.6 * seen[0][0]
    assert seen[-1][1] > seen[-1][0]
    assert float(feature_distance(features[0], features[0]).detach()) == 0.0


def test_latents_are_dispersed_when_they_are_orthogonal():
    assert float(dispersive_loss(torch.eye(3))) == pytest.approx(0.0)
    assert float(dispersive_loss(torch.tensor([[1.0, 0.0], [1.0, 1.0]]))) == pytest.approx(0.5)
    assert float(dispersive_loss(torch.ones(4, 2, 3))) == pytest.approx(1.0)
    assert math.isclose(float(dispersive_loss(torch.tensor([[1.0], [-1.0]]))), 1.0)
    with pytest.raises(ValueError, match="at least 2"):
        dispersive_loss(torch.ones(1, 5))


def test_opinions_are_those_of_the_published_network():
    speechmos = pytest.importorskip("speechmos")
    onnxruntime = pytest.importorskip("onnxruntime")
    rng = np.random.default_rng(0)
    seconds = np.arange(SAMPLES) / 16000
    sound = 0.1 * np.sin(2 * np.pi * 150 * seconds * (1 + seconds / 50)) + 0.01 * rng.standard_normal(SAMPLES)
    path = Path(speechmos.__file__).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    session = onnxruntime.InferenceSession(str(path))
    (raw,) = session.run(None, {"input_1": sound[None].astype(np.float32)})
    opinion = Opinion()
    ours = opinion(torch.from_numpy(sound[None].astype(np.float32)))
    published = [
        sum(c * raw[0, i] ** n for n, c in zip((2, 1, 0), curve, strict=True))
        for i, curve in enumerate(CURVES)
    ]
    np.testing.assert_allclose(ours[0].numpy(), published, atol=1e-3)


def test_perceived_disturbance_follows_pesq():
    pesq = pytest.importorskip("pesq").pesq
    rng, ours, published = np.random.default_rng(0), [], []
    perceived = PerceivedDisturbance()
    seconds = np.arange(48000) / 16000
    syllables = 0.5 + 0.5 * np.sin(2 * np.pi * 4 * seconds)
    clean = 0.1 * syllables * sum(np.sin(2 * np.pi * 140 * h * seconds) / h for h in range(1, 30))
    for gain in (0.0002, 0.0006, 0.002, 0.006):
        noisy = clean + gain * rng.standard_normal(len(clean))
        published.append(pesq(16000, clean.astype(np.float32), noisy.astype(np.float32), "wb"))
        pair = torch.from_numpy(np.stack([noisy, clean]).astype(np.float32))
        raw = 4.5 - float(perceived(pair[:1], pair[1:]))
        ours.append(0.999 + 4 / (1 + np.exp(-1.3669 * raw + 3.8224)))
    assert np.all(np.diff(ours) < 0)
    np.testing.assert_allclose(ours, published, atol=0.35)


def test_perceived_disturbance_of_equal_sounds_and_its_gradient():
    perceived = PerceivedDisturbance()
    sound = 0.1 * torch.randn(2, 9000, generator=torch.Generator().manual_seed(0))
    assert perceived(sound, sound).max() < 0.01
    estimate = (sound + 0.05 * torch.randn(2, 9000)).requires_grad_()
    perceived(estimate, sound).sum().backward()
    assert torch.isfinite(estimate.grad).all() and estimate.grad.abs().max() > 0
    assert torch.isfinite(perceived(estimate, torch.zeros_like(sound))).all()


def test_unintelligibility_follows_stoi():
    stoi = pytest.importorskip("pystoi").stoi
    rng, ours, published = np.random.default_rng(0), [], []
    seconds = np.arange(48000) / 16000
    syllables = np.clip(np.sin(2 * np.pi * 3 * seconds) + 0.3 * np.sin(2 * np.pi * 5 * seconds), 0.05, 1)
    clean = (
        0.1 * syllables * sum(np.sin(2 * np.pi * 140 * h * seconds + h * h) / h**0.5 for h in range(1, 50))
    )
    for gain in (0.0, 0.03, 0.1, 0.3, 1.0):
        noisy = clean + gain * rng.standard_normal(len(clean))
        published.append(stoi(clean, noisy, 16000))
        pair = torch.from_numpy(np.stack([noisy, clean]).astype(np.float32))
        ours.append(1.0 - float(Unintelligibility()(pair[:1], pair[1:])))
    assert np.all(np.diff(ours) < 0)
    np.testing.assert_allclose(ours, published, atol=0.08)


def test_voice_changes_are_those_of_the_published_network():
    """Whole segments without pauses: what the package itself measures; and a gradient."""
    resemblyzer = pytest.importorskip("resemblyzer")
    encoder = resemblyzer.VoiceEncoder("cpu", verbose=False)
    first, second = (torch.from_numpy(voice(160 * 160, number))[None] for number in (1, 2))
    first, second = (LEVEL * row / row.square().mean().sqrt() for row in (first, second))
    mels = [resemblyzer.audio.wav_to_mel_spectrogram(row[0].numpy())[:160] for row in (first, second)]
    one, two = encoder(torch.from_numpy(np.stack(mels)))
    change = VoiceChange()
    estimate = first.clone().requires_grad_()
    found = change(estimate, second)
    assert float(found[0].detach()) == pytest.approx(float(1 - one @ two), abs=2e-3)
    found.sum().backward()
    assert torch.isfinite(estimate.grad).all() and estimate.grad.abs().max() > 0
    assert float(change(first, first)[0].detach()) == pytest.approx(0, abs=1e-5)
    assert float(change(first[:, :8000], second[:, :8000])[0]) == 0
