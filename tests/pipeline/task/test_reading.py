"""Recordings on their way into the models: once, as they were scanned, silence kept silent."""

import numpy as np
import pytest
import soundfile
from engine_runs import enhance, noise
from fakes import ExactCodec, fake_models, on_grid
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.config import SoundOptions
from dacse_cli.errors import InputError
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.reading.rows import Activity
from dacse_cli.pipeline.task.reading.sources import ArraySource, DryBlocks, FileSource, OnePass, Signal


def test_a_recording_that_became_shorter_is_said_to_have_changed(tmp_path):
    """ "generator raised StopIteration": `internal`, exit 1, and a batch of Ray Data was aborted."""
    soundfile.write(tmp_path / "a.wav", np.full(1000, 0.1), 8000)
    signal = Signal(8000, 1, 2000, 0.1, (0,))
    with pytest.raises(InputError) as caught:
        list(FileSource(tmp_path / "a.wav", signal).blocks())
    assert caught.value.reason == "changed"
    source = ArraySource(np.zeros((1, 100), np.float32), Signal(8000, 1, 100, 0.0, (0,)))
    with pytest.raises(InputError) as caught:
        DryBlocks(source.blocks(), lambda block: block, (8000, 8000), 1).take(101)
    assert caught.value.reason == "changed"


class Counted(ArraySource):
    """Counts how often it is read from the start."""

    reads = 0

    def blocks(self):
        type(self).reads += 1
        yield from super().blocks()


@pytest.mark.parametrize(
    "sound", [{}, {"mix": 0.5}, {"loudness": "match"}, {"mix": 0.5, "loudness": "match"}]
)
@pytest.mark.parametrize("filtered", [False, True])
def test_whatever_is_asked_for_a_recording_is_decoded_once(sound, filtered):
    """With mix and loudness it was decoded five times."""
    Counted.reads = 0
    plain = noise(2, 40_000)
    source = Counted(plain.samples, plain.signal)
    (result,) = enhance([source], fake_models(1000, 50, 250, filtered=filtered), sound=SoundOptions(**sound))
    assert result.shape == source.samples.shape
    assert Counted.reads == 1


def test_a_block_is_held_until_the_last_reader_has_taken_it():
    source, seen = noise(1, 16000 * 5), []
    one_pass = OnePass(source, 2, lambda block: seen.append(block.shape[1]))
    first, second = one_pass.reader(), one_pass.reader()
    next(first)
    next(first)
    assert seen == [16000] * 2  # nothing is read ahead
    assert [block.shape for block in second] == [(1, 16000)] * 5
    assert sum(block.shape[1] for block in first) == 16000 * 3


class LeakyCodec(ExactCodec):
    """Answers silence with a murmur, as a real codec does."""

    def decode_rows(self, codes, kept):
        return super().decode_rows(codes, kept) + np.float32(1e-3)


def test_digital_silence_inside_a_chunk_stays_silent():
    """`generate` left -62 dB of murmur in a pause of digital silence."""
    wave = on_grid(np.random.default_rng(0).uniform(-0.5, 0.5, (1, 8000)))
    wave[:, 3000:5000] = 0
    models = fake_models(4000, 0, 0)
    leaky = Models(LeakyCodec(), models.translator, None, models.grid, "exact")
    (result,) = enhance([ArraySource(wave, Signal.of_array(wave, 16000))], leaky)
    assert (result[:, 3010:4990] == 0).all()
    assert np.abs(result[:, :2990] - wave[:, :2990]).max() < 2e-3
    assert np.abs(np.diff(result[0, 2980:3020])).max() < 1.1


@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(1, 7))
def test_gains_are_one_in_sound_and_zero_far_from_it(frames, piece):
    hop = 4
    samples = np.repeat(np.array(frames, np.float32), hop)[None] * 0.5
    activity = Activity(1, len(frames), 16000, 16000, hop)
    for start in range(0, samples.shape[1], piece):
        activity.mark(samples[:, start : start + piece])
    gains = activity.envelope(0, 0, len(frames))
    if gains is None:
        assert all(frames)
        return
    by_frame = gains.reshape(-1, hop)
    for i, sound in enumerate(frames):
        near = any(frames[max(0, i - 1) : i + 2])
        assert (by_frame[i] == 1).all() if sound else near or (by_frame[i] == 0).all()
    assert ((gains >= 0) & (gains <= 1)).all()
