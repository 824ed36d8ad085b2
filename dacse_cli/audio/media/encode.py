"""Samples -> packets of an audio track that plays exactly the given samples.

Encoders start with priming and pad their last packet. The priming goes out with timestamps before the
start, where every muxer but ADTS writes it down as delay; the fill is cut off by the last packet's duration
(MP4) and by a mark to discard it (Matroska).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet, PacketSideData
from numpy.typing import NDArray

from dacse_cli.audio.media.decode import PLANES, Samples
from dacse_cli.audio.write import quantise


@dataclass(frozen=True)
class Encoder:
    """FFmpeg's name of an encoder, its sample type, and the number of significant bits."""

    name: str
    format: str
    bits: int | None = None
    bit_rate: int | None = None
    """Bits per second and channel where the source gives none; None for lossless ones."""


ENCODERS = {
    "AAC": Encoder("aac", "fltp", bit_rate=96_000),
    "OPUS": Encoder("libopus", "flt", bit_rate=64_000),
    "MPEG_LAYER_III": Encoder("libmp3lame", "fltp", bit_rate=96_000),
    "MP2": Encoder("mp2", "s16", 16, 96_000),
    "AC3": Encoder("ac3", "fltp", bit_rate=96_000),
    "EAC3": Encoder("eac3", "fltp", bit_rate=96_000),
    "ALAC_16": Encoder("alac", "s16p", 16),
    "ALAC_24": Encoder("alac", "s32p", 24),
    "FLAC_16": Encoder("flac", "s16", 16),
    "FLAC_24": Encoder("flac", "s32", 24),
    "PCM_U8": Encoder("pcm_u8", "u8", 8),
    "PCM_16": Encoder("pcm_s16le", "s16", 16),
    "PCM_24": Encoder("pcm_s24le", "s32", 24),
    "PCM_32": Encoder("pcm_s32le", "s32", 32),
    "FLOAT": Encoder("pcm_f32le", "flt"),
    "DOUBLE": Encoder("pcm_f64le", "dbl"),
}
LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "6.1", "7.1")


class TrackEncoder:
    """Encodes one track. `start` is the time of its first sample in seconds."""

    def __init__(
        self,
        container: OutputContainer,
        codec: str,
        rate: int,
        *,
        layout: str,
        bit_rate: int | None,
        start: Fraction = Fraction(0),
    ) -> None:
        self._encoder = ENCODERS[codec]
        self._rate, self._layout = rate, layout
        self.stream: AudioStream = container.add_stream(self._encoder.name, rate=rate)
        context = self.stream.codec_context
        context.format, context.layout = self._encoder.format, layout
        context.time_base = Fraction(1, rate)
        if self._encoder.bit_rate:
            context.bit_rate = bit_rate or self._encoder.bit_rate * context.layout.nb_channels
        self._at = self._end = round(start * rate)
        self._held: Packet | None = None

    def encode(self, samples: Samples) -> Iterator[Packet]:
        """The packets that `samples` `[C, n]` complete, the newest held back."""
        packets = self._packets(samples)
        self._end += samples.shape[1]
        yield from self._lagging(packets)

    def finish(self) -> Iterator[Packet]:
        """The rest, up to the last sample and no further."""
        size = self._fixed_size
        if size:  # not every encoder returns the samples in its delay line
            silence = np.zeros((self.stream.codec_context.layout.nb_channels, size), np.float32)
            yield from self._lagging(self._packets(silence))
        yield from self._lagging(self.stream.encode(None))
        if self._held is not None:
            self._trim(self._held, size)
            yield self._held

    @property
    def _fixed_size(self) -> int:
        """Samples of every packet, the last one filled up; 0 where the last may be short."""
        return self.stream.codec_context.frame_size if self._encoder.bit_rate else 0

    def _packets(self, samples: Samples) -> list[Packet]:
        frame = self._frame(samples)
        frame.sample_rate, frame.time_base, frame.pts = self._rate, Fraction(1, self._rate), self._at
        self._at += samples.shape[1]
        packets: list[Packet] = self.stream.encode(frame)
        return packets

    def _frame(self, samples: Samples) -> AudioFrame:
        """`samples` `[C, n]` as a frame in the encoder's format."""
        form = self._encoder.format
        if not form.endswith("p") or len(samples) < PLANES:
            return AudioFrame.from_ndarray(self._stored(samples), format=form, layout=self._layout)
        packed = np.ascontiguousarray(self._stored(samples).T).reshape(1, -1)
        frame = AudioFrame.from_ndarray(packed, format=form.removesuffix("p"), layout=self._layout)
        frame.sample_rate = self._rate
        (planar,) = av.AudioResampler(format=form).resample(frame)
        return planar

    def _lagging(self, packets: list[Packet]) -> Iterator[Packet]:
        for packet in packets:
            if packet.pts is not None and packet.pts >= self._end:
                continue  # nothing but fill
            if self._held is not None:
                yield self._held
            self._held = packet

    def _trim(self, last: Packet, size: int) -> None:
        """Take what fills up the last packet, of `size` samples, off the track."""
        fill = (last.pts or 0) + size - self._end
        if size and fill > 0:
            last.duration = size - fill
            last.set_sidedata(_discard(last, fill))

    def _stored(self, samples: Samples) -> NDArray[Any]:
        """`samples` `[C, n]` in the encoder's own type, planar or interleaved."""
        encoder = self._encoder
        block: NDArray[Any] = samples
        if encoder.bits is not None:
            block = quantise(samples, encoder.bits)
        if encoder.format == "u8":
            block = ((block >> 8) + 128).astype(np.uint8)
        elif encoder.format == "dbl":
            block = block.astype(np.float64)
        if encoder.format.endswith("p"):
            return np.ascontiguousarray(block)
        return np.ascontiguousarray(block.T).reshape(1, -1)


def _discard(packet: Packet, fill: int) -> PacketSideData:
    """The mark that tells a muxer to note `fill` samples at a packet's end as not belonging to the track."""
    skip = 0
    if packet.has_sidedata("skip_samples"):
        (skip,) = struct.unpack_from("<I", bytes(packet.get_sidedata("skip_samples")))
    mark = _any_mark()
    mark.update(struct.pack("<IIBB", skip, fill, 0, 0))
    return mark


def _any_mark() -> PacketSideData:
    """A mark taken from a packet of another encoder, because PyAV cannot make one."""
    context = av.CodecContext.create("libmp3lame", "w")
    context.sample_rate, context.layout, context.format = 48_000, "mono", "fltp"
    context.time_base = Fraction(1, 48_000)
    frame = AudioFrame.from_ndarray(np.zeros((1, 100), np.float32), format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 48_000, 0
    packets = [*context.encode(frame), *context.encode(None)]
    return next(p.get_sidedata("skip_samples") for p in packets if p.has_sidedata("skip_samples"))
