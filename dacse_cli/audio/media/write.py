"""Samples into a media file, with the other streams of its source unchanged, and read back for verification.

The same promises as `OutputWriter` in `audio.write`; here they also hold for the copied streams: as many
packets, with the same checksum.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any, NoReturn

import av
import numpy as np
from av.packet import Packet
from numpy.typing import NDArray

from dacse_cli.audio.containers.kinds import ADTS, MATROSKA, MP4, OGG_FLAC, Kind
from dacse_cli.audio.formats import OutputFormat
from dacse_cli.audio.media.container import codec_name
from dacse_cli.audio.media.copying import Copier, fingerprints
from dacse_cli.audio.media.decode import MediaReader
from dacse_cli.audio.media.encode import ENCODERS, LAYOUTS, TrackEncoder
from dacse_cli.audio.media.kinds import MUXERS, SOUND_ONLY
from dacse_cli.audio.write import FLOATING, AddTags, PartStream, within_full_scale
from dacse_cli.errors import InputError, OutputError
from dacse_cli.files.atomic import PartFile, Written

_KINDS = {
    "OGG_FLAC": OGG_FLAC,
    "M4A": MP4,
    "MP4": MP4,
    "MOV": MP4,
    "MATROSKA": MATROSKA,
    "WEBM": MATROSKA,
    "ADTS": ADTS,
}
_ADTS_FRAME = 1024
_BLOCK = 16_384


class MediaWriter:
    """Writes samples `[C, n]` to a part file beside `target`; as `OutputWriter` in use and in errors.

    `source` is the media file that the samples come from: its other streams, chapters and tags are kept.
    `notes` says what of it could not be. A lossy track of an MP4 that starts late is led in by silence
    from the start on. `add_tags` is given the finished part file, to add tags to it.
    """

    def __init__(
        self,
        target: Path,
        fmt: OutputFormat,
        channels: int,
        source: tuple[Path, Kind] | None = None,
        add_tags: AddTags | None = None,
    ) -> None:
        self._target, self._format, self._channels, self._add_tags = target, fmt, channels, add_tags
        self._kind = _KINDS[fmt.container]
        self._clipped = self._frames = self._lead = 0
        self.notes: list[str] = []
        self._part = PartFile(target)
        self._stream = PartStream(self._part.descriptor)
        self._copier: Copier | None = None
        self._output: Any = None
        try:
            self._open(source)
        except (av.error.FFmpegError, ValueError) as error:
            self._fail(error)
        except BaseException:
            self.discard()
            raise

    def __enter__(self) -> MediaWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._part.descriptor >= 0:
            self.discard()

    def discard(self) -> None:
        """Give up: remove the part file."""
        self._stream.closed = True  # drop the trailer that the muxer writes when it is collected
        if self._copier is not None:
            self._copier.close()
        self._part.discard()

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append `samples` `[C, n]`; outside [-1, 1] they are cut and counted, unless stored as float."""
        for start in range(0, samples.shape[1], _BLOCK):
            block = samples[:, start : start + _BLOCK]
            try:
                limited, clipped = within_full_scale(block)
                if self._format.subtype not in FLOATING:
                    block, self._clipped = limited, self._clipped + clipped
                self._mux(self._encoder.encode(block))
            except InputError:
                self.discard()
                raise
            self._frames += block.shape[1]

    def finish(self, expected_frames: int) -> Written:
        """Close, open again, count samples and packets, hash, sync: what to give to `commit`.

        `expected_frames` other than the number written is a mistake of the caller: `ValueError`.
        """
        if self._frames != expected_frames:
            raise ValueError(f"{self._frames} samples were written, not {expected_frames}")
        self._mux(self._encoder.finish())
        try:
            if self._copier is not None:
                self._output.mux(list(self._copier.due(None)))
            self._output.close()
        except (av.error.FFmpegError, ValueError, OSError) as error:
            self._fail(error)
        self._check_stream()
        try:
            if self._add_tags is not None:
                self.notes += self._add_tags(self._part.path)
            self._verify()
        except InputError as error:
            self._fail(error)
        except BaseException:
            self.discard()
            raise
        if self._copier is not None:
            self._copier.close()
        return replace(self._part.seal(), clipped=self._clipped)

    # -- setting up --------------------------------------------------------------------------------------

    def _open(self, source: tuple[Path, Kind] | None) -> None:
        container, rate = self._format.container, self._format.sample_rate
        # in the track's own time scale an MP4's edit list ends on the sample, not on the millisecond
        options = {"movie_timescale": str(rate)} if self._kind is MP4 else {}
        self._output = av.open(self._stream, "w", format=MUXERS[container], container_options=options)
        layout, bit_rate, start = LAYOUTS[min(self._channels, len(LAYOUTS)) - 1], None, Fraction(0)
        if source is not None:
            path, kind = source
            with MediaReader(path, kind) as reader:
                start = reader.start
            with_video = self._target.suffix.lower() not in SOUND_ONLY
            self._copier = Copier(path, kind, container, with_video)
            track = self._copier.track
            if track.layout.nb_channels == self._channels and "channels" not in track.layout.name:
                layout = track.layout.name
            if codec_name(track) == self._format.subtype:
                bit_rate = track.codec_context.bit_rate

        if self._kind is MP4 and start > 0 and ENCODERS[self._format.subtype].bit_rate:
            # an edit list that delays the track would replace the one that cuts its priming: silence instead
            self._lead, start = round(start * rate), Fraction(0)

        def add_audio() -> Any:
            self._encoder = TrackEncoder(
                self._output, self._format.subtype, rate, layout=layout, bit_rate=bit_rate, start=start
            )
            return self._encoder.stream

        if self._copier is None:
            add_audio()
        else:
            self._copier.add_streams(self._output, add_audio)
            self.notes += self._copier.dropped
        for at in range(0, self._lead, _BLOCK):
            silence = np.zeros((self._channels, min(_BLOCK, self._lead - at)), np.float32)
            self._mux(self._encoder.encode(silence))

    def _mux(self, packets: Iterator[Packet]) -> None:
        """Audio packets, and before each the copied ones that are due."""
        try:
            for packet in packets:
                if self._kind is ADTS and packet.pts < 0:
                    continue  # the only container that cannot say that its first packet is priming
                if self._copier is not None:
                    self._output.mux(list(self._copier.due(packet.pts * packet.time_base)))
                self._output.mux(packet)
        except (av.error.FFmpegError, ValueError, OSError) as error:
            self._fail(error)
        self._check_stream()

    # -- reading back ------------------------------------------------------------------------------------

    def _verify(self) -> None:
        expected = self._lead + self._frames
        if self._kind is ADTS:  # counts whole packets
            expected = -(-expected // _ADTS_FRAME) * _ADTS_FRAME
        with MediaReader(self._part.path, self._kind) as reader:
            while reader.read(65_536).shape[1]:
                pass
            found = (reader.info.sample_rate, reader.info.channels, reader.frames_read)
        wanted = (self._format.sample_rate, self._channels, expected)
        if found != wanted:
            raise InputError(f"{found} was read back for {wanted}", reason="format")
        written = self._copier.fingerprints if self._copier is not None else {}
        if written and fingerprints(self._part.path, self._kind, list(written)) != written:
            raise InputError("a copied stream reads back differently", reason="format")

    def _check_stream(self) -> None:
        if self._stream.error is not None:
            self._fail(None)

    def _fail(self, cause: Exception | None) -> NoReturn:
        """Remove the file and raise the system's error, or that this file cannot be written."""
        with contextlib.suppress(OSError):
            if self._stream.error is not None:
                self._stream.closed = True
                self._part.fail(self._stream.error)
        self.discard()
        if isinstance(cause, OSError) and not isinstance(cause, av.error.FFmpegError):
            raise OutputError(f"cannot write {self._target}: {cause}") from cause
        message = cause.message if isinstance(cause, InputError) else str(cause)
        raise InputError(
            f"cannot be written as {self._target.suffix}: {message}",
            reason="format",
            hint='use `format="wav"`',
        ) from cause
