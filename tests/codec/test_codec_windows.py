"""The plan of windows, as integers."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.codec.dac.shape import DacShape
from dacse_cli.codec.windows import Windowing

windowings = st.builds(Windowing, st.integers(1, 60), st.integers(0, 20), st.booleans())
totals = st.integers(0, 500)


def plan(total, windowing):
    start, plans = 0, []
    while found := windowing.next_window(start, total, ended=True):
        plans.append(found)
        start = found.stop
    return plans


@given(totals, windowings)
def test_every_frame_is_kept_once_and_sees_its_context(total, windowing):
    """A gap, an overlap, or a frame computed too near a cut would be heard at every window's edge."""
    position, margin = 0, windowing.margin
    for window in plan(total, windowing):
        assert window.start == position < window.stop
        assert window.left <= max(0, window.start - margin)
        assert window.right == total or window.right - window.stop == margin
        assert window.right - window.left <= windowing.length  # memory does not grow with length
        position = window.stop
    assert position == total


@given(totals, windowings)
def test_all_but_the_last_have_one_length(total, windowing):
    """Changing shapes make a GPU plan its kernels anew; `equal` windows differ only in short recordings."""
    lengths = [w.right - w.left for w in plan(total, windowing)]
    same = lengths if windowing.equal and total >= windowing.length else lengths[:-1]
    assert set(same) <= {windowing.length}


@given(totals, st.integers(0, 100), windowings)
def test_what_is_decided_early_is_what_the_whole_says(total, missing, windowing):
    """A stream that decides on a window before its end is known must not have to take it back."""
    seen = max(0, total - missing)
    start = 0
    for planned in plan(total, windowing):
        early = windowing.next_window(start, seen, ended=False)
        assert early in (None, planned)
        if early is None:  # what is kept must be enough for every later window
            assert windowing.first_needed(start, seen) <= planned.left
        start = planned.stop


def test_spec_counts_with_true_rates():
    """86.13 frames per second instead of 44100/512 drifts by 2 samples per chunk."""
    spec = DacShape(64, 1536, 1024, (2, 4, 8, 8), 9, 1024, 8, 44100).spec("dac")
    assert spec.frame_rate == Fraction(11025, 128)
    assert (spec.frames(0), spec.frames(1), spec.frames(512), spec.frames(513)) == (0, 1, 1, 2)
    assert spec.samples(344) == 176128
    assert spec.seconds_to_frames(4.0) == 344
    assert spec.seconds_to_frames(1e-9) == 1
