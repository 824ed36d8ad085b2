"""The container and depth of an output, and that every entry of the tables can really be written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from dacse_cli.audio.formats import (
    AUDIO_SUFFIXES,
    SUBTYPES,
    WRITABLE,
    OutputFormat,
    choose_format,
    suffix_for,
)
from dacse_cli.audio.probe import AudioInfo, scan
from dacse_cli.audio.write import OutputWriter
from dacse_cli.errors import InputError
from dacse_cli.files.atomic import commit


def facts(
    container: str, subtype: str, rate: int = 44_100, channels: int = 1, frames: int = 1000
) -> AudioInfo:
    return AudioInfo(frames, rate, channels, container, subtype, 1000)


def chosen(requested: str, info: AudioInfo, suffix: str, rate: int | None = None) -> OutputFormat:
    return choose_format(
        requested, info, source_suffix=suffix, rate=rate or info.sample_rate, channels=info.channels
    )


@pytest.mark.parametrize(
    ("container", "subtype"), sorted((c, s) for c, all_ in SUBTYPES.items() for s in all_)
)
@pytest.mark.parametrize("shape", [(1, 1), (1, 4411), (2, 999)])
def test_every_format_keeps_the_length(
    tmp_path: Path, container: str, subtype: str, shape: tuple[int, int]
) -> None:
    """ADPCM, GSM and 8-bit AIFF come back up to 2040 samples longer: they must not enter the table."""
    channels, frames = shape
    rate = 48_000 if subtype == "OPUS" else 44_100
    samples = (0.1 * np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    target = tmp_path / "out"
    with OutputWriter(target, OutputFormat(container, subtype, ".x", rate, None), channels) as writer:
        writer.write(samples)
        commit(writer.finish(frames).temp, target)
    found = scan(target)
    assert (found.frames, found.info.channels, found.info.sample_rate) == (frames, channels, rate)
    assert (found.info.container, found.info.subtype) == (container, subtype)
    assert found.warning is None


@pytest.mark.parametrize(
    ("requested", "source", "suffix", "expected"),
    [
        ("keep", ("WAV", "PCM_24"), ".wav", ("WAV", "PCM_24", ".wav")),
        ("keep", ("WAV", "PCM_U8"), ".WAV", ("WAV", "PCM_U8", ".WAV")),
        ("keep", ("WAVEX", "DOUBLE"), ".wav", ("WAVEX", "DOUBLE", ".wav")),
        ("keep", ("RF64", "FLOAT"), ".wav", ("RF64", "FLOAT", ".wav")),
        ("keep", ("WAV", "GSM610"), ".wav", ("WAV", "PCM_16", ".wav")),
        ("keep", ("FLAC", "PCM_24"), ".flac", ("FLAC", "PCM_24", ".flac")),
        ("keep", ("FLAC", "PCM_24"), ".wav", ("WAV", "PCM_24", ".wav")),
        ("keep", ("OGG", "VORBIS"), ".oga", ("OGG", "VORBIS", ".oga")),
        ("keep", ("OGG", "OPUS"), ".ogg", ("OGG", "OPUS", ".ogg")),
        ("keep", ("OGG", "VORBIS"), ".opus", ("OGG", "OPUS", ".opus")),
        ("keep", ("MP3", "MPEG_LAYER_III"), ".mp3", ("MP3", "MPEG_LAYER_III", ".mp3")),
        ("keep", ("CAF", "ALAC_24"), ".caf", ("CAF", "PCM_24", ".caf")),
        ("keep", ("AIFF", "PCM_S8"), ".aiff", ("AIFF", "PCM_16", ".aiff")),
        ("keep", ("VOC", "PCM_16"), ".voc", ("WAV", "PCM_16", ".wav")),
        ("flac", ("WAV", "PCM_24"), ".wav", ("FLAC", "PCM_24", ".flac")),
        ("flac", ("WAV", "FLOAT"), ".wav", ("FLAC", "PCM_24", ".flac")),
        ("flac", ("WAV", "PCM_U8"), ".wav", ("FLAC", "PCM_S8", ".flac")),
        ("wav", ("FLAC", "PCM_24"), ".flac", ("WAV", "PCM_24", ".wav")),
        ("wav", ("FLAC", "PCM_S8"), ".flac", ("WAV", "PCM_U8", ".wav")),
        ("wav", ("MP3", "MPEG_LAYER_III"), ".mp3", ("WAV", "PCM_16", ".wav")),
        ("opus", ("WAV", "PCM_16"), ".wav", ("OGG", "OPUS", ".opus")),
        ("mp3", ("WAV", "PCM_16"), ".wav", ("MP3", "MPEG_LAYER_III", ".mp3")),
    ],
)
def test_container_and_depth(requested: str, source: tuple, suffix: str, expected: tuple) -> None:
    """24-bit recordings came back as 16 bits."""
    got = chosen(requested, facts(*source), suffix)
    assert (got.container, got.subtype, got.suffix) == expected
    assert got.suffix == suffix_for(requested, suffix)


def test_differences_of_the_output_are_noted() -> None:
    assert chosen("keep", facts("WAV", "PCM_16"), ".wav").note is None
    assert "GSM610 is written as PCM_16" in str(chosen("keep", facts("WAV", "GSM610"), ".wav").note)
    assert "holds FLAC" in str(chosen("keep", facts("FLAC", "PCM_16"), ".wav").note)
    opus = chosen("opus", facts("WAV", "PCM_16"), ".wav")
    assert opus.sample_rate == 48_000
    assert "44100" in str(opus.note)
    assert chosen("opus", facts("WAV", "PCM_16", 16_000), ".wav").sample_rate == 16_000
    assert chosen("mp3", facts("WAV", "PCM_16", 96_000), ".wav").sample_rate == 48_000
    assert chosen("mp3", facts("WAV", "PCM_16", 44_099), ".wav").sample_rate == 44_100


def test_unsupported_rates_and_channels_are_refused_or_written_as_wav() -> None:
    """libsndfile crashes on Vorbis above 200 kHz and calls too many channels "format not recognised"."""
    six = facts("WAV", "PCM_16", channels=6)
    with pytest.raises(InputError, match="at most 2 channels, not 6") as caught:
        chosen("mp3", six, ".wav")
    assert caught.value.reason == "format"
    with pytest.raises(InputError, match="at most 192000 Hz"):
        chosen("ogg", facts("WAV", "PCM_16", 384_000), ".wav")
    with pytest.raises(InputError, match="at most 8 channels"):
        chosen("flac", facts("WAV", "PCM_16", channels=9), ".wav")
    kept = chosen("keep", facts("OGG", "VORBIS"), ".ogg", rate=384_000)
    assert (kept.container, kept.suffix) == ("WAV", ".wav")
    assert "written as WAV" in str(kept.note)


def test_more_than_4_gib_becomes_rf64() -> None:
    """libsndfile writes a WAV of 4.7 GB without an error and with a wrong header."""
    day = facts("WAV", "PCM_16", 44_100, 2, 24 * 3600 * 44_100)
    assert chosen("keep", day, ".wav").container == "RF64"
    assert chosen("keep", day, ".wav").suffix == ".wav"
    assert chosen("wav", facts("MP3", "MPEG_LAYER_III", 44_100, 2, day.frames), ".mp3").container == "RF64"
    assert chosen("keep", facts("WAV", "PCM_16", 8000, 2, 24 * 3600 * 8000), ".wav").container == "WAV"
    assert (
        chosen("keep", facts("WAV", "PCM_16", 8000, 2, 24 * 3600 * 8000), ".wav", 44_100).container == "RF64"
    )
    aiff = chosen("keep", facts("AIFF", "PCM_16", 44_100, 2, day.frames), ".aiff")
    assert (aiff.container, aiff.suffix) == ("RF64", ".wav")


def test_suffixes() -> None:
    assert suffix_for("keep", ".Flac") == ".Flac"
    assert suffix_for("keep", ".wma") == ".wav"
    assert suffix_for("keep", ".M4A") == ".M4A"
    assert suffix_for("keep", "") == ".wav"
    assert suffix_for("ogg", ".wav") == ".ogg"
    assert set(WRITABLE) < AUDIO_SUFFIXES
    assert {".m4a", ".wma", ".aac"} < AUDIO_SUFFIXES  # found, so that they are reported as failed
    assert all(suffix == suffix.lower() for suffix in AUDIO_SUFFIXES)


def test_format_tables_agree_with_libsndfile() -> None:
    assert set(WRITABLE.values()) <= set(SUBTYPES)
    for container, subtypes in SUBTYPES.items():
        assert all(sf.check_format(container, subtype) for subtype in subtypes)
