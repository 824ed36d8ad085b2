"""One recording through codec, language model and codec again, in constant memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from dacse_cli.config import SoundOptions
from dacse_cli.pipeline.task.asr_check import ListeningSink, SecondOpinion
from dacse_cli.pipeline.task.chunks import CrossFade, Span, fill
from dacse_cli.pipeline.task.encode import Encoding, SpanBuffer
from dacse_cli.pipeline.task.guarding import Ruling, Watch
from dacse_cli.pipeline.task.levelling import LevelledSink, loudness_of
from dacse_cli.pipeline.task.output import DryBlocks, Output
from dacse_cli.pipeline.task.sources import Samples, Sink, Source
from dacse_cli.pipeline.task.task import Chain, Chunk, Finished
from dacse_cli.pipeline.wire.guard_report import GuardReport

Answer = Samples | None
"""What was said in a chunk `[1, n]`, and where that only steers, what the codec makes of the input `[2, n]`;
None for silence."""


class EnhanceAudio:
    """A `Task`. Chunks of digital silence are answered with silence at once and cost no generation."""

    def __init__(self, source: Source, sink: Sink, chain: Chain, sound: SoundOptions) -> None:
        self._chain, self._source, self._sink = chain, source, sink
        spec = chain.codec.spec
        self._hop = spec.hop_length
        self._generate = sound.share > 0
        self._guard = sound.guard
        filtering = (chain.method if sound.method == "auto" else sound.method) == "filter"
        self._steer = self._generate and filtering
        self._watch: Watch | None = None
        # what is only turned down cannot say anything else
        if self._generate and sound.guard != "off" and not self._steer:
            self._watch = Watch(sound.guard, spec.sample_rate, spec.frame_rate)
        self._heard = SpanBuffer[np.float32]()
        self._encoding = Encoding(source, chain.codec, sound.channels, self._hear)
        self._spans = chain.grid.plan(self._encoding.frames)
        rate = sound.rate or source.signal.sample_rate
        rows = self._encoding.rows
        if sound.loudness is not None:
            sink = self._sink = LevelledSink(
                sink, rate, rows.channels, lambda: self._goal(sound.loudness), sound.true_peak
            )
        strong = sound.profile == "strong"
        self._opinion: SecondOpinion | None = None
        if self._generate and chain.recogniser is not None:
            self._opinion = SecondOpinion(chain.recogniser, rate, strict=sound.guard == "strict")
            sink = self._sink = ListeningSink(sink, DryBlocks(source, rows, rate), self._opinion)
        self._output = Output(
            source,
            sink,
            rows,
            codec_rate=spec.sample_rate,
            rate=rate,
            mix=sound.share,
            expand=strong,
            steer=self._steer,
        )
        self._fade = CrossFade(spec.hop_length)
        self._answers: dict[int, dict[int, Answer]] = {}
        self._next = 0  # first span not yet written
        self._left = self._encoding.samples

    def _hear(self, samples: Samples) -> None:
        if self._watch is not None:
            self._heard.append(samples)

    def _goal(self, loudness: str | float | None) -> float:
        """The loudness to reach in LUFS."""
        if isinstance(loudness, (int, float)):
            return loudness
        return loudness_of(self._source, self._encoding.rows)

    def chunks(self) -> Iterator[Chunk | None]:
        if not self._generate:
            yield from self._pass_through()
            return
        buffer = SpanBuffer[np.int16]()
        ready = 0
        for codes in self._encoding.codes():
            buffer.append(codes)
            while ready < len(self._spans) and self._spans[ready].stop <= buffer.stop:
                yield from self._cut(ready, buffer)
                ready += 1
            yield None

    def _cut(self, index: int, buffer: SpanBuffer[np.int16]) -> Iterator[Chunk]:
        span = self._spans[index]
        codes = buffer.take(span.start - span.lead, span.stop)
        following = self._spans[index + 1].start if index + 1 < len(self._spans) else span.stop
        seconds = float((following - span.start) / self._chain.frame_rate) / self._encoding.rows.count
        heard = self._take_heard(span) if self._watch else None
        for row in range(self._encoding.rows.count):
            if self._encoding.activity.silent(row, span.start, span.stop):
                self._answer(index, row, None)
                continue
            if self._watch and heard is not None:
                start, stop = (float(frame / self._chain.frame_rate) for frame in (span.start, span.stop))
                self._watch.hear(index, row, heard[row], start, min(stop, self._source.signal.seconds))
            yield Chunk(self, index, row, fill(codes[row], span, self._chain.silence), seconds)

    def _take_heard(self, span: Span) -> Samples:
        """Samples `[R, (lead + frames) * hop]` of a span, zeros after the end of the recording."""
        first, stop = (span.start - span.lead) * self._hop, span.stop * self._hop
        heard = self._heard.take(first, stop)
        return np.pad(heard, ((0, 0), (0, stop - first - heard.shape[1])))

    def _pass_through(self) -> Iterator[None]:
        """All input and nothing enhanced: neither codec nor language model has work."""
        for index in range(len(self._spans)):
            for row in range(self._encoding.rows.count):
                self._answer(index, row, None)
            yield None

    def deliver(self, chunk: Chunk, codes: NDArray[np.int16]) -> Chunk | None:
        span = self._spans[chunk.index]
        spoken = np.stack([codes, chunk.codes]) if self._steer else codes[None]
        said = self._chain.codec.decode(spoken)[:, : (span.lead + span.frames) * self._hop]
        if self._watch is not None:
            ruling = self._watch.rule(chunk, codes, said[0])
            if ruling is Ruling.TRY_AGAIN:
                return self._watch.again(chunk)
            if ruling is Ruling.LET_THROUGH:
                said = self._watch.input_of(chunk)[None]
            self._watch.release(chunk)
        self._answer(chunk.index, chunk.row, said[:, span.lead * self._hop :])
        return None

    def _answer(self, index: int, row: int, samples: Answer) -> None:
        self._answers.setdefault(index, {})[row] = samples
        while len(self._answers.get(self._next, ())) == self._encoding.rows.count:
            self._write(self._spans[self._next], self._answers.pop(self._next))
            self._next += 1

    def _write(self, span: Span, answers: dict[int, Answer]) -> None:
        samples = np.zeros((2 if self._steer else 1, len(answers), span.frames * self._hop), np.float32)
        for row, answer in answers.items():
            if answer is not None:
                samples[:, row] = answer / np.float32(self._encoding.gain)
        last = self._next + 1 == len(self._spans)
        following = None if last else self._spans[self._next + 1].start
        faded = self._fade.push(samples.reshape(-1, samples.shape[2]), span, following)
        faded = faded[:, : self._left]
        self._left -= faded.shape[1]
        self._output.write(faded)

    def finish(self) -> Finished:
        self._output.close()
        files, warnings = self._sink.finish(self._output.frames)
        warnings = [*self._encoding.rows.warnings, *warnings]
        report = self._watch.report if self._watch else None
        if self._opinion is not None:
            report = self._opinion.report(report or GuardReport(self._guard))
        return Finished(files, self._source.signal.seconds, warnings, guard=report)

    def abandon(self) -> None:
        self._sink.abandon()
