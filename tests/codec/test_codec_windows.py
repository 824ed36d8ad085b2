"""The plan of windows, as integers."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.codec.shape import DacShape
from dacse_cli.codec.windows import next_window, plan_windows

sizes = st.integers(1, 60)
margins = st.integers(0, 20)
totals = st.integers(0, 500)


@given(totals, sizes, margins)
def test_every_frame_is_kept_once_and_sees_its_context(total, size, margin):
    """A gap, an overlap, or a frame computed too near a cut would be heard at every window's edge."""
    position = 0
    for window in plan_windows(total, size=size, margin=margin):
        assert window.start == position < window.stop
        assert window.left == max(0, window.start - margin)
        assert window.right == total or window.right - window.stop == margin
        assert window.right - window.left <= size + 2 * margin  # memory does not grow with length
        position = window.stop
    assert position == total


@given(totals, sizes, margins)
def test_all_but_the_last_have_one_length(total, size, margin):
    """Changing shapes make a GPU plan its kernels anew."""
    windows = list(plan_windows(total, size=size, margin=margin))
    assert {w.right - w.left for w in windows[:-1]} <= {size + 2 * margin}


@given(totals, st.integers(0, 100), sizes, margins)
def test_what_is_decided_early_is_what_the_whole_says(total, missing, size, margin):
    """A stream that decides on a window before its end is known must not have to take it back."""
    seen = max(0, total - missing)
    start = 0
    for planned in plan_windows(total, size=size, margin=margin):
        early = next_window(start, seen, ended=False, size=size, margin=margin)
        assert early in (None, planned)
        start = planned.stop


def test_spec_counts_with_true_rates():
    """86.13 frames a second instead of 44100/512 drifts by 2 samples a chunk."""
    spec = DacShape(64, 1536, 1024, (2, 4, 8, 8), 9, 1024, 8, 44100).spec("dac")
    assert spec.frame_rate == Fraction(11025, 128)
    assert (spec.frames(0), spec.frames(1), spec.frames(512), spec.frames(513)) == (0, 1, 1, 2)
    assert spec.samples(344) == 176128
    assert spec.seconds_to_frames(4.0) == 344
    assert spec.seconds_to_frames(1e-9) == 1
