"""How many bytes an output may take, known before it is written."""

from __future__ import annotations

from dacse_cli.audio.info import AudioInfo
from dacse_cli.audio.media import kinds
from dacse_cli.pipeline.request.request import Request

COMPRESSED = (".flac", ".ogg", ".oga", ".opus", ".mp3", *kinds.WRITABLE)
BYTES_PER_SAMPLE = {
    "PCM_U8": 1,
    "PCM_S8": 1,
    "ULAW": 1,
    "ALAW": 1,
    "PCM_24": 3,
    "PCM_32": 4,
    "FLOAT": 4,
    "DOUBLE": 8,
}


def output_bytes(info: AudioInfo, request: Request) -> int:
    """An upper estimate of an output's size: uncompressed samples of the input's depth."""
    rate = request.sound.rate or info.sample_rate
    channels = 1 if request.sound.channels == "mono" else info.channels
    return int(info.seconds * rate * channels * BYTES_PER_SAMPLE.get(info.subtype, 2))
