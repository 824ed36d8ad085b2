"""A recording filtered by what a voice says is speech."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.filters.voice_gains import FLOOR, VoiceGains, erb_bands

RATES = [8000, 11025, 16000, 44100, 48000]


def steer(voice, dry, rate=16000, voice_rate=16000, cuts=(), through=None):
    """Through a codec that changes nothing, or as `through` says."""
    stream = VoiceGains(voice_rate).start(len(dry), rate)
    edges = [0, *sorted(cuts), dry.shape[1]]
    guides = np.stack([voice, dry if through is None else through])
    pieces = [stream.push(dry[:, a:b], guides[:, :, a:b]) for a, b in pairwise(edges)]
    return np.concatenate([*pieces, stream.finish()], axis=1)


def noise(channels, samples, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(RATES), st.integers(1, 4000), st.integers(1, 3))
def test_a_voice_that_is_the_recording_changes_nothing(rate, samples, channels):
    """Windows that do not add up, or a sample out of place, at any rate and length."""
    dry = noise(channels, samples)
    np.testing.assert_allclose(steer(dry, dry, rate, rate), dry, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3000), st.lists(st.integers(0, 3000), max_size=5))
def test_how_it_is_cut_does_not_matter(samples, cuts):
    dry, voice = noise(2, samples), 0.3 * noise(2, samples, 1)
    whole = steer(voice, dry)
    assert whole.shape == dry.shape
    np.testing.assert_allclose(steer(voice, dry, cuts=[min(c, samples) for c in cuts]), whole, atol=1e-5)


def test_silence_in_the_voice_turns_down_to_the_floor_and_no_further():
    dry = noise(1, 8000)
    left = np.sqrt(np.square(steer(np.zeros_like(dry), dry)).mean() / np.square(dry).mean())
    assert FLOOR <= left < 1.25 * FLOOR  # a bin that is louder than before may be speech
    assert not steer(dry, np.zeros_like(dry)).any()


def test_the_colour_of_the_codec_is_not_taken_for_noise():
    """A codec that makes everything softer makes the voice softer, too: nothing is turned down for it."""
    dry = noise(1, 8000)
    np.testing.assert_allclose(steer(0.1 * dry, dry, through=0.1 * dry), dry, atol=1e-5)
    assert np.abs(steer(0.1 * dry, dry)).mean() < 0.2 * np.abs(dry).mean()


def test_above_the_voice_the_gain_of_the_highest_band_goes_on():
    """With no gain there the result would be a telephone's; with a gain of 1 all hiss above would stay."""
    t = np.arange(48000) / 48000
    tone = lambda level, hertz: (level * np.sin(2 * np.pi * hertz * t))[None].astype(np.float32)  # noqa: E731
    voice, hiss = tone(0.3, 1000), tone(0.1, 7900)
    result = steer(voice, voice + hiss + tone(0.1, 15000), 48000, 16000, through=voice + hiss)
    spectrum = np.abs(np.fft.rfft(result[0])) / 24000
    assert spectrum[1000] == pytest.approx(0.3, rel=0.02)
    assert spectrum[15000] < 0.1 * 0.1


def test_noise_between_harmonics_is_learned_where_nobody_speaks():
    """A second of noise alone, then a tone in it: the band that holds the tone is open, its noise is not."""
    rng = np.random.default_rng(3)
    hiss = (0.02 * rng.standard_normal((1, 48000))).astype(np.float32)
    tone = (0.3 * np.sin(2 * np.pi * 4000 * np.arange(48000) / 16000))[None].astype(np.float32)
    tone[:, :16000] = 0
    result = steer(tone, tone + hiss)[0, 24000:40000]
    spectrum = np.abs(np.fft.rfft(result)) / 8000
    before = np.abs(np.fft.rfft((tone + hiss)[0, 24000:40000])) / 8000
    assert spectrum[4000] == pytest.approx(0.3, rel=0.05)
    beside = np.r_[3500:3700, 4300:4500]  # far enough to be none of the tone, in its bands still
    assert np.square(spectrum[beside]).sum() < 0.4 * np.square(before[beside]).sum()


@pytest.mark.parametrize("rate", RATES)
def test_bands_share_every_bin_once(rate):
    bands = erb_bands(4 * round(rate * 0.008), rate, min(rate, 16000) / 2)
    np.testing.assert_allclose(bands.sum(axis=0), 1, atol=1e-6)
    assert (bands.sum(axis=1) > 0).all()
