"""Corpora: what is decoded is what is drawn, and what is held out is never drawn."""

import numpy as np
import pytest
import soundfile as sf

from dacse_cli.errors import InputError
from dacse_cli.training import corpus

RATE = 16000


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(1)
    for index in range(3):
        level = 0.1 * (index + 1)
        stereo = np.repeat(level * rng.standard_normal((RATE, 1)).clip(-2, 2), 2, axis=1)
        sf.write(tmp_path / f"{index}.wav", stereo, RATE, subtype="FLOAT")
    return tmp_path


def build(folder, **options):
    return corpus.build_corpus(
        "words", sorted(folder.glob("*.wav")), folder, folder / "built", RATE, **options
    )


def test_a_corpus_gives_back_its_recordings(folder):
    built = build(folder)
    first, _ = sf.read(folder / "0.wav", dtype="float32")
    assert [row[0] for row in built.rows] == ["0.wav", "1.wav", "2.wav"]
    assert np.allclose(built.samples[:RATE] / corpus.INT16, first[:, 0], atol=1e-4)


def test_held_out_recordings_are_never_drawn(folder):
    rng = np.random.default_rng(0)
    loud = build(folder).only(["2.wav"])
    quiet = build(folder).without(["1.wav", "2.wav"])
    assert np.std(loud.crop(RATE // 2, rng)) > 0.2
    assert all(np.std(quiet.crop(RATE // 2, rng)) < 0.15 for _ in range(20))


def test_a_short_recording_lies_between_zeros(folder):
    crop = build(folder).crop(2 * RATE, np.random.default_rng(0))
    assert crop.shape == (2 * RATE,)
    assert np.count_nonzero(crop) <= RATE


def test_speed_changes_length(folder):
    assert build(folder, speed=1.1).rows[0][2] == pytest.approx(RATE / 1.1, abs=2)


def test_speech_comes_at_the_level_asked_for(folder):
    speech = corpus.Speech([build(folder)], [1.0], level_db=-30.0, spread_db=0.0)
    crop = speech.draw(RATE // 2, np.random.default_rng(0))
    assert 20 * np.log10(np.sqrt(np.mean(crop**2))) == pytest.approx(-30.0, abs=0.1)


def test_a_missing_corpus_is_an_input_error(tmp_path):
    with pytest.raises(InputError, match="no corpus"):
        corpus.open_corpus("words", tmp_path)
