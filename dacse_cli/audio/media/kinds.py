"""Which media files are read, by which demuxer, and what each container may hold. Tables; imports no `av`.

A demuxer is chosen here, from a file's first bytes, and never guessed by FFmpeg: its list has playlists and
other formats whose files make it open more files.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

from dacse_cli.config import OPUS_RATES
from dacse_cli.errors import InputError

EXTRA = "dacse[media]"


@dataclass(frozen=True)
class Kind:
    """A kind of file that is recognised by its first bytes."""

    name: str
    demuxer: str
    label: str


MP4 = Kind("MP4", "mov", "MP4 or QuickTime")
MATROSKA = Kind("MATROSKA", "matroska", "Matroska or WebM")
ADTS = Kind("ADTS", "aac", "AAC")
WMA = Kind("WMA", "asf", "Windows Media")
AMR = Kind("AMR", "amr", "AMR")
WAVPACK = Kind("WAVPACK", "wv", "WavPack")

_MAGIC = (
    (4, b"ftyp", MP4),
    (4, b"moov", MP4),
    (4, b"mdat", MP4),
    (4, b"wide", MP4),
    (0, b"\x1a\x45\xdf\xa3", MATROSKA),
    (0, b"\xff\xf1", ADTS),
    (0, b"\xff\xf9", ADTS),
    (0, bytes.fromhex("3026b2758e66cf11"), WMA),
    (0, b"#!AMR", AMR),
    (0, b"wvpk", WAVPACK),
)

WRITABLE = {
    ".m4a": "M4A",
    ".m4b": "M4A",
    ".mp4": "MP4",
    ".m4v": "MP4",
    ".mov": "MOV",
    ".mkv": "MATROSKA",
    ".mka": "MATROSKA",
    ".webm": "WEBM",
    ".aac": "ADTS",
}
"""Lower-case suffix -> the container written under it."""

SOUND_ONLY = (".m4a", ".m4b", ".mka", ".aac")
"""Suffixes under which nobody looks for a picture that moves."""

READABLE = frozenset(WRITABLE) | {".wma", ".amr", ".wv"}
"""Lower-case suffixes taken from a folder walk."""

MUXERS = {"M4A": "ipod", "MP4": "mp4", "MOV": "mov", "MATROSKA": "matroska", "WEBM": "webm", "ADTS": "adts"}
"""Container -> FFmpeg's name for writing it."""

_PCM = ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
_LOSSY = ("AAC", "OPUS", "MPEG_LAYER_III", "AC3", "EAC3", "MP2")
CODECS: dict[str, tuple[str, ...]] = {
    "M4A": ("AAC", "ALAC_16", "ALAC_24"),
    "MP4": (*_LOSSY, "ALAC_16", "ALAC_24", "FLAC_16", "FLAC_24"),
    "MOV": ("AAC", "ALAC_16", "ALAC_24", *_PCM),
    "MATROSKA": (*_LOSSY, "ALAC_16", "ALAC_24", "FLAC_16", "FLAC_24", *_PCM),
    "WEBM": ("OPUS",),
    "ADTS": ("AAC",),
}
"""Container -> the sample formats that are written into it; the first is for what it cannot hold."""

LOSSLESS = {"ALAC_20": "ALAC_24", "ALAC_32": "ALAC_24", "PCM_32": "ALAC_24", "FLOAT": "ALAC_24"}
"""What stands for a lossless source in a container that does not have its own."""

_AAC_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_AC3_RATES = (32000, 44100, 48000)
_MPEG_RATES = (16000, 22050, 24000, 32000, 44100, 48000)
RATES: dict[str, tuple[int, ...]] = {
    "AAC": _AAC_RATES,
    "OPUS": OPUS_RATES,
    "MPEG_LAYER_III": _MPEG_RATES,
    "MP2": _MPEG_RATES,
    "AC3": _AC3_RATES,
    "EAC3": _AC3_RATES,
}
"""Sample format -> its rates, where not every rate is one."""

MAX_CHANNELS = {"MPEG_LAYER_III": 2, "MP2": 2, "AC3": 6, "EAC3": 6, "ALAC_16": 8, "ALAC_24": 8, "FLAC_16": 8,
                "FLAC_24": 8, "OPUS": 8, "AAC": 8}  # fmt: skip


def kind_of(head: bytes) -> Kind | None:
    """The kind of a file from its first 12 bytes, or None for what is left to libsndfile."""
    return next((kind for at, magic, kind in _MAGIC if head[at : at + len(magic)] == magic), None)


def available() -> bool:
    """Whether the extra is installed."""
    return importlib.util.find_spec("av") is not None


def require(label: str) -> None:
    """Raises `InputError` with reason `unsupported`, naming the extra, where it is not installed."""
    if not available():
        raise InputError(
            f"{label} needs the extra {EXTRA}: pip install '{EXTRA}'",
            reason="unsupported",
            hint="Or convert it first: ffmpeg -i IN OUT.wav",
        )
