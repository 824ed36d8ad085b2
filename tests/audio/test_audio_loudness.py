"""The streamed meters against pyloudnorm, against known tones, and against themselves in other pieces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.audio.loudness import FLOOR, LoudnessMeter, TruePeakMeter, loudness


def speechlike(seconds, rate, channels=1, seed=0):
    """Noise in words and pauses, so that the gates have something to do."""
    rng = np.random.default_rng(seed)
    n = int(seconds * rate)
    envelope = np.repeat(rng.choice([0.001, 0.05, 0.3], int(seconds * 4) + 1), rate // 4 + 1)[:n]
    return (rng.standard_normal((channels, n)) * envelope * 0.3).astype(np.float32)


def measured(samples, rate, piece=10_000):
    meter = LoudnessMeter(rate, len(samples))
    for start in range(0, samples.shape[1], piece):
        meter.push(samples[:, start : start + piece])
    return meter.integrated()


@pytest.mark.parametrize("channels", [1, 2, 5])
@pytest.mark.parametrize("rate", [8000, 16_000, 44_100, 48_000, 96_000])
def test_loudness_equals_pyloudnorm(rate, channels):
    pyloudnorm = pytest.importorskip("pyloudnorm")
    samples = speechlike(8, rate, channels)
    theirs = pyloudnorm.Meter(rate, filter_class="DeMan").integrated_loudness(samples.T.astype(np.float64))
    assert measured(samples, rate) == pytest.approx(theirs, abs=0.02)


def test_loudness_of_the_test_tone_of_the_standard():
    """997 Hz at 0 dBFS in one channel reads -3.01 LUFS."""
    tone = np.sin(2 * np.pi * 997 * np.arange(48_000 * 3) / 48_000).astype(np.float32)
    assert measured(tone[None], 48_000) == pytest.approx(-3.01, abs=0.02)
    assert measured(np.stack([tone, tone]), 48_000) == pytest.approx(0.0, abs=0.02)
    low = np.zeros((6, len(tone)), np.float32)
    low[3] = tone
    assert measured(low, 48_000) == FLOOR  # the channel for low frequencies does not count


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 30_000), st.integers(0, 5))
def test_measuring_in_pieces_gives_the_same_loudness(piece, seed):
    samples = speechlike(2.3, 11_025, 1, seed)
    assert measured(samples, 11_025, piece) == pytest.approx(measured(samples, 11_025, 10**6), abs=1e-9)


def test_silence_has_the_lowest_loudness():
    assert measured(np.zeros((1, 48_000), np.float32), 48_000) == FLOOR
    assert LoudnessMeter(48_000, 1).integrated() == FLOOR
    assert loudness(np.zeros(10, np.float32), 16_000) == FLOOR


def test_short_and_slow_recordings_have_a_loudness():
    tone = 0.5 * np.sin(2 * np.pi * 300 * np.arange(2000) / 4000).astype(np.float32)
    assert -12 < measured(tone[None], 4000) < -8
    assert -12 < measured(tone[None, :400], 4000) < -8


def test_a_peak_between_the_samples_counts():
    """A sine at a quarter of the rate, sampled beside its crests: 3 dB more than any sample shows."""
    tone = np.sin(np.pi / 2 * np.arange(48_000) + np.pi / 4).astype(np.float32)
    meter = TruePeakMeter(48_000, 1)
    for start in range(0, 48_000, 7000):
        meter.push(0.5 * tone[None, start : start + 7000])
    assert meter.finish() == pytest.approx(20 * np.log10(0.5), abs=0.2)
    assert TruePeakMeter(48_000, 1).finish() == -np.inf
