"""Pauses become quieter, speech stays as it is, and not one sample moves."""

import numpy as np
import pytest

from dacse_cli.audio.expander import DEPTH, Expander

RATE = 16_000


def through(samples, pieces):
    expander = Expander(RATE, len(samples))
    out = [expander.push(piece) for piece in np.split(samples, pieces, axis=1)]
    return np.concatenate([*out, expander.finish()], axis=1)


def talk():
    """A second of speech, a second of faint noise, a second of speech."""
    rng = np.random.default_rng(0)
    level = np.repeat([0.2, 0.002, 0.2], RATE)
    return (rng.standard_normal((2, 3 * RATE)) * level).astype(np.float32)


@pytest.mark.parametrize("cuts", [[], [1], [7, 159, 160, 161, 20_000], list(range(100, 48_000, 333))])
def test_expanding_in_pieces_gives_the_same_samples(cuts):
    samples = talk()
    np.testing.assert_array_equal(through(samples, cuts), through(samples, []))
    assert through(samples, cuts).shape == samples.shape


def test_pauses_are_lowered_and_speech_is_not():
    samples = talk()
    out = through(samples, [])
    np.testing.assert_array_equal(out[:, :RATE], samples[:, :RATE])
    np.testing.assert_array_equal(out[:, 2 * RATE :], samples[:, 2 * RATE :])  # not even the onset
    pause = slice(int(1.3 * RATE), int(1.9 * RATE))
    change = 20 * np.log10(np.std(out[:, pause]) / np.std(samples[:, pause]))
    assert change == pytest.approx(-DEPTH, abs=0.5)
    quiet = samples[:, RATE : 2 * RATE]
    np.testing.assert_array_equal(through(quiet, []), quiet)  # without speech around it, it is the speech


@pytest.mark.parametrize("frames", [0, 1, 159, 161])
def test_silence_of_any_length_stays_silence(frames):
    samples = np.zeros((1, frames), np.float32)
    np.testing.assert_array_equal(through(samples, []), samples)
