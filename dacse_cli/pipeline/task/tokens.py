"""Tasks that read or write token files: tokenise, detokenise, enhance units."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import DTypeLike

from dacse_cli.audio.info import resampled_length
from dacse_cli.audio.loudness import SHORTEST, LoudnessMeter
from dacse_cli.codec.stream import DecodeStream, no_units
from dacse_cli.interfaces import Codec, Codes, Latents, Samples, Units, Window
from dacse_cli.pipeline.task.chunks import Span, fill, join_units
from dacse_cli.pipeline.task.codec_work import Asking, CodecWork, Results, alone, decoded, encoded
from dacse_cli.pipeline.task.guarding import Ruling, Watch
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.reading.encode import Encoding
from dacse_cli.pipeline.task.reading.rows import Rows
from dacse_cli.pipeline.task.reading.sources import Signal, Source, first_equal
from dacse_cli.pipeline.task.task import Chunk, Steps
from dacse_cli.pipeline.task.token_files import Save
from dacse_cli.pipeline.task.writing.output import Output
from dacse_cli.pipeline.task.writing.sinks import Sink
from dacse_cli.pipeline.wire.outcome import Finished
from dacse_cli.tokens.files import TokenFile

DECODE_FRAMES = 256
"""Frames handed to the decoder at a time; bounds memory, does not change the sound."""


class Tokenise:
    """A `Task`: recording -> token file. Needs no translator.

    With `levels`, the loudness of each channel is measured for the file. `latents` is the type that latents
    are stored in, float32 or float16.
    """

    def __init__(
        self,
        source: Source,
        name: str,
        models: Models,
        channels: str,
        save: Save,
        *,
        levels: bool,
        latents: DTypeLike = np.float32,
    ) -> None:
        self._stored = latents
        self._source, self._name, self._models, self._save = source, name, models, save
        self._rows = Rows(source.signal, channels)
        self._encoding = Encoding(source.signal, self._rows, models.need_codec)
        rate = source.signal.sample_rate
        self._meters = [LoudnessMeter(rate, 1) for _ in range(self._rows.channels if levels else 0)]
        self._units = [no_units(models.spec, self._rows.count)]

    def _blocks(self) -> Iterator[Samples]:
        for block in self._source.blocks():
            self._rows.measure(block)
            for meter, channel in zip(self._meters, self._rows.mix_down(block), strict=False):
                meter.push(channel[None])
            yield block

    def chunks(self) -> Steps:
        for windows in self._encoding.windows(self._blocks()):
            if windows:
                self._units.append((yield from encoded(windows)))
                yield float(self._units[-1].shape[2] / self._models.spec.frame_rate)
            else:
                yield 0.0

    def deliver(self, chunk: Chunk, units: Units) -> Asking[Chunk | None]:
        raise AssertionError("nothing is translated here")

    def finish(self) -> Finished:
        signal, spec = self._source.signal, self._models.spec
        rows = np.concatenate(self._units, axis=2)  # [R, U, T]
        units = np.ascontiguousarray(self._rows.spread(rows))
        if units.dtype.kind == "f":
            units = _stored_as(units, self._stored)
        tokens = TokenFile(
            units=units,
            codec=self._models.codec_name,
            sample_rate=spec.sample_rate,
            hop_length=spec.hop_length,
            codebook_size=spec.units.size if isinstance(spec.units, Codes) else 0,
            original_sample_rate=signal.sample_rate,
            original_length=signal.frames,
            source=self._name,
            quantised=isinstance(spec.units, Latents) and spec.units.quantised,
        )
        warnings = self._rows.warnings
        if self._encoding.gain < 1:
            warnings.append("peaks above full scale were scaled down")
        return Finished(tuple(self._save(tokens, self._levels())), signal.seconds, tuple(warnings))

    def _levels(self) -> tuple[float, ...]:
        """LUFS of each channel; recordings too short to be measured are padded with silence."""
        missing = int(SHORTEST * self._source.signal.sample_rate) - self._source.signal.frames
        for meter in self._meters:
            meter.push(np.zeros((1, max(0, missing)), np.float32))
        return tuple(meter.integrated() for meter in self._meters)

    def abandon(self) -> None:
        self._units.clear()


def _stored_as(latents: Units, dtype: DTypeLike) -> Units:
    """Latents converted to another type; values out of its range are clipped to its largest."""
    limit = np.finfo(np.dtype(dtype)).max
    return latents.clip(-limit, limit).astype(dtype)


class UnitsToSound:
    """Units `[R, U, T]` -> sink, in bounded memory."""

    def __init__(self, tokens: TokenFile, codec: Codec, sink: Sink, rate: int | None) -> None:
        self._codec, self._sink = codec, sink
        duplicates = first_equal(tokens.units)
        self.signal = Signal(
            tokens.original_sample_rate, len(duplicates), tokens.original_length, 1.0, duplicates
        )
        self.rows = Rows(self.signal, "keep")
        rate = rate or tokens.original_sample_rate
        codec_rate = codec.spec.sample_rate
        self._output = Output(sink, self.rows, (codec_rate, rate), self.signal.frames_at(rate))
        self._samples = resampled_length(tokens.original_length, tokens.original_sample_rate, codec_rate)

    def run(self, units: Units) -> Generator[CodecWork | float, Results | None, None]:
        """Decode everything; yields the seconds of audio of each step."""
        stream = DecodeStream(self._codec, self.rows.count)
        windows: list[Window] = []
        for start in range(0, units.shape[2], DECODE_FRAMES):
            piece = units[:, :, start : start + DECODE_FRAMES]
            windows += stream.windows(piece)
            if len(windows) * self.rows.count >= self._codec.rows:
                yield from self._decode(windows)
                windows = []
            yield float(piece.shape[2] / self._codec.spec.frame_rate)
        yield from self._decode([*windows, *stream.last_windows()])
        self._output.close()

    def _decode(self, windows: Sequence[Window]) -> Asking[None]:
        if windows:
            for samples in (yield CodecWork(windows, decode=True)):
                self._write(samples)

    def _write(self, samples: Samples) -> None:
        samples = samples[:, : self._samples]
        self._samples -= samples.shape[1]
        self._output.write(samples)

    def finish(self) -> Finished:
        """Close the sink."""
        files, warnings = self._sink.finish(self._output.frames)
        return Finished(tuple(files), self.signal.seconds, tuple(warnings))


class Detokenise:
    """A `Task`: token file -> recording, equal channels decoded once. Needs no translator."""

    def __init__(self, tokens: TokenFile, sink: Sink, models: Models, rate: int | None) -> None:
        self._sink = sink
        self._sound = UnitsToSound(tokens, models.need_codec, sink, rate)
        self._units = self._sound.rows.first_of(tokens.units)

    def chunks(self) -> Steps:
        yield from self._sound.run(self._units)

    def deliver(self, chunk: Chunk, units: Units) -> Asking[Chunk | None]:
        raise AssertionError("nothing is translated here")

    def finish(self) -> Finished:
        return self._sound.finish()

    def abandon(self) -> None:
        self._sink.abandon()


class EnhanceTokens:
    """A `Task`: token file -> enhanced token file (`save`) or recording (`sink`), one of the two.

    The guard compares sound, so with a guard every chunk is decoded before and after translation.
    """

    def __init__(
        self,
        tokens: TokenFile,
        models: Models,
        *,
        save: Save | None = None,
        sink: Sink | None = None,
        rate: int | None = None,
        guard: str = "normal",
    ) -> None:
        self._tokens, self._models, self._save, self._sink = tokens, models, save, sink
        spec = models.spec
        self._frame_rate = spec.frame_rate
        self._watch: Watch | None = None
        if guard != "off":
            assert models.translator is not None
            redraws = models.translator.redraws
            self._watch = Watch(guard, spec.sample_rate, spec.frame_rate, redraws=redraws)
        self._sound = UnitsToSound(tokens, models.need_codec, sink, rate) if sink else None
        duplicates = first_equal(tokens.units)
        self._rows = Rows(Signal(1, len(duplicates), 0, 1.0, duplicates), "keep")
        self._units = self._rows.first_of(tokens.units)
        self._spans = models.need_grid.plan(tokens.units.shape[2])
        self._done: dict[tuple[int, int], Units] = {}
        self._seconds = tokens.original_length / tokens.original_sample_rate

    def chunks(self) -> Steps:
        share = self._seconds / max(1, len(self._spans) * self._rows.count)
        for index, span in enumerate(self._spans):
            for row in range(self._rows.count):
                units = fill(self._units[row, :, span.first : span.last], span, self._models.silence)
                if self._watch is not None:
                    start, stop = (float(frame / self._frame_rate) for frame in (span.start, span.stop))
                    self._watch.hear(index, row, (yield from self._decode(span, units)), start, stop)
                yield Chunk(self, index, row, units, share)

    def _decode(self, span: Span, units: Units) -> Asking[Samples]:
        """Decode the kept frames of units `[U, translated]` of a span to samples `[n]`."""
        hop = self._models.spec.hop_length
        samples: Samples = (yield from decoded(self._models.need_codec, units[None]))[0]
        return samples[span.lead * hop : (span.lead + span.frames) * hop]

    def deliver(self, chunk: Chunk, units: Units) -> Asking[Chunk | None]:
        span = self._spans[chunk.index]
        if self._watch is not None:
            samples = yield from self._decode(span, units)
            ruling = self._watch.rule(chunk, span.kept, units, samples)
            if ruling is Ruling.TRY_AGAIN:
                return self._watch.again(chunk)
            if ruling is Ruling.PASS_THROUGH:
                units = chunk.units
            self._watch.release(chunk)
        self._done[chunk.index, chunk.row] = units[:, span.kept]
        return None

    def finish(self) -> Finished:
        pieces = [
            np.stack([self._done.pop((index, row)) for row in range(self._rows.count)])
            for index in range(len(self._spans))
        ]
        rows = join_units(pieces, self._spans)  # [R, U, T]
        report = self._watch.report if self._watch else None
        if self._sound is not None:
            for _ in alone(self._models.need_codec, self._sound.run(rows)):
                pass
            return replace(self._sound.finish(), guard=report)
        assert self._save is not None
        files = self._save(self._tokens.with_units(self._rows.spread(rows)), ())
        return Finished(tuple(files), self._seconds, guard=report)

    def abandon(self) -> None:
        if self._sink is not None:
            self._sink.abandon()
