"""A recording filtered by what a guide says is speech."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.audio.steering import FLOOR, Steering, erb_bands

RATES = [8000, 11025, 16000, 44100, 48000]


def steer(guide, dry, rate=16000, guide_rate=16000, cuts=()):
    steering = Steering(rate, len(dry), guide_rate)
    edges = [0, *sorted(cuts), dry.shape[1]]
    pieces = [steering.push(guide[:, a:b], dry[:, a:b]) for a, b in pairwise(edges)]
    return np.concatenate([*pieces, steering.finish()], axis=1)


def noise(channels, samples, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, samples)).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.sampled_from(RATES), st.integers(1, 4000), st.integers(1, 3))
def test_a_guide_that_is_the_recording_changes_nothing(rate, samples, channels):
    """Windows that do not add up, or a sample out of place, at any rate and length."""
    dry = noise(channels, samples)
    np.testing.assert_allclose(steer(dry, dry, rate, rate), dry, atol=1e-5)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3000), st.lists(st.integers(0, 3000), max_size=5))
def test_how_it_is_cut_does_not_matter(samples, cuts):
    dry, guide = noise(2, samples), 0.3 * noise(2, samples, 1)
    whole = steer(guide, dry)
    assert whole.shape == dry.shape
    np.testing.assert_allclose(steer(guide, dry, cuts=[min(c, samples) for c in cuts]), whole, atol=1e-5)


def test_silence_in_the_guide_turns_down_to_the_floor_and_no_further():
    dry = noise(1, 8000)
    np.testing.assert_allclose(steer(np.zeros_like(dry), dry), FLOOR * dry, atol=1e-5)
    assert not steer(dry, np.zeros_like(dry)).any()


def test_a_guide_of_lower_rate_leaves_the_top_to_its_highest_band():
    """With no gain there the result would be a telephone's; with a gain of 1 all hiss above stays."""
    t = np.arange(48000) / 48000
    speech, hiss = 0.3 * np.sin(2 * np.pi * 1000 * t), 0.1 * np.sin(2 * np.pi * 15000 * t)
    result = steer(speech[None].astype(np.float32), (speech + hiss)[None].astype(np.float32), 48000, 16000)
    spectrum = np.abs(np.fft.rfft(result[0])) / 24000
    assert spectrum[1000] == pytest.approx(0.3, rel=0.02)
    assert spectrum[15000] < 0.2 * 0.1


@pytest.mark.parametrize("rate", RATES)
def test_bands_share_every_bin_once(rate):
    bands = erb_bands(4 * round(rate * 0.008), rate, min(rate, 16000) / 2)
    np.testing.assert_allclose(bands.sum(axis=0), 1, atol=1e-6)
    assert (bands.sum(axis=1) > 0).all()
