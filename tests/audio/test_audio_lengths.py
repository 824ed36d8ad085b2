"""Lengths that headers give are compared with the sound that is there: none of it is lost in silence."""

from __future__ import annotations

import io

import numpy as np
import pytest
import soundfile

from dacse_cli.audio.containers import flac, mpeg
from dacse_cli.audio.probe import probe, scan
from dacse_cli.audio.read import AudioReader
from dacse_cli.errors import InputError

RATE = 16_000


def tone(frames: int = 24_000, hertz: float = 440.0, rate: int = RATE) -> np.ndarray:
    return (0.3 * np.sin(2 * np.pi * hertz * np.arange(frames) / rate)).astype(np.float32)


def encoded(container: str, samples: np.ndarray, rate: int = RATE, subtype: str | None = None) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, samples, rate, format=container, subtype=subtype)
    return stream.getvalue()


def samples_in(path) -> np.ndarray:
    with AudioReader(path) as reader:
        pieces = []
        while (piece := reader.read(7001)).shape[1]:
            pieces.append(piece[0])
    return np.concatenate(pieces)


def counted_as(data: bytes, total: int) -> bytes:
    """A FLAC whose header counts `total` samples."""
    info = flac.stream_info(io.BytesIO(data), 0)
    at = info.total_at
    return data[:at] + info.counted(data[at : at + 5], total) + data[at + 5 :]


def without_counts(data: bytes) -> bytes:
    """An MP3 without its first frame, which counts the others."""
    first = mpeg.frame(data[:4])
    return data[first.size :]


@pytest.mark.parametrize(
    ("suffix", "container", "subtype"),
    [(".mp3", "MP3", None), (".ogg", "OGG", "VORBIS"), (".opus", "OGG", "OPUS"), (".flac", "FLAC", None),
     (".wav", "WAV", None)],
)  # fmt: skip
def test_recordings_joined_by_cat_are_read_one_after_the_other(tmp_path, suffix, container, subtype):
    first, second = tone(), tone(24_000, 1000)
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(encoded(container, first, subtype=subtype) + encoded(container, second, subtype=subtype))
    found = scan(path)
    assert (found.frames, found.warning) == (48_000, None)
    sound = samples_in(path)
    for at, wanted in ((4000, first), (28_000, second)):
        part = sound[at : at + 16_000]
        assert np.abs(np.corrcoef(part, wanted[4000:20_000])[0, 1]) > 0.99


@pytest.mark.parametrize("claimed", [12_000, 23_999, 1])
def test_a_flac_with_too_low_a_count_is_read_whole_with_a_warning(tmp_path, claimed):
    path = tmp_path / "a.flac"
    path.write_bytes(counted_as(encoded("FLAC", tone()), claimed))
    assert probe(path).frames == 24_000
    found = scan(path)
    assert found.frames == 24_000
    assert f"counts {claimed:,} samples" in found.warning


def test_a_flac_whose_rate_changes_is_named(tmp_path):
    one, two = encoded("FLAC", tone()), encoded("FLAC", tone(24_000, rate=32_000), 32_000)
    joined = tmp_path / "joined.flac"
    joined.write_bytes(one + two)
    found = scan(joined)
    assert found.frames == pytest.approx(36_000, abs=64)  # the second at half its rate
    assert "16000 Hz" in found.warning and "32000 Hz" in found.warning


@pytest.mark.parametrize("rate", [8000, 16_000, 32_000, 48_000])
def test_an_mp3_of_constant_rate_without_a_count(tmp_path, rate):
    path = tmp_path / "a.mp3"
    whole = encoded("MP3", tone(rate, rate=rate), rate)
    path.write_bytes(without_counts(whole))
    frames = sum(one.frames for one in mpeg.stretches(io.BytesIO(path.read_bytes()), 0, len(whole), 9))
    size = mpeg.frame(whole[:4]).samples
    found = scan(path)
    assert found.frames == frames * size > rate
    assert found.warning is None
    assert probe(path).frames == found.frames


def test_an_mp3_without_a_frame_count_is_complete(tmp_path):
    data = bytearray(encoded("MP3", tone()))
    at = data.find(b"Info") if b"Info" in data[:400] else data.find(b"Xing")
    data[at + 8 : at + 12] = bytes(4)
    path = tmp_path / "a.mp3"
    path.write_bytes(data)
    found = scan(path)
    assert found.frames >= 24_000
    assert found.warning is None


def test_an_mp3_whose_rate_changes_is_read_on_and_named(tmp_path):
    path = tmp_path / "a.mp3"
    path.write_bytes(encoded("MP3", tone()) + encoded("MP3", tone(22_050, rate=22_050), 22_050))
    found = scan(path)
    assert found.frames == pytest.approx(24_000 + RATE, abs=64)
    assert "22050 Hz" in found.warning


@pytest.mark.parametrize("before", [bytes(1000), bytes(100_000), b"some words, no sound " * 40])
def test_bytes_before_the_first_mp3_frame(tmp_path, before):
    path = tmp_path / "a.mp3"
    path.write_bytes(before + encoded("MP3", tone()))
    found = scan(path)
    assert (found.frames, found.info.container) == (24_000, "MP3")


def test_noise_is_not_taken_for_mp3(tmp_path):
    noise = np.random.default_rng(5).integers(0, 256, 300_000, np.uint8).tobytes()
    for name in ("a.mp3", "a.bin"):
        (tmp_path / name).write_bytes(noise)
        with pytest.raises(InputError):
            scan(tmp_path / name)


def test_two_hundred_recordings_in_one_file(tmp_path):
    one = encoded("MP3", tone(2000))
    path = tmp_path / "a.mp3"
    path.write_bytes(one * 200)
    assert scan(path).frames == 200 * 2000
