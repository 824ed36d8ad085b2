"""How a recording is cut into chunks for the translator, and how the outputs are joined again.

Pure integers and arrays. For legal options the plan equals the published `split_into_chunks`; the cross-fade
is its linear ramp. Unlike there, frames are counted with the codec's true rate (44100/512, not 86.13), joins
use each chunk's own start and stop, and the plan ends for every option value.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dacse_cli.config import ChunkOptions
from dacse_cli.interfaces import Units


@dataclass(frozen=True)
class Span:
    """Frames `[start, stop)` of a recording, and the context translated with them and then dropped."""

    start: int
    stop: int
    lead: int = 0
    """Frames before `start`."""
    follow: int = 0
    """Frames after `stop`."""
    trail: int = 0
    """Frames of silence appended where the recording is too short for a whole chunk."""

    @property
    def frames(self) -> int:
        """Frames that are kept."""
        return self.stop - self.start

    @property
    def first(self) -> int:
        """First frame of the recording that is read."""
        return self.start - self.lead

    @property
    def last(self) -> int:
        """Frame after the last one that is read."""
        return self.stop + self.follow

    @property
    def translated(self) -> int:
        """Frames that go through the translator."""
        return self.last - self.first + self.trail

    @property
    def kept(self) -> slice:
        """The frames that are kept, counted from the first that is read."""
        return slice(self.lead, self.lead + self.frames)


@dataclass(frozen=True)
class ChunkGrid:
    """Lengths in frames: a chunk, its overlap with the next, the shortest last one (at most a chunk)."""

    chunk: int
    overlap: int
    shortest: int
    fixed: bool = False
    """Every chunk is translated at full length, as the model requires (`fixed_chunk` of its card)."""
    context: tuple[int, int] = (0, 0)
    """Frames before and after a chunk that are translated with it and dropped."""

    @classmethod
    def from_options(
        cls, options: ChunkOptions, frame_rate: Fraction, context: tuple[int, int] = (0, 0)
    ) -> ChunkGrid:
        """From fully specified options (no None) and the codec's frames per second."""
        assert options.seconds is not None and options.min_seconds is not None
        chunk = max(1, int(Fraction(options.seconds) * frame_rate))
        overlap = min(int(chunk * options.overlap), chunk - 1)
        shortest = 0 if options.fixed else min(chunk, int(Fraction(options.min_seconds) * frame_rate))
        return cls(chunk, overlap, shortest, options.fixed, context)

    @property
    def stride(self) -> int:
        """Frames from one chunk's start to the next's; at least 1, so that every plan ends."""
        return self.chunk - self.overlap

    @property
    def longest(self) -> int:
        """Frames of the longest chunk of any plan, context included: a full one plus a short tail."""
        return self.chunk + max(0, self.shortest - 1 - self.overlap) + sum(self.context)

    def plan(self, frames: int) -> list[Span]:
        """Spans that cover frames `0..frames` in order, neighbours overlapping by `overlap`.

        A last span shorter than `shortest` (overlap included) is merged into the one before it. On a `fixed`
        grid it keeps its length, and is translated together with more frames before it, or with silence.
        """
        edges: list[tuple[int, int]] = []
        start = 0
        while start < frames:
            stop = min(start + self.chunk, frames)
            if edges and stop - start < self.shortest:
                edges[-1] = (edges[-1][0], frames)
                break
            edges.append((start, stop))
            if stop == frames:
                break
            start += self.stride
        return [self._span(*edge, frames) for edge in edges]

    def _span(self, start: int, stop: int, frames: int) -> Span:
        before, after = self.context
        lead, follow = min(start, before), min(frames - stop, after)
        if not self.fixed:
            return Span(start, stop, lead, follow)
        missing = before + self.chunk + after - (lead + stop - start + follow)
        more = min(start - lead, missing)
        return Span(start, stop, lead + more, follow, missing - more)


def fill(units: Units, span: Span, silence: Units) -> Units:
    """Units `[U, t]` of a span with frames of `silence` `[U]` after them: `[U, span.translated]`."""
    if not span.trail:
        return units
    return np.concatenate([units, np.repeat(silence[:, None], span.trail, axis=1)], axis=1)


class CrossFade:
    """Joins decoded chunks into one signal with linear fades, as they arrive, in constant memory."""

    def __init__(self, hop_length: int) -> None:
        self._hop = hop_length
        self._tail: NDArray[np.float32] | None = None  # [C, s]: samples the next chunk may still change
        self._stop = 0  # frame where the tail ends

    def push(self, samples: NDArray[np.float32], span: Span, next_start: int | None) -> NDArray[np.float32]:
        """Add samples `[C, span.frames * hop]`; returns the samples `[C, n]` that are now final.

        `next_start` is the first frame of the next chunk; None says that this is the last one.
        """
        if self._tail is not None:
            shared = (self._stop - span.start) * self._hop
            if shared:
                rise = np.linspace(0, 1, shared, dtype=np.float32)
                samples = samples.copy()
                samples[:, :shared] = self._tail * (1 - rise) + samples[:, :shared] * rise
        self._stop = span.stop
        if next_start is None:
            self._tail = None
            return samples
        final = (next_start - span.start) * self._hop
        self._tail = samples[:, final:]
        return samples[:, :final]


def join_units(pieces: list[Units], spans: list[Span]) -> Units:
    """Chunks' units `[C, U, t]` -> units `[C, U, T]`; units do not fade: overlaps are cut in half."""
    joined = []
    for i, (piece, span) in enumerate(zip(pieces, spans, strict=True)):
        start = 0 if i == 0 else (spans[i - 1].stop - span.start) // 2
        stop = span.frames
        if i + 1 < len(spans):
            stop -= (span.stop - spans[i + 1].start) - (span.stop - spans[i + 1].start) // 2
        joined.append(piece[:, :, start:stop])
    return np.concatenate(joined, axis=2)
