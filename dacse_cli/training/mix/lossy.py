"""Speech after Opus or MP3: coded and decoded in memory, aligned with the input."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from dacse_cli.audio.formats import SUBTYPES
from dacse_cli.audio.resample import resample
from dacse_cli.training.sound.level import Samples

CODECS = {"opus": ("OGG", "OPUS"), "mp3": ("MP3", "MPEG_LAYER_III")}
"""Name -> libsndfile's container and sample format."""
_RATES = {
    "opus": (8000, 12000, 16000, 24000, 48000),
    "mp3": (16000, 22050, 24000, 32000, 44100, 48000),
}
_MP3_DELAY = 1105
"""Samples by which LAME (576) and a decoder (529) delay speech. libsndfile removes them where the file's
header gives them; frames below about 60 kbit/s are too short to hold that header."""
_OPUS_KBPS = (256.0, 6.0)
"""libsndfile's bit rate at compression 0 and 1, kbit/s per channel."""
_BLOCK = 16_384
"""Samples per write: libsndfile's Ogg encoders keep a whole write on the stack."""


def opus_compression(kbps: float) -> float:
    """libsndfile's compression level for Opus at `kbps`, 6 to 256."""
    highest, lowest = _OPUS_KBPS
    return (highest - kbps) / (highest - lowest)


def round_trip(speech: Samples, rate: int, codec: str, compression: float) -> tuple[Samples, float]:
    """`speech` [S] after `codec` at a constant bit rate: (coded speech [S], kbit/s used).

    `compression` is libsndfile's, from 0, best, to 1. Where the codec does not support `rate`, the next
    higher supported rate is used.
    """
    container, subtype = CODECS[codec]
    assert subtype in SUBTYPES[container]
    coded_rate = next((known for known in _RATES[codec] if known >= rate), _RATES[codec][-1])
    sound = resample(speech[None], rate, coded_rate)[0]
    file = io.BytesIO()
    with soundfile.SoundFile(
        file,
        "w",
        coded_rate,
        1,
        subtype,
        format=container,
        compression_level=compression,
        bitrate_mode="CONSTANT" if codec == "mp3" else None,
    ) as writer:
        for start in range(0, len(sound), _BLOCK):
            writer.write(sound[start : start + _BLOCK])
    kbps = file.tell() * 8 / 1000 / (len(sound) / coded_rate)
    file.seek(0)
    decoded, _ = soundfile.read(file, dtype="float32")
    if codec == "mp3" and len(decoded) != len(sound):
        decoded = decoded[_MP3_DELAY:]
    decoded = np.pad(decoded[: len(sound)], (0, max(0, len(sound) - len(decoded))))
    return resample(decoded[None], coded_rate, rate)[0, : len(speech)], kbps
