"""An output is whole under its final name, or absent."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.audio.formats import OutputFormat
from dacse_cli.audio.write import OutputWriter, quantise
from dacse_cli.errors import InputError, LockedError, OutputError
from dacse_cli.files import atomic
from dacse_cli.files.atomic import PartFile, commit, part_path, stage_bytes, sweep, write_bytes_atomically

WAV = OutputFormat("WAV", "PCM_16", ".wav", 44_100, None)
FLAC = OutputFormat("FLAC", "PCM_16", ".flac", 44_100, None)
OGG = OutputFormat("OGG", "VORBIS", ".ogg", 44_100, None)
MP3 = OutputFormat("MP3", "MPEG_LAYER_III", ".mp3", 44_100, None)


def noise(frames: int, channels: int = 1) -> np.ndarray:
    return (0.1 * np.random.default_rng(1).standard_normal((channels, frames))).astype(np.float32)


def write(target: Path, fmt: OutputFormat, samples: np.ndarray) -> atomic.Written:
    with OutputWriter(target, fmt, samples.shape[0]) as writer:
        writer.write(samples)
        written = writer.finish(samples.shape[1])
    commit(written.temp, target)
    return written


@contextlib.contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """No file of this process can grow beyond `size` bytes: a disk that is full at an exact byte."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("fmt", [WAV, FLAC, OGG, MP3], ids=lambda fmt: fmt.container)
def test_a_disk_full_at_any_byte_leaves_no_file(tmp_path: Path, fmt: OutputFormat) -> None:
    """libsndfile reports nothing when the last kilobytes of a FLAC, Ogg or MP3 do not fit."""
    samples = noise(12_000)
    size = write(tmp_path / "whole", fmt, samples).size
    sizes = {*range(0, size, size // 12), *range(size - 12, size), size - 100, size - 1000}
    for limit in sorted(sizes):
        with file_size_limit(limit), pytest.raises(OutputError, match="file size limit"):
            write(tmp_path / "out", fmt, samples)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["whole"], limit
    with file_size_limit(size):
        write(tmp_path / "out", fmt, samples)
    assert (tmp_path / "out").read_bytes()[-4000:] == (tmp_path / "whole").read_bytes()[-4000:] or fmt is OGG


@pytest.mark.slow
def test_a_disk_that_is_full_at_every_byte_of_the_last_8_kib(tmp_path: Path) -> None:
    """The figure: outputs reported as written that do not hold what was written, of 16,384."""
    samples = noise(20_000)
    lies = limits = 0
    for fmt in (WAV, FLAC):
        size = write(tmp_path / "whole", fmt, samples).size
        for limit in range(size - 8192, size):
            limits += 1
            with file_size_limit(limit), contextlib.suppress(OutputError):
                write(tmp_path / "out", fmt, samples)
                lies += 1
            assert [path.name for path in tmp_path.iterdir()] == ["whole"], (fmt.container, limit)
    print(f"\nR3: {lies} of {limits} full disks reported as success")
    assert lies == 0


@pytest.mark.parametrize("name", ["fsync", "write", "close"])
def test_a_disk_error_is_named_and_leaves_no_file(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failing fsync or close was ignored: the file was reported as done."""
    real = getattr(os, name)
    code = errno.ENOSPC if name == "write" else errno.EIO

    def broken(descriptor: int, *rest: object) -> object:
        if ".dacse-part" in os.readlink(f"/proc/self/fd/{descriptor}"):
            if name == "close":
                real(descriptor)
            raise OSError(code, "injected")
        return real(descriptor, *rest)

    monkeypatch.setattr(atomic.os, name, broken)
    with pytest.raises(OutputError, match=r"no space left|input/output error") as caught:
        write_bytes_atomically(tmp_path / "x.safetensors", b"tokens")
    assert "x.safetensors" in caught.value.message
    if name == "write":
        assert "MB free" in caught.value.message
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())


def test_a_failed_rename_removes_the_part(tmp_path: Path) -> None:
    target = tmp_path / "taken.wav"
    (target / "inside").mkdir(parents=True)
    with pytest.raises(InputError, match="a folder of that name is in the way"):
        write(target, WAV, noise(100))
    assert [path.name for path in tmp_path.iterdir()] == ["taken.wav"]


def test_folders_are_created_and_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    write(tmp_path / "a" / "b" / "x.wav", WAV, noise(100))
    assert sf.info(tmp_path / "a" / "b" / "x.wav").frames == 100
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file, not a folder"):
        OutputWriter(tmp_path / "file" / "x.wav", WAV, 1)
    with pytest.raises(InputError, match="is a file, not a folder"):
        OutputWriter(tmp_path / "file" / "deeper" / "x.wav", WAV, 1)


def test_the_reported_size_and_hash_are_those_on_disk(tmp_path: Path) -> None:
    written = write(tmp_path / "x.wav", WAV, noise(1000))
    data = (tmp_path / "x.wav").read_bytes()
    assert (written.size, written.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert written.temp.parent == tmp_path
    staged = stage_bytes(tmp_path / "y", b"tokens")
    assert (staged.size, staged.sha256) == (6, hashlib.sha256(b"tokens").hexdigest())
    assert staged.temp.read_bytes() == b"tokens"
    assert not (tmp_path / "y").exists()


def test_an_abandoned_write_removes_its_part_file(tmp_path: Path) -> None:
    """An interrupt in the middle of a file left an open temporary file behind."""
    with contextlib.suppress(KeyboardInterrupt), OutputWriter(tmp_path / "x.flac", FLAC, 1) as writer:
        writer.write(noise(1000))
        raise KeyboardInterrupt
    with OutputWriter(tmp_path / "y.flac", FLAC, 1) as writer:
        writer.write(noise(1000))
    assert not list(tmp_path.iterdir())


def test_a_link_at_the_target_is_replaced_not_followed(tmp_path: Path) -> None:
    """An output that is a link to its input destroyed the input."""
    (tmp_path / "input.wav").write_bytes(b"precious")
    (tmp_path / "x.wav").symlink_to(tmp_path / "input.wav")
    write(tmp_path / "x.wav", WAV, noise(100))
    assert (tmp_path / "input.wav").read_bytes() == b"precious"
    assert not (tmp_path / "x.wav").is_symlink()


def test_a_link_at_the_part_name_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    part_path(tmp_path / "x.wav").symlink_to(tmp_path / "victim")
    with pytest.raises(OutputError):
        OutputWriter(tmp_path / "x.wav", WAV, 1)
    assert (tmp_path / "victim").read_bytes() == b"precious"


@pytest.mark.parametrize("mask", [0o022, 0o077])
def test_mode_follows_the_umask(tmp_path: Path, mask: int) -> None:
    """Files made by tempfile are 0600: nobody else in the group could read the results."""
    before = os.umask(mask)
    try:
        write(tmp_path / "x.wav", WAV, noise(10))
        write_bytes_atomically(tmp_path / "y", b"")
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o666 & ~mask}


def test_two_writers_of_one_target_and_removal_of_part_files(tmp_path: Path) -> None:
    """A sweep must take what a killed run has left, and nothing that is being written."""
    stale = part_path(tmp_path / "sub" / "old.wav")
    stale.parent.mkdir()
    stale.write_bytes(b"left behind")
    mine = tmp_path / ".notes.dacse-part"
    mine.write_bytes(b"not a name of ours")
    with OutputWriter(tmp_path / "x.wav", WAV, 1) as writer:
        writer.write(noise(100))
        with pytest.raises(LockedError):
            OutputWriter(tmp_path / "x.wav", WAV, 1)
        assert sweep(tmp_path, spare=lambda folder: folder.name == "sub") == 0
        assert sweep(tmp_path) == 1
        commit(writer.finish(100).temp, tmp_path / "x.wav")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".notes.dacse-part", "sub", "x.wav"]
    assert not stale.exists()


def test_the_part_file_of_a_killed_writer_is_replaced(tmp_path: Path) -> None:
    code = (
        "import os, sys, numpy as np; from pathlib import Path\n"
        "from dacse_cli.audio.write import OutputWriter; from dacse_cli.audio.formats import OutputFormat\n"
        "w = OutputWriter(Path(sys.argv[1]), OutputFormat('WAV', 'PCM_16', '.wav', 44100, None), 1)\n"
        "w.write(np.ones((1, 70000), np.float32)); os.kill(os.getpid(), 9)"
    )
    target = tmp_path / "x.wav"
    for _ in range(2):
        assert subprocess.run([sys.executable, "-c", code, str(target)], check=False).returncode == -9
        assert list(tmp_path.iterdir()) == [part_path(target)]
    write(target, WAV, noise(10))
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]
    assert sf.info(target).frames == 10


@given(
    st.one_of(st.text(max_size=84).map(lambda text: text.encode("utf-8", "ignore")), st.binary(max_size=254))
)
def test_part_names_fit_and_are_recognised(name: bytes) -> None:
    """A name of 251 bytes plus a suffix is too long for the file system."""
    part = part_path(Path("folder") / os.fsdecode(b"x" + name.replace(b"/", b"").replace(b"\0", b"")))
    assert len(os.fsencode(part.name)) <= 110
    part.name.encode("utf-8")
    assert atomic._PART_NAME.fullmatch(part.name)


def test_long_and_odd_names(tmp_path: Path) -> None:
    for name in (b"n" * 251 + b".wav", b"\xff\xfe caf\xe9\n.wav", "ü".encode() * 127):
        write(tmp_path / os.fsdecode(name), WAV, noise(10))
        assert name in os.listdir(os.fsencode(tmp_path))
    with pytest.raises(InputError) as caught:
        OutputWriter(tmp_path / ("n" * 256), WAV, 1)
    assert caught.value.reason == "name-too-long"


@pytest.mark.parametrize(
    ("container", "subtype", "bits"),
    [("WAV", "PCM_U8", 8), ("WAV", "PCM_16", 16), ("WAV", "PCM_24", 24), ("WAV", "PCM_32", 24),
     ("AU", "PCM_S8", 8), ("FLAC", "PCM_S8", 8), ("FLAC", "PCM_16", 16), ("FLAC", "PCM_24", 24),
     ("AIFF", "PCM_24", 24), ("WAV", "FLOAT", 24), ("WAV", "DOUBLE", 24)],
)  # fmt: skip
def test_samples_that_a_depth_can_hold_are_kept_exactly(
    tmp_path: Path, container: str, subtype: str, bits: int
) -> None:
    steps = np.random.default_rng(0).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (2, 3000))
    samples = (steps / 2.0 ** (bits - 1)).astype(np.float32)
    write(tmp_path / "x", OutputFormat(container, subtype, ".x", 44_100, None), samples)
    assert np.array_equal(sf.read(tmp_path / "x", dtype="float32")[0].T, samples)


def test_a_telephone_file_is_copied_exactly(tmp_path: Path) -> None:
    sf.write(tmp_path / "a.wav", noise(5000)[0], 8000, subtype="ULAW")
    first = sf.read(tmp_path / "a.wav", dtype="float32")[0]
    write(tmp_path / "b.wav", OutputFormat("WAV", "ULAW", ".wav", 8000, None), first[None])
    assert np.array_equal(sf.read(tmp_path / "b.wav", dtype="float32")[0], first)


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
def test_quantising_rounds_to_the_nearest(bits: int) -> None:
    """libsndfile rounds down: the mean of every output was half a step too low."""
    samples = np.random.default_rng(0).uniform(-0.9, 0.9, (1, 4000)).astype(np.float32)
    got = quantise(samples, bits)
    width = got.dtype.itemsize * 8
    error = (got / 2.0 ** (width - 1) - samples) * 2.0 ** (bits - 1)
    assert np.abs(error).max() <= 0.5
    assert abs(error.mean()) < 0.05
    full = quantise(np.array([[-1.0, 1.0]], np.float32), bits)[0]
    assert full[0] == np.iinfo(full.dtype).min
    assert full[1] == (2 ** (bits - 1) - 1) << (width - bits)


def test_loud_samples_are_cut_and_counted(tmp_path: Path) -> None:
    samples = np.array([[0.5, 1.0, 1.5, -1.0], [-2.0, 0.0, 1.1, 0.25]], np.float32)
    assert write(tmp_path / "x.wav", WAV, samples).clipped == 3
    assert np.array_equal(sf.read(tmp_path / "x.wav")[0].T[:, 2], np.array([32767, 32767]) / 32768)
    floating = OutputFormat("WAV", "FLOAT", ".wav", 44_100, None)
    assert write(tmp_path / "y.wav", floating, samples).clipped == 0
    assert np.array_equal(sf.read(tmp_path / "y.wav", dtype="float32")[0].T, samples)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_samples_are_refused(tmp_path: Path, bad: float) -> None:
    """NaN is written as -1.0: a click at full scale."""
    samples = noise(100)
    samples[0, 50] = bad
    with pytest.raises(InputError) as caught:
        write(tmp_path / "x.wav", WAV, samples)
    assert caught.value.reason == "not-finite"
    assert not list(tmp_path.iterdir())


def test_no_samples(tmp_path: Path) -> None:
    """libsndfile writes 0 samples as an empty FLAC or MP3 that nobody can open."""
    write(tmp_path / "x.wav", WAV, noise(0))
    assert sf.info(tmp_path / "x.wav").frames == 0
    for fmt in (FLAC, MP3):
        with pytest.raises(InputError, match="0 samples cannot be stored"):
            write(tmp_path / "y", fmt, noise(0))
    assert [path.name for path in tmp_path.iterdir()] == ["x.wav"]


def test_a_wrong_sample_count_raises_an_error(tmp_path: Path) -> None:
    with OutputWriter(tmp_path / "x.wav", WAV, 1) as writer:
        writer.write(noise(10))
        with pytest.raises(ValueError, match="10 samples were written, not 11"):
            writer.finish(11)
    assert not list(tmp_path.iterdir())


def test_a_long_vorbis_write_does_not_crash(tmp_path: Path) -> None:
    """libsndfile's Vorbis encoder takes the whole write from the stack."""
    samples = noise(1_000_000, 2) * 0.01
    assert write(tmp_path / "x.ogg", OGG, samples).size > 10_000


def test_no_descriptor_is_left_after_failures(tmp_path: Path) -> None:
    """A SoundFile collected later would write its header into whatever file has taken its descriptor."""
    before = len(os.listdir("/proc/self/fd"))
    for fmt in (WAV, FLAC, OGG, MP3):
        with file_size_limit(100), pytest.raises(OutputError):
            write(tmp_path / "x", fmt, noise(5000))
        with pytest.raises(OutputError):
            OutputWriter(tmp_path / "x", OutputFormat(fmt.container, fmt.subtype, "", 44_100, None), 5000)
    assert len(os.listdir("/proc/self/fd")) == before
    with PartFile(tmp_path / "new").path.open("rb") as fresh:
        assert fresh.read() == b""


def test_renaming_needs_neither_numpy_nor_soundfile() -> None:
    """The supervisor survives what libsndfile does not: it must not load it."""
    code = (
        "import sys, dacse_cli.files.atomic, dacse_cli.audio.formats, dacse_cli.audio.info\n"
        "print(sorted({'numpy', 'soundfile', 'soxr', 'torch'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
