"""The limiter: nothing above the ceiling, nothing touched far from a peak, the same for every cutting."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.audio.limiter import REACH, Limiter
from dacse_cli.audio.loudness import TruePeakMeter

RATE = 16_000


def limited(samples, ceiling, cuts=()):
    limiter = Limiter(RATE, len(samples), ceiling)
    pieces = [limiter.push(piece) for piece in np.split(samples, sorted(cuts), axis=1)]
    return np.concatenate([*pieces, limiter.finish()], axis=1)


def true_peak(samples):
    meter = TruePeakMeter(RATE, len(samples))
    meter.push(samples)
    return meter.finish()


@pytest.mark.parametrize("ceiling", [-1.0, -6.0, -20.0])
@pytest.mark.parametrize("level", [0.1, 1.0, 4.0])
def test_no_true_peak_is_above_the_ceiling(ceiling, level):
    rng = np.random.default_rng(0)
    samples = (level * rng.standard_normal((2, RATE)) * (rng.random(RATE) < 0.02)).astype(np.float32)
    out = limited(samples, ceiling)
    assert out.shape == samples.shape
    assert true_peak(out) <= ceiling + 0.05


def test_samples_far_from_a_peak_are_unchanged():
    samples = np.full((1, RATE), 0.1, np.float32)
    samples[0, RATE // 2] = 2.0
    out = limited(samples, -1.0)
    far = np.abs(np.arange(RATE) - RATE // 2) > 2 * REACH * RATE + 2
    np.testing.assert_array_equal(out[0, far], samples[0, far])
    assert np.abs(np.diff(out[0, ~far] / samples[0, ~far])).max() < 0.02


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(0, 3000), max_size=6), st.integers(0, 3000))
def test_limiting_in_pieces_gives_the_same_samples(cuts, length):
    samples = (2 * np.random.default_rng(1).standard_normal((1, length))).astype(np.float32)
    whole = limited(samples, -3.0)
    cut = limited(samples, -3.0, [at for at in cuts if at <= length])
    np.testing.assert_allclose(cut, whole, atol=1e-6)
