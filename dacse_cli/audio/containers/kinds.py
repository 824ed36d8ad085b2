"""The kind of a file, from its content: the only table of signatures of audio files.

The name of a file is ignored, except for MPEG audio that starts after other bytes, such as padding.
Also says which library reads a kind, without using the library.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from dacse_cli.audio.containers import mpeg

HEAD = 128
"""Bytes of a file that the table examines."""
PADDING = 1 << 18
"""Bytes before MPEG audio that are searched for its first frame."""


@dataclass(frozen=True)
class Kind:
    """A kind of file. `name` is the container as libsndfile or `media.kinds` calls it."""

    name: str
    label: str
    """Description for messages."""
    suffix: str
    """The usual suffix, lower case."""
    demuxer: str | None = None
    """FFmpeg's name for what `dacse[media]` reads; None for libsndfile's kinds and unsupported ones."""
    supported: bool = True


@dataclass(frozen=True)
class Found:
    """A kind, and the offset of its first byte, after any tag or padding."""

    kind: Kind
    start: int = 0


WAV = Kind("WAV", "WAV", ".wav")
W64 = Kind("W64", "Wave64", ".w64")
AIFF = Kind("AIFF", "AIFF", ".aiff")
AU = Kind("AU", "AU", ".au")
CAF = Kind("CAF", "CAF", ".caf")
FLAC = Kind("FLAC", "FLAC", ".flac")
OGG = Kind("OGG", "Ogg", ".ogg")
MP3 = Kind("MP3", "MP3", ".mp3")
NIST = Kind("NIST", "NIST SPHERE", ".sph")
VOC = Kind("VOC", "Creative VOC", ".voc")
MP4 = Kind("MP4", "MP4 or QuickTime", ".m4a", "mov")
MATROSKA = Kind("MATROSKA", "Matroska or WebM", ".mka", "matroska")
ADTS = Kind("ADTS", "AAC", ".aac", "aac")
WMA = Kind("WMA", "Windows Media", ".wma", "asf")
AMR = Kind("AMR", "AMR", ".amr", "amr")
WAVPACK = Kind("WAVPACK", "WavPack", ".wv", "wv")
OGG_FLAC = Kind("OGG_FLAC", "Ogg FLAC", ".oga", "ogg")


def _unsupported(label: str) -> Kind:
    return Kind("", label, ".wav", supported=False)


Marks = tuple[tuple[int, bytes], ...]
_TABLE: tuple[tuple[Marks, Kind], ...] = (
    (((0, b"RIFF"), (8, b"WAVE")), WAV),
    (((0, b"RIFX"), (8, b"WAVE")), WAV),
    (((0, b"RF64"), (8, b"WAVE")), WAV),
    (((0, b"BW64"), (8, b"WAVE")), WAV),
    (((0, b"RIFF"), (8, b"AVI ")), _unsupported("AVI video")),
    (((0, b"riff"),), W64),
    (((0, b"FORM"), (8, b"AIFF")), AIFF),
    (((0, b"FORM"), (8, b"AIFC")), AIFF),
    (((0, b".snd"),), AU),
    (((0, b"dns."),), AU),
    (((0, b"caff"),), CAF),
    (((0, b"fLaC"),), FLAC),
    (((0, b"OggS"), (28, b"Speex   ")), _unsupported("Speex")),
    (((0, b"OggS"), (28, b"\x7fFLAC")), OGG_FLAC),
    (((0, b"OggS"),), OGG),
    (((0, b"NIST_1A"),), NIST),
    (((0, b"Creative Voice File"),), VOC),
    (((4, b"ftyp"),), MP4),
    (((4, b"moov"),), MP4),
    (((4, b"mdat"),), MP4),
    (((4, b"wide"),), MP4),
    (((0, b"\x1a\x45\xdf\xa3"),), MATROSKA),
    (((0, bytes.fromhex("3026b2758e66cf11")),), WMA),
    (((0, b"#!AMR"),), AMR),
    (((0, b"wvpk"),), WAVPACK),
    (((0, b"ADIF"),), _unsupported("AAC in an ADIF file")),
    (((0, b"MAC "),), _unsupported("Monkey's Audio")),
    (((0, b"TTA1"),), _unsupported("True Audio")),
    (((0, b"DSD "),), _unsupported("DSD")),
    (((0, b"FRM8"),), _unsupported("DSD")),
    (((0, b"MThd"),), _unsupported("MIDI")),
    (((0, b"ajkg"),), _unsupported("Shorten")),
    (((0, b"FLV\x01"),), _unsupported("Flash video")),
)
_MPEG_SUFFIXES = (".mp3", ".mp2", ".mp1", ".mpga")
_NIST_HEADER = 1024


def recognise(stream: BinaryIO, suffix: str = "") -> Found | None:
    """The kind of an open file and its start; None where only a decoder can tell.

    `suffix` is that of the file's name. Leaves the position anywhere. Raises `OSError`.
    """
    stream.seek(0)
    head = stream.read(HEAD)
    kind = _by_marks(head)
    if kind is NIST:
        return Found(_nist(head + stream.read(_NIST_HEADER - len(head))))
    if kind is not None:
        return Found(kind)
    start = _after_tags(stream, head)
    if start:
        stream.seek(start)
        head = stream.read(HEAD)
        kind = _by_marks(head)
        if kind is not None:
            return Found(kind, start)
    return _mpeg_family(stream, start, padded=suffix.lower() in _MPEG_SUFFIXES)


def kind_of_head(head: bytes) -> Kind | None:
    """The kind by a file's first `HEAD` bytes alone, as they come out of a pipe."""
    return _by_marks(head) or (MP3 if head.startswith(b"ID3") or mpeg.frame(head) is not None else None)


def _by_marks(head: bytes) -> Kind | None:
    if head[:1] == b"\xff" and len(head) > 1 and head[1] & 0xF6 == 0xF0:
        return ADTS
    return next((kind for marks, kind in _TABLE if all(head[at : at + len(m)] == m for at, m in marks)), None)


def _after_tags(stream: BinaryIO, head: bytes) -> int:
    """End of leading ID3 tags."""
    at = 0
    while head.startswith(b"ID3") and (size := mpeg.id3_size(head)):
        at += size
        stream.seek(at)
        head = stream.read(HEAD)
    return at


def _mpeg_family(stream: BinaryIO, start: int, *, padded: bool) -> Found | None:
    """MP3 or AAC at `start`, after zeros, or for MPEG suffixes (`padded`) after anything."""
    stream.seek(start)
    area = stream.read(PADDING)
    zeros = len(area) - len(area.lstrip(b"\0"))
    if zeros and _by_marks(area[zeros : zeros + HEAD]) is ADTS:
        return Found(ADTS, start + zeros)
    if mpeg.frame(area[zeros:]) is not None and (zeros == 0 or mpeg.first_frame(area, zeros) == zeros):
        return Found(MP3, start + zeros)
    if padded or start:  # an ID3 tag also indicates it
        at = mpeg.first_frame(area, zeros)
        if at is not None:
            return Found(MP3, start + at)
        if start:
            return Found(MP3, start)
    return None


def _nist(header: bytes) -> Kind:
    return _unsupported("NIST SPHERE compressed with shorten") if b"shorten" in header else NIST
