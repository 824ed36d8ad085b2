"""Processed rows -> the result: resampled, exact length, pauses lowered, mixed with the input, written."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dacse_cli.audio.expander import Expander
from dacse_cli.audio.resample import StreamResampler
from dacse_cli.interfaces import Samples
from dacse_cli.pipeline.task.reading.rows import Rows
from dacse_cli.pipeline.task.reading.sources import DryBlocks
from dacse_cli.pipeline.task.writing.sinks import Sink


@dataclass(frozen=True)
class Mix:
    """How a result is made of processed sound and input: what `--strength` decides."""

    share: float = 1.0
    """Share of processed sound, 0 to 1."""
    dry: DryBlocks | None = None
    """The input in the result's rate and channels; needed where `share` is below 1."""
    lower_pauses: bool = False


class Output:
    """Takes rows `[R, n]` at `rates[0]`, writes exactly `frames` samples per channel at `rates[1]`."""

    def __init__(
        self, sink: Sink, rows: Rows, rates: tuple[int, int], frames: int, mix: Mix | None = None
    ) -> None:
        self.frames = self._left = frames
        self._sink, self._rows, self._mix = sink, rows, mix or Mix()
        self._resampler = StreamResampler(*rates, rows.count)
        lower = self._mix.lower_pauses
        self._expander = Expander(rates[1], rows.channels) if lower else None

    def write(self, rows: Samples) -> None:
        """Append rows."""
        self._shape(self._resampler.push(rows))

    def close(self) -> None:
        """Flush; every sample of the result is in the sink afterwards."""
        self._shape(self._resampler.finish())
        if self._expander is not None:
            self._emit(self._expander.finish())
        assert self._left == 0, f"{self._left} samples are missing at the end"

    def _shape(self, rows: Samples) -> None:
        samples = self._rows.spread(rows)
        self._emit(samples if self._expander is None else self._expander.push(samples))

    def _emit(self, samples: Samples) -> None:
        samples = samples[:, : self._left]
        n = samples.shape[1]
        if not n:
            return
        self._left -= n
        if self._mix.dry is not None:
            share = np.float32(self._mix.share)
            samples = share * samples + (1 - share) * self._mix.dry.take(n)
        self._sink.write(np.ascontiguousarray(samples, dtype=np.float32))
