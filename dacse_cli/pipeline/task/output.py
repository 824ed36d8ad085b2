"""Samples at the codec's rate -> the result: level, resampling, exact length, mix with the input, sink."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dacse_cli.audio.expander import Expander
from dacse_cli.audio.info import resampled_length
from dacse_cli.audio.resample import StreamResampler
from dacse_cli.audio.steering import Steering
from dacse_cli.pipeline.task.encode import Rows
from dacse_cli.pipeline.task.sources import Samples, Signal, Sink, Source


class DryBlocks:
    """The unprocessed input in the result's channels and rate, in pieces of any length asked for."""

    def __init__(self, source: Source, rows: Rows, rate: int) -> None:
        self._pieces = self._resampled(source, rows, rate)
        self._rest = np.zeros((rows.channels, 0), np.float32)

    @staticmethod
    def _resampled(source: Source, rows: Rows, rate: int) -> Iterator[Samples]:
        resampler = StreamResampler(source.signal.sample_rate, rate, rows.channels)
        for block in source.blocks():
            yield resampler.push(rows.mix_down(block))
        yield resampler.finish()

    def take(self, n: int) -> Samples:
        """The next samples `[C', n]`."""
        pieces = [self._rest]
        have = self._rest.shape[1]
        while have < n:
            pieces.append(next(self._pieces))
            have += pieces[-1].shape[1]
        joined = np.concatenate(pieces, axis=1)
        self._rest = joined[:, n:]
        return joined[:, :n]


class Output:
    """Takes enhanced rows `[R, n]` at the codec's rate, writes exactly the samples the result must have.

    Where rows only `steer` the recording, its own through the codec come behind them: `[2 * R, n]`.
    """

    def __init__(
        self,
        source: Source,
        sink: Sink,
        rows: Rows,
        codec_rate: int,
        rate: int,
        mix: float,
        *,
        expand: bool = False,
        steer: bool = False,
    ) -> None:
        signal: Signal = source.signal
        self.frames = resampled_length(signal.frames, signal.sample_rate, rate)
        self._left = self._coming = self.frames
        self._sink, self._rows, self._mix = sink, rows, np.float32(mix)
        self._resampler = StreamResampler(codec_rate, rate, 2 * rows.count if steer else rows.count)
        self._dry = DryBlocks(source, rows, rate) if mix < 1 else None
        self._steering = Steering(rate, rows.channels, codec_rate) if steer else None
        self._steered = DryBlocks(source, rows, rate) if steer else None
        self._expander = Expander(rate, rows.channels) if expand else None

    def write(self, rows: Samples) -> None:
        """Append rows at the codec's rate."""
        self._shape(self._guided(self._resampler.push(rows)))

    def close(self) -> None:
        """Flush; every sample of the result is in the sink afterwards."""
        self._shape(self._guided(self._resampler.finish()))
        if self._steering is not None:
            self._shape(self._steering.finish())
        if self._expander is not None:
            self._emit(self._expander.finish())
        assert self._left == 0, f"{self._left} samples are missing at the end"

    def _guided(self, rows: Samples) -> Samples:
        """Rows at the result's rate -> its channels `[C', m]`: enhanced ones, or the input they steer."""
        rows = rows[:, : self._coming]
        self._coming -= rows.shape[1]
        if self._steering is None or self._steered is None:
            return self._rows.spread(rows)
        voice, through = (self._rows.spread(half) for half in np.split(rows, 2))
        return self._steering.push(voice, through, self._steered.take(rows.shape[1]))

    def _shape(self, samples: Samples) -> None:
        self._emit(samples if self._expander is None else self._expander.push(samples))

    def _emit(self, samples: Samples) -> None:
        samples = samples[:, : self._left]
        n = samples.shape[1]
        if not n:
            return
        self._left -= n
        if self._dry is not None:
            dry = self._dry.take(n)
            samples = self._mix * samples + (1 - self._mix) * dry
        self._sink.write(np.ascontiguousarray(samples, dtype=np.float32))
