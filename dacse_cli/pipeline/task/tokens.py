"""Tasks that start or end at token files: tokenise, detokenise, enhance in the token domain."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dacse_cli.audio.info import resampled_length
from dacse_cli.codec.stream import DecodeStream
from dacse_cli.errors import InputError
from dacse_cli.interfaces import Codec, Codes
from dacse_cli.pipeline.task.chunks import Span, fill, join_codes
from dacse_cli.pipeline.task.encode import Encoding, Rows
from dacse_cli.pipeline.task.guarding import Ruling, Watch
from dacse_cli.pipeline.task.output import Output
from dacse_cli.pipeline.task.sources import Samples, Signal, Sink, Source
from dacse_cli.pipeline.task.task import Chain, Chunk, Finished
from dacse_cli.pipeline.wire.outcome import OutputFile
from dacse_cli.tokens.files import TokenFile, check

Save = Callable[[TokenFile, Source | None], list[OutputFile]]
"""Writes a token file, and what its form wants to know of the recording, under temporary names."""

DECODE_FRAMES = 256
"""Frames handed to the decoder at a time; bounds memory, does not change the sound."""


class Tokenise:
    """A `Task`: recording -> token file. Needs no language model."""

    def __init__(self, source: Source, name: str, chain: Chain, channels: str, save: Save) -> None:
        self._source, self._name, self._chain, self._save = source, name, chain, save
        self._encoding = Encoding(source, chain.codec, channels)
        self._codes: list[NDArray[np.int16]] = []

    def chunks(self) -> Iterator[Chunk | None]:
        for codes in self._encoding.codes():
            self._codes.append(codes)
            yield None

    def deliver(self, chunk: Chunk, codes: NDArray[np.int16]) -> None:
        raise AssertionError("nothing is generated here")

    def finish(self) -> Finished:
        signal = self._source.signal
        rows = np.concatenate(self._codes, axis=2)  # [R, K, T]
        codes = np.ascontiguousarray(self._encoding.rows.spread(rows))
        spec = self._chain.codec.spec
        tokens = TokenFile(
            units=codes,
            codec=self._chain.codec_name,
            sample_rate=spec.sample_rate,
            hop_length=spec.hop_length,
            codebook_size=chain_codes(self._chain).size,
            original_sample_rate=signal.sample_rate,
            original_length=signal.frames,
            source=self._name,
        )
        warnings = self._encoding.rows.warnings
        if self._encoding.gain < 1:
            warnings.append("peaks above full scale were scaled down")
        return Finished(self._save(tokens, self._source), signal.seconds, warnings)

    def abandon(self) -> None:
        self._codes.clear()


def chain_codes(chain: Chain) -> Codes:
    """The codes of a chain's codec. Raises `InputError` where it makes latents."""
    units = chain.codec.spec.units
    if not isinstance(units, Codes):
        raise InputError(f"the codec {chain.codec_name} makes latents, not codes", reason="other-codec")
    return units


def check_codec(tokens: TokenFile, chain: Chain) -> TokenFile:
    """The token file with its unknowns filled in; `InputError` where it was made for another codec."""
    spec = chain.codec.spec
    K, codes = tokens.codes.shape[1], chain_codes(chain)
    if tokens.codes.max() >= codes.size or codes.books != K:
        raise InputError(
            f"{K} codebooks of {int(tokens.codes.max()) + 1} or more codes do not fit the codec "
            f"({codes.books} x {codes.size})",
            reason="other-codec",
        )
    if not tokens.codec:  # text and .dac files do not say which codec made them
        whole = replace(
            tokens,
            codec=chain.codec_name,
            sample_rate=spec.sample_rate,
            hop_length=spec.hop_length,
            codebook_size=codes.size,
            original_sample_rate=tokens.original_sample_rate or spec.sample_rate,
            original_length=tokens.original_length or tokens.codes.shape[2] * spec.hop_length,
        )
        check(whole)
        return whole
    theirs = (tokens.sample_rate, tokens.hop_length, tokens.codebook_size)
    ours = (spec.sample_rate, spec.hop_length, codes.size)
    if theirs != ours or _differ(tokens.codec, chain.codec_name):
        raise InputError(
            f"made for codec {tokens.codec} ({theirs[0]} Hz), not for {chain.codec_name} ({ours[0]} Hz)",
            reason="other-codec",
            hint="Name the codec it was made with by --codec.",
        )
    return tokens


def _differ(theirs: str, ours: str) -> bool:
    """Whether two codec names are of one kind (both hashes or both names) and not the same."""
    hashed = [name.startswith("sha256:") for name in (theirs, ours)]
    return hashed[0] == hashed[1] and theirs.split("@")[0] != ours.split("@")[0]


def twins_of(codes: NDArray[np.int16]) -> tuple[int, ...]:
    """For each channel of `[C, K, T]` the first one with the same codes."""
    return tuple(
        next(j for j in range(i + 1) if np.array_equal(codes[i], codes[j])) for i in range(len(codes))
    )


class TokenSource:
    """The recording a token file stands for, as far as the output stage needs to know. Has no samples."""

    def __init__(self, tokens: TokenFile) -> None:
        self.signal = Signal(
            tokens.original_sample_rate,
            len(tokens.codes),
            tokens.original_length,
            1.0,
            twins_of(tokens.codes),
        )

    def blocks(self) -> Iterator[Samples]:
        raise InputError("a token file has no samples to mix with", reason="no-samples")


class CodesToSound:
    """Codes `[R, K, T]` -> sink, in bounded memory."""

    def __init__(self, tokens: TokenFile, codec: Codec, sink: Sink, rate: int | None) -> None:
        self._codec, self._sink = codec, sink
        source = TokenSource(tokens)
        self.signal = source.signal
        self.rows = Rows(source.signal, "keep")
        rate = rate or tokens.original_sample_rate
        codec_rate = codec.spec.sample_rate
        self._output = Output(source, sink, self.rows, codec_rate=codec_rate, rate=rate, mix=1.0)
        self._samples = resampled_length(tokens.original_length, tokens.original_sample_rate, codec_rate)

    def run(self, codes: NDArray[np.int16]) -> Iterator[None]:
        """Decode everything, a piece at each step."""
        stream = DecodeStream(self._codec, self.rows.count)
        for start in range(0, codes.shape[2], DECODE_FRAMES):
            self._write(stream.push(codes[:, :, start : start + DECODE_FRAMES]))
            yield
        self._write(stream.finish())
        self._output.close()

    def _write(self, samples: Samples) -> None:
        samples = samples[:, : self._samples]
        self._samples -= samples.shape[1]
        self._output.write(samples)

    def finish(self) -> Finished:
        """Close the sink."""
        files, warnings = self._sink.finish(self._output.frames)
        return Finished(files, self.signal.seconds, warnings)


class Detokenise:
    """A `Task`: token file -> recording, equal channels decoded once. Needs no language model."""

    def __init__(self, tokens: TokenFile, sink: Sink, chain: Chain, rate: int | None) -> None:
        self._sink = sink
        self._sound = CodesToSound(tokens, chain.codec, sink, rate)
        self._codes = tokens.codes[sorted(set(twins_of(tokens.codes)))]

    def chunks(self) -> Iterator[Chunk | None]:
        for _ in self._sound.run(self._codes):
            yield None

    def deliver(self, chunk: Chunk, codes: NDArray[np.int16]) -> None:
        raise AssertionError("nothing is generated here")

    def finish(self) -> Finished:
        return self._sound.finish()

    def abandon(self) -> None:
        self._sink.abandon()


class EnhanceTokens:
    """A `Task`: token file -> enhanced token file (`save`) or recording (`sink`), one of the two.

    A guard must hear, so with one on duty every chunk is decoded before and after.
    """

    def __init__(
        self,
        tokens: TokenFile,
        chain: Chain,
        *,
        save: Save | None = None,
        sink: Sink | None = None,
        rate: int | None = None,
        guard: str = "normal",
    ) -> None:
        self._tokens, self._chain, self._save, self._sink = tokens, chain, save, sink
        spec = chain.codec.spec
        self._watch = None if guard == "off" else Watch(guard, spec.sample_rate, spec.frame_rate)
        self._sound = CodesToSound(tokens, chain.codec, sink, rate) if sink else None
        self._firsts = sorted(set(twins := twins_of(tokens.codes)))
        self._row_of = [self._firsts.index(twin) for twin in twins]
        self._spans = chain.grid.plan(tokens.codes.shape[2])
        self._answers: dict[tuple[int, int], NDArray[np.int16]] = {}
        self._seconds = tokens.original_length / tokens.original_sample_rate

    def chunks(self) -> Iterator[Chunk | None]:
        share = self._seconds / max(1, len(self._spans) * len(self._firsts))
        for index, span in enumerate(self._spans):
            for row, channel in enumerate(self._firsts):
                codes = self._tokens.codes[channel, :, span.start - span.lead : span.stop]
                chunk = Chunk(self, index, row, fill(codes, span, self._chain.silence), share)
                if self._watch is not None:
                    start, stop = (float(frame / self._chain.frame_rate) for frame in (span.start, span.stop))
                    self._watch.hear(index, row, self._decode(span, chunk.codes), start, stop)
                yield chunk

    def _decode(self, span: Span, codes: NDArray[np.int16]) -> Samples:
        """What codes `[K, generated]` of a span sound like, without the silence behind it."""
        samples = (span.lead + span.frames) * self._chain.codec.spec.hop_length
        return self._chain.codec.decode(codes[None])[0, :samples]

    def deliver(self, chunk: Chunk, codes: NDArray[np.int16]) -> Chunk | None:
        span = self._spans[chunk.index]
        if self._watch is not None:
            ruling = self._watch.rule(chunk, codes, self._decode(span, codes))
            if ruling is Ruling.TRY_AGAIN:
                return self._watch.again(chunk)
            if ruling is Ruling.LET_THROUGH:
                codes = chunk.codes
            self._watch.release(chunk)
        self._answers[chunk.index, chunk.row] = codes[:, span.lead :][:, : span.frames]
        return None

    def finish(self) -> Finished:
        pieces = [
            np.stack([self._answers.pop((index, row)) for row in range(len(self._firsts))])
            for index in range(len(self._spans))
        ]
        rows = join_codes(pieces, self._spans)  # [R, K, T]
        report = self._watch.report if self._watch else None
        if self._sound is not None:
            for _ in self._sound.run(rows):
                pass
            return replace(self._sound.finish(), guard=report)
        assert self._save is not None
        files = self._save(self._tokens.with_units(rows[self._row_of]), None)
        return Finished(files, self._seconds, [], guard=report)

    def abandon(self) -> None:
        if self._sink is not None:
            self._sink.abandon()
