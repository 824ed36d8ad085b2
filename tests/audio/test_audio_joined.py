"""Reading over the joints of a file that holds several recordings."""

import numpy as np
import pytest
import soundfile

from dacse_cli.api.rendering import render_file
from dacse_cli.audio.metadata.chunks import read_extras
from dacse_cli.audio.read import AudioReader
from dacse_cli.config import SoundOptions
from dacse_cli.report.stretch import read_mono
from dacse_cli.training.sound.recordings import Recording, read_part

RATE = 16_000
FORMS = ["wav", "flac", "ogg", "mp3"]


def joined(folder, form, rates=(RATE, RATE, RATE)):
    """A file of three recordings of 0.5 s."""
    path = folder / f"joined.{form}"
    with open(path, "ab") as file:
        for seed, rate in enumerate(rates):
            noise = 0.1 * np.random.default_rng(seed).standard_normal(rate // 2)
            soundfile.write(folder / f"part.{form}", noise, rate)
            file.write((folder / f"part.{form}").read_bytes())
    return path


def blocks(path, count, frames=None):
    found = []
    with AudioReader(path, frames) as reader:
        while (block := reader.read(count)).shape[1]:
            found.append(block)
        assert reader.read(count).shape == (1, 0)
        assert reader.frames_read == sum(block.shape[1] for block in found)
        assert reader.damage is None
    return found


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rates", [(RATE, RATE, RATE), (RATE, 8000, 44_100)], ids=str)
def test_a_read_returns_all_that_it_is_asked_for(tmp_path, form, rates):
    """It ended at every joint; `dacse serve` and `dacse try` took that for the end of the recording."""
    if form == "mp3" and rates[1] != RATE:
        rates = (RATE, 24_000, 32_000)
    path = joined(tmp_path, form, rates)
    (whole,) = blocks(path, 10 * RATE)
    assert whole.shape[1] == pytest.approx(1.5 * RATE, abs=2500)
    for count in (1000, 7777, RATE):
        found = blocks(path, count)
        assert {block.shape[1] for block in found[:-1]} == {count}
        np.testing.assert_allclose(np.concatenate(found, axis=1), whole, atol=1e-6)
    (start,) = blocks(path, 10 * RATE, RATE)
    np.testing.assert_allclose(start, whole[:, :RATE], atol=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_readers_of_one_stretch_go_over_joints(tmp_path, form):
    """A crop for a training that lay over a joint was refused as shorter than its header says."""
    path = joined(tmp_path, form)
    (whole,) = blocks(path, 10 * RATE)
    at = 6000
    mono, _ = read_mono(path, at / RATE, 0.5)
    np.testing.assert_allclose(mono, whole[0, at : at + RATE // 2], atol=1e-6)
    recording = Recording("a", path, whole.shape[1], RATE, 1)
    crop = read_part(recording, at, RATE // 2, RATE)
    np.testing.assert_allclose(crop, mono, atol=1e-6)


@pytest.mark.parametrize("form", ["caf", "w64", "au", *FORMS])
def test_the_output_of_a_joined_recording_is_one_recording(tmp_path, form):
    """The second file was copied as a chunk of the first: no joined WAV could be written."""
    path = joined(tmp_path, form)
    assert read_extras(path).chunks == read_extras(tmp_path / f"part.{form}").chunks
    (whole,) = blocks(path, 10 * RATE)
    made = render_file(path, whole, tmp_path / f"out.{form}", SoundOptions()).path
    assert soundfile.info(made).frames == whole.shape[1]
    with AudioReader(made) as reader:
        assert reader.counted


@pytest.mark.parametrize("form", FORMS)
def test_recordings_of_another_rate_are_named(tmp_path, form):
    """A joined WAV was resampled without a word, where an MP3 had a note."""
    same, other = tmp_path / "same", tmp_path / "other"
    same.mkdir()
    other.mkdir()
    with AudioReader(joined(same, form)) as reader:
        assert reader.warning() is None
    with AudioReader(joined(other, form, (RATE, 8000, RATE))) as reader:
        while reader.read(RATE).shape[1]:
            pass
        assert "16000 Hz" in reader.warning() and "8000 Hz" in reader.warning()
