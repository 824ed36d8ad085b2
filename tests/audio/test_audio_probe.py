"""Every odd input ends in a verdict: refused in words, or read with what is missing named."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dacse_cli.audio.containers.headers import read_header
from dacse_cli.audio.probe import probe, scan
from dacse_cli.audio.read import AudioReader
from dacse_cli.errors import InputError

RATE = 16_000


def noise(frames: int = 40_000, channels: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(1).standard_normal((frames, channels))).astype(np.float32)


def recording(container: str, subtype: str, samples: np.ndarray | None = None, rate: int = RATE) -> bytes:
    """The bytes of a file as libsndfile writes it."""
    stream = io.BytesIO()
    samples = noise() if samples is None else samples
    sf.write(stream, samples, rate, format=container, subtype=subtype)
    return stream.getvalue()


def wav(
    data: bytes = bytes(2000),
    *,
    rate: int = RATE,
    channels: int = 1,
    bits: int = 16,
    length: int | None = None,
) -> bytes:
    """A canonical 44-byte header, right or wrong, and `data`."""
    block = max(1, channels * bits // 8) & 0xFFFF
    fmt = struct.pack("<HHIIHH", 1, channels, rate, rate * block & 0xFFFFFFFF, block, bits)
    length = len(data) if length is None else length
    riff = min(length + 36, 0xFFFFFFFF)
    return (
        struct.pack("<4sI4s4sI", b"RIFF", riff, b"WAVE", b"fmt ", 16)
        + fmt
        + struct.pack("<4sI", b"data", length)
        + data
    )


def overwritten(data: bytes, at: int, value: bytes) -> bytes:
    return data[:at] + value + data[at + len(value) :]


FLAC = recording("FLAC", "PCM_16")


@pytest.mark.parametrize(
    ("data", "reason", "words"),
    [
        (b"", "empty", "empty file"),
        (b"no audio at all, only words\n" * 30, "not-audio", "not an audio file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(200), "not-audio", "not an audio file"),
        (os.urandom(0) + bytes(range(1, 251)) * 4, "not-audio", "not an audio file"),
        (b"MAC " + bytes(99), "unsupported", "Monkey's Audio"),
        (b"RIFF\0\0\0\0AVI LIST" + bytes(99), "unsupported", "AVI"),
        (wav()[:12], "no-samples", "no audio data"),
        (wav()[:30], None, "."),
        (wav(b""), "no-samples", "no samples"),
        (wav(rate=0), "bad-rate", "impossible sample rate"),
        (wav(rate=2**32 - 1), "bad-rate", "impossible sample rate"),
        (wav(rate=1), "bad-rate", "outside 1,000 to 768,000"),
        (wav(channels=0), "bad-channels", "0 channels"),
        (wav(channels=65_535), "bad-channels", "65,535 channels"),
        (wav(bytes(6500), channels=65), "bad-channels", "65 channels"),
        (wav(bits=0), None, "."),
        (FLAC[:60], None, "."),
        (recording("OGG", "VORBIS")[:900], None, "."),
        (recording("FLAC", "PCM_16")[:4], None, "."),
    ],
)  # fmt: skip
def test_unusable_files_are_refused_with_a_reason(
    tmp_path: Path, data: bytes, reason: str | None, words: str
) -> None:
    """librosa answers half of these with an empty message and some with 0 or 44 million samples."""
    path = tmp_path / "x.wav"
    path.write_bytes(data)
    for look in (probe, scan):
        with pytest.raises(InputError, match=words) as caught:
            look(path)
        assert caught.value.message
        if reason is not None:
            assert caught.value.reason == reason


def test_a_pipe_or_folder_is_refused_at_once(tmp_path: Path) -> None:
    """Opening a FIFO waits for a writer for ever: one named .wav stops a whole folder."""
    os.mkfifo(tmp_path / "pipe.wav")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "dangling.wav").symlink_to(tmp_path / "gone")
    started = time.monotonic()
    reasons = {}
    for path in [*tmp_path.iterdir(), tmp_path / "none.wav", Path("/dev/zero")]:
        with pytest.raises(InputError) as caught:
            probe(path)
        reasons[path.name] = caught.value.reason
    assert time.monotonic() - started < 1
    assert reasons == {
        "pipe.wav": "not-a-file",
        "folder.wav": "not-a-file",
        "zero": "not-a-file",
        "loop.wav": "missing",
        "dangling.wav": "missing",
        "none.wav": "missing",
    }


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_missing_permission_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav())
    path.chmod(0)
    with pytest.raises(InputError, match="permission denied"):
        probe(path)


WHOLE = [
    ("WAV", subtype)
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "IMA_ADPCM")
] + [
    ("WAV", "GSM610"), ("WAV", "NMS_ADPCM_16"), ("WAV", "MS_ADPCM"), ("WAVEX", "PCM_24"), ("RF64", "PCM_16"),
    ("W64", "PCM_16"), ("CAF", "PCM_16"), ("AIFF", "PCM_16"), ("AU", "PCM_16"), ("FLAC", "PCM_24"),
    ("OGG", "VORBIS"), ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III"),
]  # fmt: skip


@pytest.mark.parametrize(("container", "subtype"), WHOLE)
def test_whole_files_are_read_whole_and_without_warning(tmp_path: Path, container: str, subtype: str) -> None:
    """GSM and ADPCM cannot seek: librosa and SoundFile.blocks fail on these valid telephone files."""
    path = tmp_path / "x.wav"  # the content decides, not the name
    path.write_bytes(recording(container, subtype))
    found = scan(path)
    assert found.warning is None
    assert probe(path) == found.info
    assert found.info.frames == found.frames
    assert 0 <= found.frames - 40_000 < 2048  # ADPCM and GSM pad to their block
    assert (found.info.container, found.info.subtype) == (container, subtype)


@pytest.mark.parametrize(
    ("container", "subtype"),
    [pair for pair in WHOLE if pair[0] not in ("CAF",)],
)
def test_a_cut_file_is_read_as_far_as_possible_with_a_warning(
    tmp_path: Path, container: str, subtype: str
) -> None:
    """libsndfile shortens a cut WAV or Ogg without a word, and loses all of a cut FLAC."""
    path = tmp_path / "x"
    whole = recording(container, subtype)
    path.write_bytes(whole[: len(whole) // 2])
    found = scan(path)
    assert found.warning is not None
    assert found.warning.startswith(("truncated", "damaged"))
    assert 10_000 < found.frames < 30_000
    assert found.peak < 2  # a cut MP3 read wrongly has peaks of 5e36: memory that was never written
    assert found.bad_samples == 0


def test_samples_before_the_damage_are_correct(tmp_path: Path) -> None:
    """A block that ends in an error would be dropped, or returned with uninitialised memory at its end."""
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.write_bytes(FLAC)
    cut.write_bytes(FLAC[: len(FLAC) // 2])
    with AudioReader(whole) as reader:
        expected = reader.read(100_000)
    with AudioReader(cut) as reader:
        got = reader.read(100_000)
        assert reader.read(100_000).shape == (1, 0)
        assert reader.damage
    assert got.shape[1] > 16_000
    assert np.array_equal(got, expected[:, : got.shape[1]])


def test_a_header_with_too_many_samples_is_reported_with_both_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav(bytes(10), length=2_000_000_000))
    found = scan(path)
    assert found.frames == 5
    assert found.warning == "truncated: 5 of 1,000,000,000 samples are there"
    path.write_bytes(wav(bytes(2 * 42 * RATE // 10), length=2 * 98 * RATE // 10))
    assert scan(path).warning == "truncated: 4.2 s of 9.8 s are there"


@pytest.mark.parametrize("riff", [0, None, 0xFFFFFFFF])
@pytest.mark.parametrize("data", [0, 0x7FFFF000, 0x80000000, 0xFFFFFFFF])
def test_recordings_written_to_a_pipe_are_read_to_their_end(
    tmp_path: Path, riff: int | None, data: int
) -> None:
    """A length of 0 with samples behind it reads as an empty file: all audio is lost in silence."""
    samples = (noise(5000) * 32767).astype("<i2").tobytes()
    content = overwritten(wav(samples), 40, data.to_bytes(4, "little"))
    if riff is not None:
        content = overwritten(content, 4, riff.to_bytes(4, "little"))
    path = tmp_path / "x.wav"
    path.write_bytes(content)
    found = scan(path)
    assert found.frames == probe(path).frames == 5000
    assert (found.warning is not None) == (data == 0)
    with AudioReader(path) as reader:
        assert np.array_equal((reader.read(5000)[0] * 32768).astype("<i2"), np.frombuffer(samples, "<i2"))


def test_an_empty_recording_with_tags_is_empty(tmp_path: Path) -> None:
    """Chunks behind an empty data chunk must not be played as samples."""
    path = tmp_path / "x.wav"
    path.write_bytes(wav(struct.pack("<4sI4s", b"LIST", 4, b"INFO"), length=0))
    with pytest.raises(InputError, match="no samples"):
        scan(path)


def test_a_streamed_flac_without_a_length_is_counted(tmp_path: Path) -> None:
    """`flac -` cannot know the length: the header says 0 and libsndfile says 2**63 - 1."""
    path = tmp_path / "x.flac"
    path.write_bytes(overwritten(FLAC, 22, bytes(4)))
    assert probe(path).frames == scan(path).frames == scan(path).info.frames == 40_000
    assert scan(path).warning is None


def test_a_flac_that_claims_years_is_read_with_a_warning(tmp_path: Path) -> None:
    """libsndfile believes 2**36 samples: a plan of 1,193 hours, and 256 GiB where they are read at once."""
    path = tmp_path / "x.flac"
    path.write_bytes(overwritten(FLAC, 21, b"\xff\xff\xff\xff\xff"))
    assert probe(path).frames == scan(path).frames == 40_000
    assert "2.5 s of" in (scan(path).warning or "")


def test_an_mp3_without_frame_count_is_read_to_its_end(tmp_path: Path) -> None:
    """libsndfile guesses such a length from the first bit rate and drops what lies behind the guess."""
    whole = recording("MP3", "MPEG_LAYER_III", noise(320_000))
    bare = whole[whole.index(whole[:2], 4) :]  # without the first frame, which holds the Xing header
    path = tmp_path / "x.mp3"
    for tail in (b"", b"TAG" + bytes(125)):
        path.write_bytes(bare + tail)
        assert sf.info(io.BytesIO(bare)).frames < 200_000
        assert scan(path).warning is None
        assert 320_000 <= scan(path).frames < 320_000 + 3 * 1152
        assert probe(path).frames == scan(path).frames


def test_junk_and_tags_around_an_mp3_do_no_harm(tmp_path: Path) -> None:
    whole = recording("MP3", "MPEG_LAYER_III")
    path = tmp_path / "x.mp3"
    path.write_bytes(b"ID3\x03\x00\x00\x00\x00\x02\x00" + bytes(256) + whole + os.urandom(5000))
    assert scan(path).frames == 40_000
    assert scan(path).warning is None


def test_nan_samples_are_counted(tmp_path: Path) -> None:
    """NaN becomes codes without an error, and a full-scale click in the output."""
    samples = noise(1000, 2).astype(np.float64)
    samples[3:7, 1] = np.nan
    samples[9, 0] = np.inf
    samples[11, 0] = -1e300  # beyond float32
    samples[500, 0] = -0.75
    path = tmp_path / "x.wav"
    sf.write(path, samples, RATE, subtype="DOUBLE")
    found = scan(path)
    assert found.bad_samples == 6
    assert found.peak == 0.75


def test_equal_and_silent_channels_are_found(tmp_path: Path) -> None:
    """Equal channels are enhanced once; channels that part only in the last block must not count as equal."""
    a, b = noise(100_000)[:, 0], noise(100_000)[::-1, 0]
    late = a.copy()
    late[-1] += 0.25
    zero = np.zeros_like(a)
    path = tmp_path / "x.wav"
    sf.write(path, np.stack([a, b, a, late, zero, late, zero, b], axis=1), RATE, subtype="FLOAT")
    found = scan(path)
    assert found.duplicates == (0, 1, 0, 3, 4, 3, 4, 1)
    assert found.silent == (False, False, False, False, True, False, True, False)


def test_names_that_are_not_unicode(tmp_path: Path) -> None:
    """soundfile encodes a str path itself and dies on surrogates."""
    path = tmp_path / os.fsdecode(b"\xff\xfe caf\xe9 [1].raw")
    path.write_bytes(wav())
    assert probe(path).frames == 1000


def test_reader_stops_at_the_frames_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    samples = noise(1000, 2)
    sf.write(path, samples, RATE, subtype="FLOAT")
    with AudioReader(path, 700) as reader:
        blocks = [reader.read(300) for _ in range(4)]
    assert [block.shape for block in blocks] == [(2, 300), (2, 300), (2, 100), (2, 0)]
    assert np.array_equal(np.concatenate(blocks, axis=1), samples[:700].T)


def test_descriptors_are_closed(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.wav", tmp_path / "bad.wav"
    good.write_bytes(wav())
    bad.write_bytes(b"text" * 100)
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        scan(good)
        with pytest.raises(InputError):
            scan(bad)
    assert len(os.listdir("/proc/self/fd")) == before


SEEDS = [
    recording(container, subtype, noise(600))
    for container, subtype in [("WAV", "PCM_16"), ("WAV", "IMA_ADPCM"), ("RF64", "FLOAT"), ("W64", "PCM_24"),
                               ("AIFF", "PCM_16"), ("AU", "ULAW"), ("CAF", "PCM_16"), ("FLAC", "PCM_16"),
                               ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III")]
]  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.sampled_from(SEEDS),
    edits=st.lists(st.tuples(st.integers(0, 199), st.binary(min_size=1, max_size=8)), max_size=4),
    cut=st.integers(0, 3000),
)
def test_damaged_headers_give_facts_or_an_input_error(
    tmp_path: Path, seed: bytes, edits: list, cut: int
) -> None:
    """An exception of any other class would end the run instead of the file."""
    data = seed[: len(seed) - cut] if cut < len(seed) else seed
    for at, value in edits:
        data = overwritten(data, at, value)
    path = tmp_path / "x.wav"
    path.write_bytes(data)
    with contextlib.suppress(InputError):
        assert 0 < scan(path).frames <= len(data) * 8192


@settings(max_examples=200, deadline=None)
@given(magic=st.sampled_from([b"RIFF....WAVE", b"RF64....WAVE", b"riff", b"FORM....AIFF", b".snd", b"caff"]),
       rest=st.binary(max_size=120))  # fmt: skip
def test_header_reading_never_raises(magic: bytes, rest: bytes) -> None:
    """What it does not understand is no header or a fact left out; no number in it is negative."""
    found = read_header(io.BytesIO(magic + rest))
    if found is not None:
        assert found.container in ("WAV", "W64", "AIFF", "AU", "CAF")
        numbers = found.sample_rate, found.channels, found.data_offset, found.data_bytes
        assert all(number is None or number >= 0 for number in numbers)


@pytest.mark.parametrize(("container", "at"), [("CAF", 56), ("W64", 56)])
def test_an_impossible_chunk_length_is_reported_as_damage(tmp_path: Path, container: str, at: int) -> None:
    """Seeking to 2**60 is an error of the operating system, which said that the input could not be read."""
    path = tmp_path / "x"
    data = recording(container, "PCM_16", noise(600))
    for order in ("little", "big"):
        path.write_bytes(overwritten(data, at, (2**60).to_bytes(8, order)))
        try:
            scan(path)
        except InputError as error:
            reason = error.reason
        else:
            reason = "read"
        assert reason != "unreadable"


@pytest.mark.slow
def test_a_day_of_sound_is_scanned_in_constant_memory(tmp_path: Path) -> None:
    """Reading everything at once takes 11 GB for this file."""
    import resource

    path = tmp_path / "day.wav"
    frames = 24 * 3600 * 8000
    path.write_bytes(wav(b"", rate=8000, bits=8, length=frames))
    os.truncate(path, 44 + frames)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert scan(path).frames == frames
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16_000


def test_looking_through_a_file_is_progress(tmp_path):
    """A FLAC of many gigabytes is looked through before its first sample, and was taken for a hang."""
    sf.write(tmp_path / "a.flac", np.zeros(1000), 16_000)
    told = []
    scan(tmp_path / "a.flac", told.append)
    assert told[0] == 0.0 and told[-1] > 0
