"""Chunk plans and joins against the published code, and what must hold for every option value."""

import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from dacse_cli.config import ChunkOptions
from dacse_cli.errors import UsageError
from dacse_cli.pipeline.task.chunks import ChunkGrid, CrossFade, Span, fill, join_units

GOLDEN = Path(__file__).parents[2] / "golden"
PLANS = json.loads((GOLDEN / "layout.json").read_text())["chunk_plans"]
FRAME_RATE = Fraction(44100, 512)

grids = st.builds(
    lambda chunk, overlap, shortest: ChunkGrid(chunk, int(chunk * overlap), int(chunk * shortest)),
    st.integers(1, 400), st.floats(0, 0.99), st.floats(0, 1),
)  # fmt: skip


@pytest.mark.parametrize("case", PLANS, ids=lambda c: "-".join(map(str, list(c.values())[:4])))
def test_published_plans(case):
    options = ChunkOptions(case["chunk_duration"], case["overlap_ratio"], case["min_chunk_duration"])
    plan = ChunkGrid.from_options(options, FRAME_RATE).plan(case["frames"])
    assert [[span.start, span.stop] for span in plan] == case["chunks"]


@given(grids, st.integers(0, 5000))
def test_a_plan_covers_every_frame_in_order(grid, frames):
    """The published loop never ends at an overlap of 1 and drops or repeats frames at odd options."""
    plan = grid.plan(frames)
    assert [span.start for span in plan] == [i * grid.stride for i in range(len(plan))]
    assert (plan[0].start, plan[-1].stop) == (0, frames) if frames else plan == []
    assert all(b.start <= a.stop < b.stop for a, b in pairwise(plan))
    assert all(0 < span.frames <= grid.longest for span in plan)


@given(st.floats(1e-6, 1e4), st.floats(0, 1, exclude_max=True), st.floats(0, 100), st.integers(0, 2000))
def test_every_legal_option_gives_a_plan(seconds, overlap, shortest, frames):
    grid = ChunkGrid.from_options(ChunkOptions(seconds, overlap, shortest).check(), FRAME_RATE)
    assert sum(span.frames for span in grid.plan(frames)) >= frames


def test_the_ends_of_options() -> None:
    """The shortest chunk is one frame; an overlap of a whole chunk, which `check` refuses, ends too."""
    assert ChunkGrid.from_options(ChunkOptions(1e-6, 0.0, 0.0), FRAME_RATE) == ChunkGrid(1, 0, 0)
    assert ChunkGrid.from_options(ChunkOptions(4.0, 1.0, 0.0), FRAME_RATE).stride == 1
    assert ChunkGrid.from_options(ChunkOptions(1.0, 0.5, 9.0), FRAME_RATE) == ChunkGrid(86, 43, 86)
    fixed = ChunkGrid.from_options(ChunkOptions(1.0, 0.5, 0.5, fixed=True), FRAME_RATE, (2, 3))
    assert fixed == ChunkGrid(86, 43, 0, True, (2, 3))


@given(st.integers(1, 8), st.integers(0, 7), st.integers(0, 8))
def test_the_longest_chunk_is_as_long_as_some_chunk(chunk: int, overlap: int, shortest: int) -> None:
    """Memory is set aside for it: too small fails late, too large wastes it."""
    grid = ChunkGrid(chunk, overlap % chunk, min(shortest, chunk))
    lengths = [span.translated for frames in range(1, 3 * chunk + 1) for span in grid.plan(frames)]
    assert max(lengths) == grid.longest
    assert ChunkGrid(chunk, overlap % chunk, 0, context=(2, 3)).longest == chunk + 5


@given(grids, st.integers(1, 900), st.integers(0, 40), st.integers(0, 40), st.booleans())
def test_context_is_read_where_there_is_some(grid, frames, before, after, fixed):
    shortest = 0 if fixed else grid.shortest
    around = ChunkGrid(grid.chunk, grid.overlap, shortest, fixed, (before, after))
    plain = ChunkGrid(grid.chunk, grid.overlap, shortest).plan(frames)
    plan = around.plan(frames)
    assert [(span.start, span.stop) for span in plan] == [(span.start, span.stop) for span in plain]
    for span in plan:
        read = list(range(frames))[span.first : span.last] + [-1] * span.trail
        assert len(read) == span.translated <= around.longest
        assert read[span.kept] == list(range(span.start, span.stop))
        assert span.follow == min(after, frames - span.stop)
        if fixed:
            assert span.translated == before + grid.chunk + after
            assert span.lead >= min(before, span.start) and (not span.trail or span.first == 0)
        else:
            assert (span.lead, span.trail) == (min(before, span.start), 0)
    assert all(span == Span(span.start, span.stop, 0, 0, 0) for span in plain)


@pytest.mark.parametrize(
    "bad",
    [
        ChunkOptions(0),
        ChunkOptions(-1),
        ChunkOptions(float("nan")),
        ChunkOptions(4, 1.0),
        ChunkOptions(4, -0.1),
        ChunkOptions(4, float("nan")),
    ],
)
def test_impossible_options_are_refused(bad):
    with pytest.raises(UsageError):
        bad.check()


def fade(waves, spans, hop):
    fader = CrossFade(hop)
    starts = [span.start for span in spans[1:]] + [None]
    return np.concatenate([fader.push(w, s, n) for w, s, n in zip(waves, spans, starts, strict=True)], axis=1)


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_published_crossfade(name):
    """No sample of difference: at these short overlaps 86.13 for 86.1328 rounds to the same length."""
    data = load_file(GOLDEN / "crossfade.safetensors")
    codes = [data[key] for key in sorted(data) if key.startswith(f"{name}_codes")]
    length = codes[0].shape[1]
    stride = length - int(length * float(data[f"{name}_overlap"][0]))
    spans = [Span(i * stride, i * stride + c.shape[1]) for i, c in enumerate(codes)]
    waves = [np.repeat(c[:1] / np.float32(1024), 512, axis=1).astype(np.float32) for c in codes]
    merged = fade(waves, spans, 512)[0]
    assert merged.shape == data[f"{name}_merged"].shape
    np.testing.assert_allclose(merged, data[f"{name}_merged"], atol=1e-6)


def test_no_drift_at_the_published_default_overlap():
    """86.13 frames per second makes 172 frames 88066 samples: two too many at each join of the reference."""
    grid = ChunkGrid.from_options(ChunkOptions(4.0, 0.5, 1.0), FRAME_RATE)
    plan = grid.plan(3440)
    assert grid.overlap * 512 == 88064
    waves = [np.ones((1, span.frames * 512), np.float32) for span in plan]
    assert fade(waves, plan, 512).shape == (1, 3440 * 512)


@given(grids, st.integers(1, 900))
def test_identical_chunks_fade_into_themselves(grid, frames):
    """Fades sum to one and nothing moves: chunks cut from a signal give the signal back."""
    hop = 3
    signal = np.random.default_rng(frames).standard_normal((2, frames * hop)).astype(np.float32)
    plan = grid.plan(frames)
    if any(a.stop > c.start for a, c in zip(plan, plan[2:], strict=False)):
        return  # three chunks deep: covered by the next test
    waves = [signal[:, span.start * hop : span.stop * hop] for span in plan]
    np.testing.assert_allclose(fade(waves, plan, hop), signal, atol=1e-5)


@given(grids, st.integers(1, 900))
def test_fade_and_cut_keep_the_length(grid, frames):
    plan = grid.plan(frames)
    codes = np.arange(frames, dtype=np.int16)[None, None]
    assert (join_units([codes[:, :, s.start : s.stop] for s in plan], plan) == codes).all()
    assert fade([np.zeros((1, s.frames * 2), np.float32) for s in plan], plan, 2).shape == (1, frames * 2)


@given(grids, st.integers(1, 5000))
def test_on_a_fixed_grid_every_chunk_is_generated_whole(grid, frames):
    """A model that knows one length loses its place in any other: tails borrow what they lack."""
    fixed = ChunkGrid(grid.chunk, grid.overlap, 0, fixed=True)
    plan = fixed.plan(frames)
    assert [(s.start, s.stop) for s in plan] == [
        (s.start, s.stop) for s in ChunkGrid(grid.chunk, grid.overlap, 0).plan(frames)
    ]
    assert {span.translated for span in plan} == {grid.chunk}
    assert all(span.start >= span.lead and (not span.trail or span.start == span.lead) for span in plan)
    codes = np.arange(plan[-1].start - plan[-1].lead, frames, dtype=np.int16)[None]
    filled = fill(codes, plan[-1], np.array([-7], np.int16))
    assert filled.shape == (1, grid.chunk) and (filled == -7).sum() == plan[-1].trail


def test_a_fixed_length_is_not_for_users_to_change():
    """--chunk 4 on such a model gives noise, not speech."""
    for options in (ChunkOptions(), ChunkOptions(0.96)):
        assert options.resolved(0.96, True).seconds == 0.96
    with pytest.raises(UsageError, match=r"chunks of 0.96 s only"):
        ChunkOptions(4.0).resolved(0.96, True)
