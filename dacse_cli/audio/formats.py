"""Which container and sample format an output gets. Decides from facts; opens no file.

The limits are libsndfile's, written down here because asking it is not safe: version 1.2.2 crashes on
Vorbis above 200 kHz, writes ADPCM and GSM with padded lengths, and miscounts 8-bit AIFF of odd length.
A test writes and re-reads every entry of these tables.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.media import kinds
from dacse_cli.audio.metadata.chunks import MAX_BYTES
from dacse_cli.config import OPUS_RATES, SoundOptions
from dacse_cli.errors import InputError

WRITABLE = {
    ".wav": "WAV",
    ".wave": "WAV",
    ".bwf": "WAV",
    ".rf64": "RF64",
    ".w64": "W64",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".aifc": "AIFF",
    ".au": "AU",
    ".snd": "AU",
    ".caf": "CAF",
    ".flac": "FLAC",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
}
"""Lower-case suffix -> the libsndfile container written under it."""

ONLY_READABLE = frozenset({".sph", ".nist", ".voc", ".mp2", ".mpga"})
"""Lower-case suffixes of libsndfile's formats that are read but not written."""
AUDIO_SUFFIXES = frozenset(WRITABLE) | ONLY_READABLE | kinds.READABLE
"""Lower-case suffixes taken from a folder walk; media files also without the extra that reads them, so that
they end as "failed" and are not silently ignored."""

_LINEAR = ("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE")
_RIFF_SUBTYPES = frozenset({*_LINEAR, "PCM_U8", "ULAW", "ALAW"})
_AU_SUBTYPES = frozenset({*_LINEAR, "PCM_S8", "ULAW", "ALAW"})
SUBTYPES = {
    "WAV": _RIFF_SUBTYPES,
    "WAVEX": _RIFF_SUBTYPES,
    "RF64": _RIFF_SUBTYPES,
    "W64": _RIFF_SUBTYPES,
    "AIFF": frozenset(_LINEAR),
    "AU": _AU_SUBTYPES,
    "CAF": _AU_SUBTYPES,
    "FLAC": frozenset({"PCM_S8", "PCM_16", "PCM_24"}),
    "OGG": frozenset({"VORBIS", "OPUS"}),
    "MP3": frozenset({"MPEG_LAYER_III"}),
}
"""Container -> sample formats that are read back with exactly the number of samples written."""

_SAMPLE_BYTES = {
    "PCM_S8": 1,
    "PCM_U8": 1,
    "ULAW": 1,
    "ALAW": 1,
    "PCM_16": 2,
    "PCM_24": 3,
    "PCM_32": 4,
    "FLOAT": 4,
    "DOUBLE": 8,
}
_NEAREST: dict[str, tuple[str, ...]] = {
    "PCM_U8": ("PCM_S8",),
    "PCM_S8": ("PCM_U8",),
    "PCM_32": ("PCM_24",),
    "FLOAT": ("PCM_24",),
    "DOUBLE": ("PCM_24",),
}
_HINT = 'Use `format="wav"`, or a name that ends in .wav.'
_MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
_MAX_RATE = {"VORBIS": 192_000, "FLAC": 655_350}
_MAX_CHANNELS = {"FLAC": 8, "MP3": 2}
# RIFF, AIFF and AU count bytes in 32 bits; the margin is for other chunks than the samples
_MAX_32_BIT_SIZE = 2**32 - 2**20 - MAX_BYTES


@dataclass(frozen=True)
class OutputFormat:
    """How an output is stored. `container` and `subtype` are libsndfile's names."""

    container: str
    subtype: str
    suffix: str
    sample_rate: int
    note: str | None
    """How it differs from the request, in one line, or None."""


def suffix_for(requested: str, source_suffix: str) -> str:
    """The suffix of an output's name, decided before any file is opened.

    `keep` takes the source's own suffix, letter case included, where its container can be written.
    """
    if requested != "keep":
        return f".{requested}"
    return source_suffix if can_write(source_suffix) else ".wav"


def can_write(suffix: str) -> bool:
    """Whether an output can have this suffix."""
    return suffix.lower() in WRITABLE or suffix.lower() in kinds.WRITABLE


def choose_format(
    requested: str, info: AudioInfo, *, source_suffix: str, rate: int, channels: int
) -> OutputFormat:
    """Container, sample format and rate of an output of `channels` at `rate` Hz made from `info`.

    `keep` stays with the container its suffix names and falls back to WAV where that cannot hold the
    result; a format asked for by name that cannot hold it is an `InputError` with reason `format`.
    """
    suffix = suffix_for(requested, source_suffix)
    chosen = _named_format(suffix, info, rate, channels)
    problem = _problem(chosen, info, rate, channels)
    if problem is None:
        return replace(
            chosen, note=_note(chosen, info, rate, kept=requested == "keep", source_suffix=source_suffix)
        )
    if requested == "keep":
        wav = _named_format(".wav", info, rate, channels)
        return replace(wav, note=f"written as WAV: {problem}")
    raise InputError(problem, reason="format", hint=_HINT)


def format_for(suffix: str, info: AudioInfo, sound: SoundOptions) -> OutputFormat:
    """The format of a result whose name ends in `suffix`, made from `info`.

    Raises `InputError` with reason `format` where such a file cannot hold the result.
    """
    channels = 1 if sound.channels == "mono" else info.channels
    rate = sound.rate or info.sample_rate
    form = choose_format(sound.format, info, source_suffix=suffix, rate=rate, channels=channels)
    if form.suffix != suffix:  # names were settled before files were opened
        problem = (form.note or f"{suffix} cannot hold the result").removeprefix("written as WAV: ")
        raise InputError(problem, reason="format", hint=_HINT)
    return form


def _named_format(suffix: str, info: AudioInfo, rate: int, channels: int) -> OutputFormat:
    """What `suffix` names, with the depth of the source where the container has it."""
    if suffix.lower() in kinds.WRITABLE:
        return _media_format(kinds.WRITABLE[suffix.lower()], suffix, info, rate)
    container = WRITABLE[suffix.lower()]
    if container == "OGG" and info.container == "OGG_FLAC" and suffix.lower() != ".opus":
        return _media_format("OGG_FLAC", suffix, info, rate)
    if container == "WAV" and _family(info.container) == "WAV":
        container = info.container
    subtype = _subtype(container, suffix, info.subtype)
    if container in ("WAV", "WAVEX") and _size(info, subtype, rate, channels) > _MAX_32_BIT_SIZE:
        container = "RF64"
    return OutputFormat(container, subtype, suffix, _stored_rate(subtype, rate), None)


def _media_format(container: str, suffix: str, info: AudioInfo, rate: int) -> OutputFormat:
    """A media container with the source's own codec where it has that, and lossless where that was."""
    held = kinds.CODECS[container]
    media = ("MP4", "MATROSKA", "ADTS", "OGG_FLAC", "WAVPACK")
    kept = _family(info.container) in media  # not PCM into M4A because a WAV has it
    candidates = (info.subtype, *kinds.lossless(info.subtype), held[0]) if kept else held
    codec = next(codec for codec in candidates if codec in held)
    return OutputFormat(container, codec, suffix, _media_rate(codec, rate), None)


def _media_rate(codec: str, rate: int) -> int:
    """`rate`, or the lowest above it that the codec has, or the codec's highest."""
    known = kinds.RATES.get(codec, (rate,))
    if codec == "OPUS":  # as in Ogg: one step to the rate that Opus works at
        return rate if rate in known else 48_000
    return next((step for step in known if step >= rate), known[-1])


def _subtype(container: str, suffix: str, source: str) -> str:
    """The sample format nearest to `source` that `container` has; 16 bits for what has no depth."""
    if container == "MP3":
        return "MPEG_LAYER_III"
    if container == "OGG":
        return "OPUS" if suffix.lower() == ".opus" or source == "OPUS" else "VORBIS"
    candidates = (source, *_NEAREST.get(source, ()), *_unpacked(source), "PCM_16")
    return next(subtype for subtype in candidates if subtype in SUBTYPES[container])


def _unpacked(source: str) -> tuple[str, ...]:
    """The plain sample formats that hold what a lossless codec held, nearest first."""
    name, _, depth = source.rpartition("_")
    if name not in kinds.LOSSLESS_CODECS:
        return ()
    return {"FLOAT": ("FLOAT", "PCM_24"), "20": ("PCM_24",), "24": ("PCM_24",)}.get(
        depth, (f"PCM_{depth}", "PCM_24")
    )


def _stored_rate(subtype: str, rate: int) -> int:
    """`rate`, or the rate that a format with a fixed list of rates uses instead."""
    if subtype == "OPUS":
        return rate if rate in OPUS_RATES else 48_000
    if subtype == "MPEG_LAYER_III":
        return next((known for known in _MP3_RATES if known >= rate), _MP3_RATES[-1])
    return rate


def _problem(chosen: OutputFormat, info: AudioInfo, rate: int, channels: int) -> str | None:
    """Why `chosen` cannot hold the result, or None."""
    media = chosen.container in kinds.MUXERS
    name = chosen.subtype if media or chosen.container == "OGG" else chosen.container
    most_channels = (kinds.MAX_CHANNELS if media else _MAX_CHANNELS).get(name, channels)
    if channels > most_channels:
        return f"{name} holds at most {most_channels} channels, not {channels}"
    if media and not kinds.available():
        return f"{chosen.suffix} needs the extra {kinds.EXTRA}: pip install '{kinds.EXTRA}'"
    highest_rate = _MAX_RATE.get(name, chosen.sample_rate)
    if chosen.sample_rate > highest_rate:
        return f"{name} holds at most {highest_rate} Hz, not {chosen.sample_rate} Hz"
    if name in ("AIFF", "AU") and _size(info, chosen.subtype, rate, channels) > _MAX_32_BIT_SIZE:
        return f"{name} holds at most 4 GiB"
    return None


def _note(chosen: OutputFormat, info: AudioInfo, rate: int, *, kept: bool, source_suffix: str) -> str | None:
    """What the reader of a report should know about `chosen`."""
    notes = []
    family = _family(chosen.container)
    if kept and family != _family(info.container):
        why = "after its name" if can_write(source_suffix) else "which can be written"
        notes.append(f"the file holds {info.container} and is written as {family}, {why}")
    elif kept and chosen.subtype != info.subtype:
        notes.append(f"{info.subtype} is written as {chosen.subtype}")
    if chosen.sample_rate != rate:
        notes.append(f"{chosen.subtype} has no rate of {rate} Hz, {chosen.sample_rate} Hz is used")
    return "; ".join(notes) or None


def _family(container: str) -> str:
    """Headers of one kind count as one: the three that go by the suffix .wav, MP4's and Matroska's."""
    families = {"WAVEX": "WAV", "RF64": "WAV", "M4A": "MP4", "MOV": "MP4", "WEBM": "MATROSKA"}
    return families.get(container, container)


def _size(info: AudioInfo, subtype: str, rate: int, channels: int) -> int:
    """Bytes of the samples of the result, for formats without compression."""
    return info.frames_at(rate) * channels * _SAMPLE_BYTES[subtype]
