"""Changing the rate keeps length, time and the result of one call."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.audio.resample import StreamResampler, resample, resampled_length

RATES = [1000, 8000, 11_025, 16_000, 22_050, 44_099, 44_100, 48_000, 96_000, 768_000]


@settings(max_examples=120, deadline=None)
@given(
    frames=st.integers(0, 3000),
    rates=st.tuples(st.sampled_from(RATES), st.sampled_from(RATES)),
    channels=st.integers(1, 3),
    cuts=st.lists(st.integers(0, 3000), max_size=5),
)
def test_stream_equals_one_call_and_has_the_exact_length(
    frames: int, rates: tuple[int, int], channels: int, cuts: list[int]
) -> None:
    """soxr alone gives one sample too few for every other length: outputs would drift from their inputs."""
    source, target = rates
    samples = np.random.default_rng(frames).standard_normal((channels, frames)).astype(np.float32)
    stream = StreamResampler(source, target, channels)
    edges = [0, *sorted(min(cut, frames) for cut in cuts), frames]
    parts = [stream.push(samples[:, a:b]) for a, b in itertools.pairwise(edges)]
    streamed = np.concatenate([*parts, stream.finish()], axis=1)
    assert streamed.shape == (channels, resampled_length(frames, source, target))
    assert streamed.dtype == np.float32
    assert np.allclose(streamed, resample(samples, source, target), atol=1e-6)


def test_length_is_rounded_up() -> None:
    assert resampled_length(1, 44_100, 8000) == 1
    assert resampled_length(441, 44_100, 48_000) == 480
    assert resampled_length(442, 44_100, 48_000) == 482
    assert resampled_length(0, 8000, 44_100) == 0


@pytest.mark.parametrize("rates", [(8000, 44_100), (48_000, 44_100), (44_100, 16_000), (44_100, 48_000)])
def test_no_delay_and_no_change_of_pitch(rates: tuple[int, int]) -> None:
    """Stereo resampled along the wrong axis comes out long and flat; a delay shows as a phase."""
    source, target = rates
    tone = np.stack([np.sin(2 * np.pi * hertz * np.arange(source) / source) for hertz in (440, 1000)])
    out = resample(tone.astype(np.float32), source, target)
    expected = np.stack([np.sin(2 * np.pi * hertz * np.arange(target) / target) for hertz in (440, 1000)])
    assert np.abs(out - expected)[:, 500:-500].max() < 1e-4


@pytest.mark.parametrize("rates", [(48_000, 44_100), (8000, 44_100), (44_100, 48_000)])
def test_resampling_equals_librosa(rates: tuple[int, int]) -> None:
    """The published code resamples with librosa's default, soxr_hq: other samples would be other tokens."""
    samples = np.random.default_rng(0).standard_normal(20_003).astype(np.float32)
    ours = resample(samples[None], *rates)[0]
    theirs = soxr.resample(samples, *rates, quality="soxr_hq")
    assert 0 <= len(ours) - len(theirs) <= 1  # librosa writes 0 where soxr gives one sample too few
    assert np.abs(ours[: len(theirs)] - theirs).max() < 1e-6


def test_equal_rates_pass_untouched() -> None:
    samples = np.random.default_rng(0).standard_normal((2, 100)).astype(np.float32)
    assert np.array_equal(resample(samples, 44_100, 44_100), samples)


def test_a_full_scale_end_is_not_replaced_by_silence() -> None:
    """The one sample that soxr leaves out, filled with 0, is a click at the end of a loud recording."""
    low = np.cos(2 * np.pi * 5 * np.arange(100) / 44_100).astype(np.float32)[None]
    assert resample(low, 44_100, 48_000)[0, -1] > 0.1
