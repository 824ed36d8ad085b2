"""One recording through codec, language model and codec again, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dacse_cli.config import SoundOptions
from dacse_cli.pipeline.chunks import CrossFade, Span, fill
from dacse_cli.pipeline.decoding import Output
from dacse_cli.pipeline.encoding import CodeBuffer, Encoding
from dacse_cli.pipeline.sources import Sink, Source
from dacse_cli.pipeline.task import Chain, Chunk, Finished

Answer = NDArray[np.int16] | None


class EnhanceAudio:
    """A `Task`. Chunks of digital silence are answered with silence at once and cost no generation."""

    def __init__(self, source: Source, sink: Sink, chain: Chain, sound: SoundOptions) -> None:
        self._chain, self._source, self._sink = chain, source, sink
        spec = chain.codec.spec
        self._encoding = Encoding(source, chain.codec, sound.channels)
        self._spans = chain.grid.plan(self._encoding.frames)
        rate = sound.rate or source.signal.sample_rate
        rows = self._encoding.rows
        self._output = Output(source, sink, rows, codec_rate=spec.sample_rate, rate=rate, mix=sound.mix)
        self._generate = sound.mix > 0
        self._fade = CrossFade(spec.hop_length)
        self._answers: dict[int, dict[int, Answer]] = {}
        self._next = 0  # first span not yet written
        self._left = self._encoding.samples

    def chunks(self) -> Iterator[Chunk | None]:
        if not self._generate:
            yield from self._pass_through()
            return
        buffer = CodeBuffer()
        ready = 0
        for codes in self._encoding.codes():
            buffer.append(codes)
            while ready < len(self._spans) and self._spans[ready].stop <= buffer.stop:
                yield from self._cut(ready, buffer)
                ready += 1
            yield None

    def _cut(self, index: int, buffer: CodeBuffer) -> Iterator[Chunk]:
        span = self._spans[index]
        codes = buffer.take(span.start - span.lead, span.stop)
        following = self._spans[index + 1].start if index + 1 < len(self._spans) else span.stop
        seconds = float((following - span.start) / self._chain.frame_rate) / self._encoding.rows.count
        for row in range(self._encoding.rows.count):
            if self._encoding.activity.silent(row, span.start, span.stop):
                self._answer(index, row, None)
            else:
                yield Chunk(self, index, row, fill(codes[row], span, self._chain.silence), seconds)

    def _pass_through(self) -> Iterator[None]:
        """All input and nothing enhanced: neither codec nor language model has work."""
        for index in range(len(self._spans)):
            for row in range(self._encoding.rows.count):
                self._answer(index, row, None)
            yield None

    def deliver(self, chunk: Chunk, codes: NDArray[np.int16]) -> None:
        self._answer(chunk.index, chunk.row, codes)

    def _answer(self, index: int, row: int, codes: Answer) -> None:
        self._answers.setdefault(index, {})[row] = codes
        while len(self._answers.get(self._next, ())) == self._encoding.rows.count:
            self._write(self._spans[self._next], self._answers.pop(self._next))
            self._next += 1

    def _write(self, span: Span, answers: dict[int, Answer]) -> None:
        hop = self._chain.codec.spec.hop_length
        samples = np.zeros((self._encoding.rows.count, span.frames * hop), np.float32)
        spoken = {row: codes for row, codes in answers.items() if codes is not None}
        if spoken:
            decoded = self._chain.codec.decode(np.stack(list(spoken.values())))
            decoded = decoded[:, span.lead * hop :][:, : samples.shape[1]]
            samples[list(spoken)] = decoded / np.float32(self._encoding.gain)
        last = self._next + 1 == len(self._spans)
        faded = self._fade.push(samples, span, None if last else self._spans[self._next + 1].start)
        faded = faded[:, : self._left]
        self._left -= faded.shape[1]
        self._output.write(faded)

    def finish(self) -> Finished:
        self._output.close()
        files, warnings = self._sink.finish(self._output.frames)
        return Finished(files, self._source.signal.seconds, [*self._encoding.rows.warnings, *warnings])

    def abandon(self) -> None:
        self._sink.abandon()
