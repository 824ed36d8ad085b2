"""How a recording is cut for the language model, and how the answers are joined again.

Pure integers and arrays. The plan equals the published `split_into_chunks` on all its outputs for legal
options; the cross-fade is its linear ramp. Mended: frames are counted with the codec's true rate
(44100/512, not 86.13), joins use each chunk's own start and stop, every option value ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dacse_cli.config import ChunkOptions


@dataclass(frozen=True)
class Span:
    """Frames `[start, stop)` of a recording."""

    start: int
    stop: int
    lead: int = 0
    """Frames before `start` that are generated too and dropped: they make a last chunk a full one."""
    trail: int = 0
    """Frames of silence generated after `stop` and dropped, where the recording is shorter than a chunk."""

    @property
    def frames(self) -> int:
        return self.stop - self.start

    @property
    def generated(self) -> int:
        """Frames that go through the language model."""
        return self.lead + self.frames + self.trail


@dataclass(frozen=True)
class ChunkGrid:
    """Lengths in frames: a chunk, what it shares with the next, the shortest last one (at most a chunk)."""

    chunk: int
    overlap: int
    shortest: int
    fixed: bool = False
    """Every chunk is generated at full length: the model knows no other (`fixed_chunk` of its card)."""

    @classmethod
    def from_options(cls, options: ChunkOptions, frame_rate: Fraction) -> ChunkGrid:
        """From resolved options (no None left) and the codec's frames a second."""
        assert options.seconds is not None and options.min_seconds is not None
        chunk = max(1, int(Fraction(options.seconds) * frame_rate))
        overlap = min(int(chunk * options.overlap), chunk - 1)
        shortest = 0 if options.fixed else min(chunk, int(Fraction(options.min_seconds) * frame_rate))
        return cls(chunk, overlap, shortest, options.fixed)

    @property
    def stride(self) -> int:
        """Frames from one chunk's start to the next's; at least 1, so that every plan ends."""
        return self.chunk - self.overlap

    @property
    def longest(self) -> int:
        """Frames of the longest chunk any plan holds: a full one with a short tail merged in."""
        return self.chunk + max(0, self.shortest - 1 - self.overlap)

    def plan(self, frames: int) -> list[Span]:
        """Spans that cover frames `0..frames` in order, neighbours overlapping by `overlap`.

        A last span shorter than `shortest` (overlap included) is merged into the one before it. On a `fixed`
        grid it keeps its length and is generated together with the frames before it, or with silence.
        """
        spans: list[Span] = []
        start = 0
        while start < frames:
            stop = min(start + self.chunk, frames)
            if spans and stop - start < self.shortest:
                spans[-1] = Span(spans[-1].start, frames)
                break
            lead = min(start, self.chunk - (stop - start)) if self.fixed else 0
            trail = self.chunk - (stop - start) - lead if self.fixed else 0
            spans.append(Span(start, stop, lead, trail))
            if stop == frames:
                break
            start += self.stride
        return spans


def fill(codes: NDArray[np.int16], span: Span, silence: NDArray[np.int16]) -> NDArray[np.int16]:
    """Codes `[K, lead + frames]` with frames of `silence` `[K]` behind them: `[K, span.generated]`."""
    if not span.trail:
        return codes
    return np.concatenate([codes, np.repeat(silence[:, None], span.trail, axis=1)], axis=1)


class CrossFade:
    """Joins decoded chunks into one signal with linear fades, as they come, in constant memory."""

    def __init__(self, hop_length: int) -> None:
        self._hop = hop_length
        self._tail: NDArray[np.float32] | None = None  # [C, s]: samples the next chunk may still change
        self._stop = 0  # frame where the tail ends

    def push(self, samples: NDArray[np.float32], span: Span, next_start: int | None) -> NDArray[np.float32]:
        """Samples `[C, span.frames * hop]` in, the samples `[C, n]` that are final now out.

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


def join_codes(pieces: list[NDArray[np.int16]], spans: list[Span]) -> NDArray[np.int16]:
    """Chunks' codes `[C, K, t]` -> codes `[C, K, T]`; codes cannot fade: overlaps are cut in half."""
    joined = []
    for i, (piece, span) in enumerate(zip(pieces, spans, strict=True)):
        start = 0 if i == 0 else (spans[i - 1].stop - span.start) // 2
        stop = span.frames
        if i + 1 < len(spans):
            stop -= (span.stop - spans[i + 1].start) - (span.stop - spans[i + 1].start) // 2
        joined.append(piece[:, :, start:stop])
    return np.concatenate(joined, axis=2)
