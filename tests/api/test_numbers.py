"""Numbers that callers pass in: of any type where they are whole, refused by name where they are none."""

from fractions import Fraction

import numpy as np
import pytest

from dacse_cli import Enhanced, Enhancer
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import UsageError

SAMPLES = (0.1 * np.random.default_rng(0).standard_normal(4000)).astype(np.float32)


@pytest.fixture(scope="module")
def enhancer():
    with Enhancer("nano", device="cpu") as enhancer:
        yield enhancer


@pytest.mark.parametrize("size", [-1, 0, 2.5, "4", True])
@pytest.mark.parametrize("method", ["auto", "mask"])
def test_a_stream_of_no_chunks_is_refused_at_once(enhancer, size, method):
    """`batch_size=-1` yielded no piece and raised nothing, so a caller wrote an empty file."""
    with pytest.raises(UsageError, match=rf"`batch_size` must be a whole number of at least 1, not {size!r}"):
        enhancer.stream(SAMPLES, 8000, batch_size=size, method=method)


@pytest.mark.parametrize("size", [2, 2.0, np.int64(2), None])
def test_a_stream_takes_any_whole_number_of_chunks(enhancer, size):
    pieces = [piece.samples.shape[1] for piece in enhancer.stream(SAMPLES, 8000, batch_size=size)]
    assert sum(pieces) == SAMPLES.size


@pytest.mark.parametrize("rate", [16_000.0, np.float32(16_000), np.int64(16_000), np.array(16_000)])
def test_whole_rates_of_any_type_are_taken(enhancer, rate):
    """48000.0, which JSON and pandas give, passed the check and failed in a TypeError later."""
    made = enhancer.enhance(SAMPLES, rate)
    assert (made.samples.shape, made.sample_rate, type(made.sample_rate)) == ((1, 4000), 16_000, int)
    made = enhancer.enhance(SAMPLES, 8000, rate=rate)
    assert (made.samples.shape, made.sample_rate, type(made.sample_rate)) == ((1, 8000), 16_000, int)


@pytest.mark.parametrize("rate", [22_050.5, "16000", True, [16_000], np.array([16_000, 2]), float("nan")])
def test_other_rates_are_refused_by_name(enhancer, rate):
    """`rate="16000"` raised a TypeError about a comparison instead of a UsageError that names `rate`."""
    with pytest.raises(UsageError, match="`rate` must be a whole number from 1000 to 768000, not"):
        enhancer.enhance(SAMPLES, 8000, rate=rate)
    for call in (enhancer.enhance, enhancer.stream, Enhanced):
        with pytest.raises(UsageError, match="sample_rate, a whole number from 1000 to 768000 Hz, not"):
            call(SAMPLES, rate)


def test_a_result_is_saved_at_a_rate_of_any_type(tmp_path):
    """`Enhanced(samples, 16000.0).save` said that the file could not be written."""
    assert Enhanced(SAMPLES[None], 16_000.0).save(tmp_path / "a.wav").exists()


@pytest.mark.parametrize(
    ("options", "name"),
    [
        (SoundOptions(loudness=True), "loudness"),
        (SoundOptions(loudness=[1]), "loudness"),
        (SoundOptions(loudness=np.float32(5)), "loudness"),
        (SoundOptions(true_peak="x"), "true_peak"),
        (SoundOptions(true_peak=None), "true_peak"),
        (SoundOptions(mix="x"), "mix"),
        (SoundOptions(profile=[1]), "profile"),
        (ModelOptions(batch_size="4"), "batch_size"),
        (ModelOptions(beam=2.5), "beam"),
        (ModelOptions(beam="x"), "beam"),
        (ChunkOptions("4"), "chunk"),
        (ChunkOptions(True), "chunk"),
        (ChunkOptions(float("inf")), "chunk"),
        (ChunkOptions(overlap="x"), "overlap"),
        (ChunkOptions(overlap=None), "overlap"),
    ],
    ids=str,
)
def test_every_number_of_the_options_is_checked(options, name):
    """Other types than numbers raised a TypeError, and numbers of numpy passed unchecked."""
    with pytest.raises(UsageError, match=f"`{name}` "):
        options.check()


def test_options_hold_numbers_of_python():
    """They are sent as JSON, which takes no number of numpy, and name outputs: 0.0 must not become 0."""
    chunk = ChunkOptions(np.float64(2), np.float32(0.25))
    assert [type(value) for value in (chunk.seconds, chunk.overlap)] == [float, float]
    assert ChunkOptions(Fraction(5, 2)).to_json()["seconds"] == 2.5
    sound = SoundOptions(rate=np.float64(8000), mix=np.float32(0.5), loudness=np.int16(-20), limiter=np.True_)
    found = (sound.rate, sound.mix, sound.loudness, sound.limiter)
    assert repr(found) == "(8000, 0.5, -20, True)"
    assert repr(SoundOptions(mix=0.0).mix) == "0.0"
