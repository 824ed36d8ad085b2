"""Windows of several tasks in one batch of the codec: the same results, and no task suffers for another."""

from dataclasses import replace

import numpy as np
import pytest
from fakes import ExactCodec, fake_models, on_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.codec.windowed import WindowedCodec
from dacse_cli.config import ChunkOptions, SoundOptions
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.engine.load import load_models
from dacse_cli.pipeline.task.open import enhance_task
from dacse_cli.pipeline.task.reading.sources import ArraySource, Signal
from dacse_cli.pipeline.task.writing.sinks import ArraySink
from dacse_cli.pipeline.wire.model_plan import ModelPlan, Part


class BatchingCodec(ExactCodec):
    """As on a GPU: several rows at once. More than `limit` do not fit; samples of 0.5 cannot be encoded."""

    def __init__(self, rows, limit=10**9):
        super().__init__()
        self.rows, self.limit, self.batches = rows, limit, []

    def encode_rows(self, samples):
        self._check(len(samples))
        if (samples == 0.5).any():
            raise ArithmeticError("not a number")
        return super().encode_rows(samples)

    def decode_rows(self, codes, kept):
        self._check(len(codes))
        return super().decode_rows(codes, kept)

    def _check(self, rows):
        if rows > self.limit:
            raise MemoryError
        self.batches.append(rows)


def recording(samples, seed, channels=1):
    wave = on_grid(np.random.default_rng(seed).uniform(-0.49, 0.49, (channels, samples)))
    return ArraySource(wave, Signal.of_array(wave, 16000))


def run(sources, codec, batch_size=4):
    """Samples of each source, or the error; the largest number of tasks that were open at once."""
    models = replace(fake_models(), codec=codec)
    sinks, results = [ArraySink() for _ in sources], [None] * len(sources)
    todo = list(enumerate(zip(sources, sinks, strict=True)))[::-1]
    opened = []

    def next_task(block):
        if not todo:
            return None
        key, (source, sink) = todo.pop()
        opened.append(key)
        return key, lambda: enhance_task(source, sink, models, SoundOptions(guard="off"))

    def finished(key, done):
        results[key] = sinks[key].samples
        opened.remove(key)

    def failed(key, error):
        results[key] = error
        opened.remove(key)

    most = 0
    for _ in Engine(models, batch_size, next_task, finished, failed).steps():
        most = max(most, len(opened))
    return results, most


@settings(max_examples=40)
@given(
    lengths=st.lists(st.tuples(st.integers(1, 400), st.integers(1, 3)), min_size=1, max_size=6),
    rows=st.integers(2, 9),
    batch_size=st.integers(1, 5),
)
def test_results_do_not_depend_on_the_batches(lengths, rows, batch_size):
    sources = [recording(samples, seed, channels) for seed, (samples, channels) in enumerate(lengths)]
    for source, result in zip(sources, run(sources, BatchingCodec(rows), batch_size)[0], strict=True):
        np.testing.assert_allclose(result, source.samples, atol=2e-6)


def test_short_files_share_a_batch():
    codec = BatchingCodec(8)
    run([recording(36, seed) for seed in range(16)], codec, batch_size=8)
    codec.batches.remove(1)  # silence, which fills the last chunk of a file
    assert codec.batches == [8, 8, 8, 8]  # two of encoding, two of decoding


def test_one_row_at_a_time_opens_no_further_task():
    codec = BatchingCodec(1)
    _, most = run([recording(36, seed) for seed in range(6)], codec, batch_size=1)
    assert set(codec.batches) == {1}
    assert most <= 3  # two batches of chunks


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_a_batch_that_does_not_fit_is_halved(limit):
    codec = BatchingCodec(8, limit)
    sources = [recording(50 + 9 * seed, seed, 1) for seed in range(9)]
    for source, result in zip(sources, run(sources, codec, 8)[0], strict=True):
        np.testing.assert_allclose(result, source.samples, atol=2e-6)
    assert codec.rows <= limit  # later batches are smaller from the start


def test_a_window_that_fails_concerns_its_task_alone():
    sources = [recording(100, seed) for seed in range(5)]
    sources[2].samples[0, 40] = 0.5
    results, _ = run(sources, BatchingCodec(8))
    assert isinstance(results[2], ArithmeticError)
    for index in (0, 1, 3, 4):
        np.testing.assert_allclose(results[index], sources[index].samples, atol=2e-6)


def test_deterministic_runs_compute_one_row_at_a_time(tiny_model, monkeypatch):
    """The rounding of a batch may depend on its other rows, which are of other files."""
    monkeypatch.setattr(WindowedCodec, "rows", 8)
    codec = Part("dac", str(tiny_model / "codec"), "tiny")
    plan = ModelPlan(codec, None, None, "cpu", "float32", None, ChunkOptions())
    assert load_models(plan).codec.rows == 8
    assert load_models(replace(plan, deterministic=True)).codec.rows == 1
