"""One recording through codec, translator and codec again, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from dacse_cli.config import SoundOptions
from dacse_cli.interfaces import Samples, Units
from dacse_cli.pipeline.task.chunks import CrossFade, Span, fill
from dacse_cli.pipeline.task.codec_work import Asking, decoded, encoded
from dacse_cli.pipeline.task.filtering import Guided
from dacse_cli.pipeline.task.guarding import Ruling, Watch
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.reading.encode import Encoding, SpanBuffer
from dacse_cli.pipeline.task.reading.sources import Source
from dacse_cli.pipeline.task.recording import open_task_recording
from dacse_cli.pipeline.task.task import Chunk, Steps
from dacse_cli.pipeline.task.writing.sinks import Sink
from dacse_cli.pipeline.wire.outcome import Finished

Signals = Samples | None
"""Of a chunk `[G, n]`: the voice, and for a filter with two guides the input through the codec; None for
digital silence."""


class EnhanceAudio:
    """A `Task`. Chunks of digital silence stay silent and are not translated.

    With a guided filter the generated speech only steers gains; nothing is added, so no chunk is checked.
    """

    def __init__(self, source: Source, sink: Sink, models: Models, sound: SoundOptions) -> None:
        self._models, self._codec = models, models.need_codec
        spec = models.spec
        self._hop, self._frame_rate = spec.hop_length, spec.frame_rate
        filter_ = models.filter
        rate = sound.rate or source.signal.sample_rate
        work_rate = (filter_.rate or rate) if filter_ else spec.sample_rate
        readers = 2 if filter_ else 1
        self._recording = open_task_recording(source, sink, models, sound, rate_in=work_rate, readers=readers)
        self._rows = self._recording.rows
        self._watch: Watch | None = None
        if sound.guard != "off" and filter_ is None:
            assert models.translator is not None
            redraws = models.translator.redraws
            self._watch = Watch(sound.guard, spec.sample_rate, spec.frame_rate, redraws=redraws)
        self._mode = sound.guard
        self._inputs = SpanBuffer()
        self._encoding = Encoding(source.signal, self._rows, self._codec, self._note_input)
        self._spans = models.need_grid.plan(self._encoding.frames)
        self._signals = filter_.guides if filter_ else 1
        self._guided: Guided | None = None
        if filter_ is not None:
            dry, frames = self._recording.dry(work_rate), source.signal.frames_at(work_rate)
            rates = spec.sample_rate, work_rate
            self._guided = Guided(filter_, dry, rates, self._rows.count, frames)
        self._fade = CrossFade(self._hop)
        self._done: dict[int, dict[int, Signals]] = {}
        self._next = 0  # first span not yet written
        self._left = self._encoding.samples

    def _note_input(self, samples: Samples) -> None:
        if self._watch is not None:
            self._inputs.append(samples)

    def chunks(self) -> Steps:
        buffer = SpanBuffer()
        ready = 0
        for windows in self._encoding.windows(self._recording.one_pass.reader()):
            if windows:
                buffer.append((yield from encoded(windows)))
            while ready < len(self._spans) and self._spans[ready].last <= buffer.stop:
                yield from self._cut(ready, buffer)
                ready += 1
            yield 0.0

    def _cut(self, index: int, buffer: SpanBuffer) -> Iterator[Chunk | float]:
        span = self._spans[index]
        following = self._spans[index + 1] if index + 1 < len(self._spans) else None
        units = buffer.take(span.first, span.last)
        stop = following.start if following else span.stop
        seconds = float((stop - span.start) / self._frame_rate) / self._rows.count
        inputs = self._take_inputs(span) if self._watch else None
        for row in range(self._rows.count):
            if self._encoding.activity.silent(row, span.start, span.stop):
                self._put(index, row, None)
                yield seconds
                continue
            if self._watch and inputs is not None:
                times = [float(frame / self._frame_rate) for frame in (span.start, span.stop)]
                end = min(times[1], self._recording.source.signal.seconds)
                self._watch.hear(index, row, inputs[row], times[0], end)
            yield Chunk(self, index, row, fill(units[row], span, self._models.silence), seconds)

    def _take_inputs(self, span: Span) -> Samples:
        """Samples `[R, frames * hop]` of a span, zeros after the end of the recording."""
        first, stop = span.start * self._hop, span.stop * self._hop
        inputs: Samples = self._inputs.take(first, stop)
        return np.pad(inputs, ((0, 0), (0, stop - first - inputs.shape[1])))

    def deliver(self, chunk: Chunk, units: Units) -> Asking[Chunk | None]:
        span = self._spans[chunk.index]
        both = np.stack([units, chunk.units]) if self._signals == 2 else units[None]
        kept = slice(span.lead * self._hop, (span.lead + span.frames) * self._hop)
        signals = (yield from decoded(self._codec, both))[:, kept]
        if self._watch is not None:
            ruling = self._watch.rule(chunk, span.kept, units, signals[0])
            if ruling is Ruling.TRY_AGAIN:
                return self._watch.again(chunk)
            if ruling is Ruling.PASS_THROUGH:
                signals = self._watch.input_of(chunk)[None]
            self._watch.release(chunk)
        self._put(chunk.index, chunk.row, signals)
        return None

    def _put(self, index: int, row: int, signals: Signals) -> None:
        self._done.setdefault(index, {})[row] = signals
        while len(self._done.get(self._next, ())) == self._rows.count:
            self._write(self._spans[self._next], self._done.pop(self._next))
            self._next += 1

    def _write(self, span: Span, rows: dict[int, Signals]) -> None:
        samples = np.zeros((self._signals, len(rows), span.frames * self._hop), np.float32)
        for row, signals in rows.items():
            if signals is not None:
                samples[:, row] = signals / np.float32(self._encoding.gain)
                gains = self._encoding.activity.envelope(row, span.start, span.stop)
                if gains is not None:
                    samples[:, row] *= gains
        last = self._next + 1 == len(self._spans)
        following = None if last else self._spans[self._next + 1].start
        faded = self._fade.push(samples.reshape(-1, samples.shape[2]), span, following)
        faded = faded[:, : self._left]
        self._left -= faded.shape[1]
        self._recording.output.write(faded if self._guided is None else self._guided.push(faded))

    def finish(self) -> Finished:
        if self._guided is not None:
            self._recording.output.write(self._guided.finish())
        report = self._watch.report if self._watch else None
        (files, warnings), report = self._recording.finish(report, self._mode)
        return Finished(tuple(files), self._recording.source.signal.seconds, tuple(warnings), guard=report)

    def abandon(self) -> None:
        self._recording.sink.abandon()
