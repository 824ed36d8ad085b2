"""Filters on a recording: alone, or guided by the speech that a translator generates."""

from __future__ import annotations

import numpy as np

from dacse_cli.audio.resample import StreamResampler
from dacse_cli.config import SoundOptions
from dacse_cli.interfaces import Filter, FilterStream, Samples, Units
from dacse_cli.pipeline.task.codec_work import Asking
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.reading.sources import DryBlocks, Source
from dacse_cli.pipeline.task.recording import open_task_recording
from dacse_cli.pipeline.task.task import Chunk, Steps
from dacse_cli.pipeline.task.writing.sinks import Sink
from dacse_cli.pipeline.wire.outcome import Finished


class FilterAudio:
    """A `Task`: one recording through the filter, or unchanged where the mix uses only the input.

    Needs neither codec nor translator; nothing is cut into chunks.
    """

    def __init__(self, source: Source, sink: Sink, models: Models, sound: SoundOptions) -> None:
        rate = (models.filter and models.filter.rate) or sound.rate or source.signal.sample_rate
        self._recording = open_task_recording(source, sink, models, sound, rate_in=rate, readers=1)
        self._dry = self._recording.dry(rate)
        self._rate, self._mode = rate, sound.guard
        self._stream: FilterStream | None = None
        if sound.share > 0:
            assert models.filter is not None
            self._stream = models.filter.start(self._recording.rows.count, rate)

    def chunks(self) -> Steps:
        output, stream = self._recording.output, self._stream
        for dry in self._dry.rest():
            output.write(dry if stream is None else stream.push(dry))
            yield dry.shape[1] / self._rate
        if stream is not None:
            output.write(stream.finish())

    def deliver(self, chunk: Chunk, units: Units) -> Asking[Chunk | None]:
        raise AssertionError("a filter has no chunks")

    def finish(self) -> Finished:
        (files, warnings), report = self._recording.finish(None, self._mode)
        return Finished(tuple(files), self._recording.source.signal.seconds, tuple(warnings), guard=report)

    def abandon(self) -> None:
        self._recording.sink.abandon()


class Guided:
    """A filter between a translator's voice and the output: rows `[G * R, n]` of guides in, `[R, m]` out.

    Guides have sample rate `rates[0]`, the recording `dry` and the result `rates[1]`; the result has `frames`
    samples per row.
    """

    def __init__(
        self, filter_: Filter, dry: DryBlocks, rates: tuple[int, int], rows: int, frames: int
    ) -> None:
        self._guides, self._rows, self._left = filter_.guides, rows, frames
        self._resampler = StreamResampler(*rates, filter_.guides * rows)
        self._stream = filter_.start(rows, rates[1])
        self._dry = dry

    def push(self, guides: Samples) -> Samples:
        """The next samples of the guides, all rows of the first guide before those of the second."""
        return self._filtered(self._resampler.push(guides))

    def finish(self) -> Samples:
        """The remaining samples of the result."""
        last = self._filtered(self._resampler.finish())
        return np.concatenate([last, self._stream.finish()], axis=1)

    def _filtered(self, guides: Samples) -> Samples:
        guides = guides[:, : self._left]
        n = guides.shape[1]
        self._left -= n
        return self._stream.push(self._dry.take(n), guides.reshape(self._guides, self._rows, n))
