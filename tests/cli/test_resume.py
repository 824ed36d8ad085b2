"""What a run has generated serves the next one: after a kill in the middle of a long file, and for other
settings of a finished one.
"""

import json
import os
import shutil
import signal
import time

import numpy as np
import pytest
import soundfile
from typed import start, typed

SECONDS = 3


@pytest.fixture(scope="module")
def talk(tmp_path_factory):
    """A recording of some twelve chunks."""
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


def stop_midway(source, output, folder, model, number, size=1200):
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
def test_after_two_kills_no_chunk_is_generated_again(talk, whole, tiny_model, tmp_path):
    """Hours of a long recording were lost with its process."""
    stop_midway(talk, tmp_path / "out", tmp_path / "out", tiny_model, signal.SIGKILL)
    (kept,) = chunks_in(tmp_path / "out")
    first = kept.stat().st_size
    stop_midway(talk, tmp_path / "out", tmp_path / "out", tiny_model, signal.SIGKILL, 2 * first)
    assert kept.stat().st_size > 2 * first  # the second run has added to the first one's
    end = finish(talk, tmp_path / "out", tiny_model)
    assert SECONDS / 20 < end["resumed"] < SECONDS
    assert (tmp_path / "out" / "talk.wav").read_bytes() == whole
    assert chunks_in(tmp_path / "out") == [kept]  # for another loudness or format


def test_a_stopped_run_of_one_file_continues_and_leaves_nothing_else(talk, whole, tiny_model, tmp_path):
    """One file into one file: there is no journal, the chunks are kept all the same, and gone at the end."""
    stop_midway(talk, tmp_path / "clean.wav", tmp_path, tiny_model, signal.SIGTERM)
    assert [path.name for path in tmp_path.iterdir()] == [".dacse"]
    end = finish(talk, tmp_path / "clean.wav", tiny_model)
    assert end["resumed"] > 0
    assert (tmp_path / "clean.wav").read_bytes() == whole
    assert [path.name for path in tmp_path.iterdir()] == ["clean.wav"]


@pytest.mark.ci
def test_chunks_of_other_inputs_or_options_are_not_reused(talk, whole, tiny_model, tmp_path):
    """A result of two recordings, or of two settings, in one file."""
    stop_midway(talk, tmp_path / "out", tmp_path / "out", tiny_model, signal.SIGKILL)
    (kept,) = chunks_in(tmp_path / "out")
    damaged = shutil.copytree(tmp_path / "out", tmp_path / "damaged")
    end = finish(talk, tmp_path / "out", tiny_model, "--overlap", "0.1")
    assert end["resumed"] == 0

    (kept,) = chunks_in(damaged)
    content = bytearray(kept.read_bytes())
    content[len(content) // 2] ^= 0xFF
    kept.write_bytes(content[:-3])
    finish(talk, damaged, tiny_model)
    assert (damaged / "talk.wav").read_bytes() == whole


def test_another_strength_loudness_or_format_needs_no_model(talk, tiny_model, tmp_path):
    """Each was hours of the language model again."""
    samples, rate = soundfile.read(talk)
    source, out, fresh = tmp_path / "talk.wav", tmp_path / "out", tmp_path / "fresh"
    soundfile.write(source, samples[:rate], rate)
    assert finish(source, out, tiny_model)["resumed"] == 0
    other = ("--strength", "0.7", "--loudness", "-20", "--format", "flac", "--rate", "24000")
    end = finish(source, out, tiny_model, *other)
    assert end["resumed"] == pytest.approx(1.0, abs=0.02)
    finish(source, fresh, tiny_model, *other)
    assert (out / "talk.flac").read_bytes() == (fresh / "talk.flac").read_bytes()


def test_the_chunk_of_a_short_recording_is_kept_too(talk, tiny_model, tmp_path):
    samples, rate = soundfile.read(talk)
    short = tmp_path / "short.wav"
    soundfile.write(short, samples[: rate // 5], rate)
    assert finish(short, tmp_path / "out", tiny_model)["resumed"] == 0
    end = finish(short, tmp_path / "out", tiny_model, "--loudness", "-20")
    assert end["resumed"] == pytest.approx(0.2, abs=0.02)
    # what is generated from other input, or by other means, is not taken over
    soundfile.write(short, samples[rate : rate + rate // 5], rate)
    assert finish(short, tmp_path / "out", tiny_model)["resumed"] == 0
    assert finish(short, tmp_path / "out", tiny_model, "--overlap", "0.05")["resumed"] == 0
