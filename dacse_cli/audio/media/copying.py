"""The streams of a source that are not enhanced, packet by packet into the output; not a bit changes."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer, OutputContainer
from av.packet import Packet
from av.stream import Stream

from dacse_cli.audio.containers.kinds import Kind
from dacse_cli.audio.media.container import close_container, main_audio, open_container

_PICTURE = av.stream.Disposition.attached_pic
_ABOUT_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder"}
_ABOUT_THE_OLD_TRACK = ("BPS", "DURATION", "NUMBER_OF_", "_STATISTICS", "encoder", "vendor_id")
_MP4_FAMILY = ("M4A", "MP4", "MOV")


@dataclass
class Fingerprint:
    """Number of packets of a stream and a digest of their content."""

    packets: int = 0
    checksum: int = 0

    def add(self, packet: Packet) -> None:
        self.packets += 1
        self.checksum = zlib.crc32(packet, self.checksum)


@dataclass
class Copier:
    """Reads a source in parallel to the decoder and returns due packets. `dropped` lists streams not kept."""

    source: Path
    kind: Kind
    container: str
    with_video: bool = True
    dropped: list[str] = field(default_factory=list)
    fingerprints: dict[int, Fingerprint] = field(default_factory=dict)
    """By the stream's index in the output."""

    def __post_init__(self) -> None:
        self._input: InputContainer = open_container(self.source, self.kind)
        self.track = main_audio(self._input, self.kind)
        self._streams: dict[int, Stream] = {}
        self._packets: Iterator[Packet] = iter(())
        self._next: Packet | None = None

    def close(self) -> None:
        """Close the source; may be called twice."""
        close_container(self._input)

    def add_streams(self, output: OutputContainer, add_audio: Callable[[], Stream]) -> None:
        """Give `output` the source's streams in their order; `add_audio()` makes the enhanced one."""
        for stream in self._input.streams:
            if stream.index == self.track.index:
                self._describe(stream, add_audio(), stale=True)
            elif stream.type == "video" and (stream.disposition & _PICTURE or not self.with_video):
                continue
            elif (copied := self._add(output, stream)) is not None:
                self._streams[stream.index] = copied
                if stream.type != "attachment":
                    self.fingerprints[copied.index] = Fingerprint()
        self._add_pictures(output)
        output.metadata.update(
            {key: value for key, value in self._input.metadata.items() if key not in _ABOUT_THE_FILE}
        )
        if chapters := self._input.chapters():
            output.set_chapters(chapters)
        moving = [stream for stream in self._input.streams if self._moves(stream)]
        for stream in self._input.streams:
            if stream not in moving:
                stream.discard = av.stream.Discard.all
        if moving:
            self._packets = self._input.demux(*moving)
            self._next = next(self._packets, None)

    def _moves(self, stream: Stream) -> bool:
        return stream.index in self._streams and stream.type != "attachment"

    def _add(self, output: OutputContainer, stream: Stream) -> Stream | None:
        """A stream like `stream` in `output`, or None where the container cannot hold it."""
        if stream.type == "data":  # time codes and chapter texts: muxers make their own
            return None
        try:
            copied = output.add_stream_from_template(stream, opaque=True)
        except (ValueError, av.error.FFmpegError):
            self.dropped.append(f"{self.container} cannot hold the {stream.type} stream {stream.index}")
            return None
        if self.container in _MP4_FAMILY and self.kind.name == "MP4" and stream.codec_context is not None:
            copied.codec_context.codec_tag = (
                stream.codec_context.codec_tag
            )  # players insist on hvc1, not hev1
        self._describe(stream, copied, stale=False)
        return copied

    @staticmethod
    def _describe(stream: Stream, copied: Stream, *, stale: bool) -> None:
        """Language, title and marks; not what a muxer has counted in a track that is `stale`."""
        left_out = _ABOUT_THE_OLD_TRACK if stale else ("encoder",)
        copied.metadata.update({k: v for k, v in stream.metadata.items() if not k.startswith(left_out)})
        copied.disposition = stream.disposition

    def _add_pictures(self, output: OutputContainer) -> None:
        """Cover art: attached files in Matroska; in MP4 it is a tag and is copied with the tags."""
        pictures = [s for s in self._input.streams.video if s.disposition & _PICTURE]
        if self.container != "MATROSKA" or not pictures:
            return
        packets = self._input.demux(*pictures)
        for stream, packet in zip(pictures, packets, strict=False):
            png = stream.codec_context.name == "png"
            name = stream.metadata.get("filename") or f"cover.{'png' if png else 'jpg'}"
            mimetype = stream.metadata.get("mimetype") or f"image/{'png' if png else 'jpeg'}"
            output.add_attachment(name, mimetype, bytes(packet))

    def due(self, until: Fraction | None) -> Iterator[Packet]:
        """Packets up to a time in seconds, or all remaining ones."""
        while (packet := self._next) is not None:
            stamp = packet.dts if packet.dts is not None else packet.pts
            if until is not None and stamp is not None and stamp * packet.time_base > until:
                return
            self._next = next(self._packets, None)
            if not packet.size:  # the demuxer's mark of the end
                continue
            packet.stream = self._streams[packet.stream_index]
            self.fingerprints[packet.stream.index].add(packet)
            yield packet


def fingerprints(path: Path, kind: Kind, streams: list[int]) -> dict[int, Fingerprint]:
    """Fingerprints of the given streams of a file, by index. Raises `InputError`."""
    found = {index: Fingerprint() for index in streams}
    container = open_container(path, kind)
    try:
        for packet in container.demux(*[s for s in container.streams if s.index in found]):
            if packet.size:
                found[packet.stream_index].add(packet)
    finally:
        close_container(container)
    return found
