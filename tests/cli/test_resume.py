"""Killed in the middle of a long file: the next run takes over what was finished, and sounds the same."""

import json
import os
import shutil
import signal
import time

import numpy as np
import pytest
import soundfile
from typed import start, typed

SECONDS = 12


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """A recording of some fifty chunks."""
    path = tmp_path_factory.mktemp("long") / "talk.wav"
    rng = np.random.default_rng(0)
    loud = np.abs(np.sin(np.arange(SECONDS * 16000) / 16000 * 9))
    soundfile.write(path, 0.2 * loud * rng.standard_normal(SECONDS * 16000), 16000)
    return path


@pytest.fixture(scope="module")
def whole(talk, tiny_model, tmp_path_factory):
    """What an undisturbed run makes of it."""
    folder = tmp_path_factory.mktemp("whole")
    end = finish(talk, folder / "talk.wav", tiny_model)
    assert end["resumed"] == 0
    assert not (folder / ".dacse").exists()
    return (folder / "talk.wav").read_bytes()


def words(source, output, model):
    return [str(source), str(output), "--model", str(model), "--json", "--batch-size", "2"]


def finish(source, output, model, *more):
    """A run to its end; its account of the file."""
    result = typed("enhance", *words(source, output, model), *more, timeout=600)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout.splitlines()[0])


def chunks_in(folder):
    return list((folder / ".dacse" / "work").glob("*.chunks"))


def stop_midway(source, output, folder, model, number, size=6000):
    """Start a run and send its supervisor `number` when `size` bytes of chunks are kept."""
    run = start("enhance", *words(source, output, model))
    until = time.monotonic() + 600
    while not any(path.stat().st_size > size for path in chunks_in(folder)):
        assert run.poll() is None and time.monotonic() < until
        time.sleep(0.01)
    for _ in range(2):  # after the first a file that ends soon is finished, after the second none is
        run.send_signal(number)
        time.sleep(0.2)
    run.communicate()


@pytest.mark.skipif(os.name != "posix", reason="kill -9")
def test_killed_twice_and_yet_nothing_is_generated_again(talk, whole, tiny_model, tmp_path):
    """Hours of a long recording were lost with its process."""
    stop_midway(talk, tmp_path / "out", tmp_path / "out", tiny_model, signal.SIGKILL)
    (kept,) = chunks_in(tmp_path / "out")
    first = kept.stat().st_size
    stop_midway(talk, tmp_path / "out", tmp_path / "out", tiny_model, signal.SIGKILL, 2 * first)
    assert kept.stat().st_size > 2 * first  # the second run has added to the first one's
    end = finish(talk, tmp_path / "out", tiny_model)
    assert SECONDS / 20 < end["resumed"] < SECONDS
    assert (tmp_path / "out" / "talk.wav").read_bytes() == whole
    assert not (tmp_path / "out" / ".dacse" / "work").exists()


def test_stopped_by_hand_and_written_beside_nothing(talk, whole, tiny_model, tmp_path):
    """One file into one file: there is no journal, the chunks are kept all the same, and gone at the end."""
    stop_midway(talk, tmp_path / "clean.wav", tmp_path, tiny_model, signal.SIGTERM)
    assert [path.name for path in tmp_path.iterdir()] == [".dacse"]
    end = finish(talk, tmp_path / "clean.wav", tiny_model)
    assert end["resumed"] > 0
    assert (tmp_path / "clean.wav").read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["clean.wav"]


def test_what_was_kept_of_another_input_or_other_options_is_not_used(talk, whole, tiny_model, tmp_path):
    """A result of two recordings, or of two settings, in one file."""
    stop_midway(talk, tmp_path / "out", tmp_path / "out", tiny_model, signal.SIGKILL)
    (kept,) = chunks_in(tmp_path / "out")
    damaged = shutil.copytree(tmp_path / "out", tmp_path / "damaged")
    end = finish(talk, tmp_path / "out", tiny_model, "--overlap", "0.1")
    assert end["resumed"] == 0
    assert not kept.exists()

    (kept,) = chunks_in(damaged)
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 0xFF
    kept.write_bytes(content[:-3])
    finish(talk, damaged, tiny_model)
    assert (damaged / "talk.wav").read_bytes() == whole
