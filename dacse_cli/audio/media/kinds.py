"""What each container of a media file may hold, and whether the extra that writes it is there.

Tables; imports no `av`. Which file is of which kind is in `containers.kinds`.
"""

from __future__ import annotations

import importlib.util

from dacse_cli.config import OPUS_RATES
from dacse_cli.errors import InputError

EXTRA = "dacse[media]"


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
"""Suffixes of files without video."""

READABLE = frozenset(WRITABLE) | {".wma", ".asf", ".amr", ".wv", ".3gp", ".3g2", ".weba", ".adts"}
"""Lower-case suffixes taken from a folder walk."""

MUXERS = {"M4A": "ipod", "MP4": "mp4", "MOV": "mov", "MATROSKA": "matroska", "WEBM": "webm", "ADTS": "adts",
          "OGG_FLAC": "ogg"}  # fmt: skip
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
    "OGG_FLAC": ("FLAC_16", "FLAC_24"),
}
"""Container -> the sample formats that are written into it; the first is for what it cannot hold."""

LOSSLESS_CODECS = ("ALAC", "FLAC", "WAVPACK", "TTA", "TRUEHD", "MLP", "APE")
"""Names before the depth in sample formats such as `ALAC_24`."""
_OF_16_BITS = ("PCM_16", "PCM_U8", "PCM_8", "PCM_S8")

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


def lossless(source: str) -> tuple[str, ...]:
    """What stands for a lossless sample format in a container that does not have it, best first."""
    name, _, depth = source.rpartition("_")
    if name in LOSSLESS_CODECS:
        bits = 16 if depth == "16" else 24
    elif source in _PCM or source in _OF_16_BITS:
        bits = 16 if source in _OF_16_BITS else 24
    else:
        return ()
    return f"ALAC_{bits}", f"FLAC_{bits}"


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
