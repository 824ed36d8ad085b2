"""The whole way of samples through chunks, batches and joins, with models that change nothing."""

import threading
import time
import weakref

import numpy as np
import pytest
import torch
from engine_runs import BESIDE, enhance, noise
from fakes import LEVELS, EchoTranslator, ExactCodec, fake_models, on_grid
from hypothesis import given, settings
from hypothesis import strategies as st

from dacse_cli.config import SoundOptions
from dacse_cli.errors import CheckpointError, DeviceError, InputError, LockedError, OutputError, UsageError
from dacse_cli.interfaces import Draw
from dacse_cli.pipeline.engine.batching import pick_batch, pick_retries
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.task.enhance_audio import EnhanceAudio
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.reading.sources import ArraySource, Signal
from dacse_cli.pipeline.task.tokens import EnhanceTokens
from dacse_cli.pipeline.task.writing.sinks import ArraySink
from dacse_cli.pipeline.wire.failures import failure_of
from dacse_cli.tokens.files import TokenFile


@pytest.fixture(params=["in turn", "beside"], autouse=True, scope="module")
def _beside(request):
    """Everything twice: generation in the engine's own thread, and in another."""
    BESIDE[0] = request.param == "beside"


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 3), st.integers(1, 400)), min_size=1, max_size=6),
    st.integers(1, 20),
    st.floats(0, 0.9),
    st.floats(0, 1),
    st.integers(1, 8),
    st.booleans(),
)
def test_what_goes_in_comes_out(shapes, chunk, overlap, shortest, batch_size, fixed):
    """Layout, ranges, batching, stitching, trimming together: a slip anywhere moves a sample."""
    models = fake_models(chunk, int(chunk * overlap), int(chunk * shortest), fixed=fixed)
    if 2 * models.grid.overlap > models.grid.chunk:
        models = fake_models(chunk, 0, 0, fixed=fixed)
    sources = [noise(channels, samples, seed) for seed, (channels, samples) in enumerate(shapes)]
    for source, result in zip(sources, enhance(sources, models, batch_size), strict=True):
        np.testing.assert_allclose(result, source.samples, atol=2e-6)


@settings(max_examples=15, deadline=None)
@given(st.sampled_from([8000, 11025, 22050, 44100, 48000, 96000]), st.integers(1, 3000), st.integers(1, 2))
def test_any_rate_keeps_its_length(rate, samples, channels):
    """Elsewhere 48 kHz stereo comes back 8.8 % long."""
    (result,) = enhance([noise(channels, samples, rate=rate)], fake_models(40, 2, 10))
    assert result.shape == (channels, samples)


def test_a_slow_sine_keeps_its_place_at_another_rate():
    """Aligned to the sample: resampling to the model's rate and back must not shift."""
    t = np.arange(48000) / 48000
    wave = (0.5 * np.sin(2 * np.pi * 440 * t)).astype(np.float32)[None]
    (result,) = enhance([ArraySource(wave, Signal.of_array(wave, 48000))], fake_models(1000, 50, 250))
    assert np.abs(result - wave)[:, 200:-200].max() < 2 / LEVELS


def test_equal_channels_are_generated_once():
    wave = on_grid(np.tile(np.random.default_rng(1).uniform(-0.5, 0.5, 400), (3, 1)))
    translator = EchoTranslator()
    (result,) = enhance([ArraySource(wave, Signal.of_array(wave, 16000))], fake_models(translator=translator))
    single = EchoTranslator()
    enhance([ArraySource(wave[:1], Signal.of_array(wave[:1], 16000))], fake_models(translator=single))
    assert sum(translator.batches) == sum(single.batches)
    np.testing.assert_allclose(result, wave, atol=1e-6)


def test_digital_silence_stays_silent_and_costs_nothing():
    translator = EchoTranslator()
    wave = np.zeros((2, 4000), np.float32)
    wave[1, 1000:1400] = on_grid(np.full(400, 0.25))
    (result,) = enhance([ArraySource(wave, Signal.of_array(wave, 16000))], fake_models(translator=translator))
    assert (result[0] == 0).all()
    assert (result[1, :900] == 0).all()
    np.testing.assert_allclose(result, wave, atol=1e-6)
    assert sum(translator.batches) < 20  # of 125 chunks a channel


def test_mono_is_the_mean():
    source = noise(2, 300)
    (result,) = enhance([source], fake_models(), sound=SoundOptions(channels="mono"))
    np.testing.assert_allclose(result, source.samples.mean(axis=0, keepdims=True), atol=1 / LEVELS)


@pytest.mark.parametrize("mix", [0.0, 0.3])
def test_mix_with_the_input(mix):
    """The dry part must be the very input, at its own place."""
    translator = EchoTranslator()
    source = noise(2, 500, rate=8000)
    (result,) = enhance([source], fake_models(translator=translator), sound=SoundOptions(mix=mix))
    if mix == 0:
        assert (result == source.samples).all()
        assert translator.batches == []
    else:
        assert np.abs(result - source.samples).mean() < np.abs(source.samples).mean()


def test_a_peak_above_full_scale_comes_back_at_its_level():
    """Float files may go beyond 1; the codec saw nothing beyond 1 in training."""
    wave = on_grid(np.random.default_rng(3).uniform(-1, 1, (1, 400))) * 8
    (result,) = enhance([ArraySource(wave, Signal.of_array(wave, 16000))], fake_models())
    np.testing.assert_allclose(result, wave, atol=16 / LEVELS)


def test_other_rate_out():
    (result,) = enhance([noise(1, 1600)], fake_models(), sound=SoundOptions(rate=48000))
    assert result.shape == (1, 4800)


@pytest.mark.parametrize("limit", [1, 2, 3])
def test_out_of_memory_halves_the_batch_and_loses_nothing(limit):
    translator = EchoTranslator(limit)
    sources = [noise(1, 333, seed) for seed in range(5)]
    for source, result in zip(
        sources, enhance(sources, fake_models(translator=translator), batch_size=8), strict=True
    ):
        np.testing.assert_allclose(result, source.samples, atol=2e-6)
    assert max(translator.batches) <= limit


class CrowdedTranslator(EchoTranslator):
    """Runs out of memory at one call, or from then on for more than one row at once."""

    def __init__(self, at, sticky):
        super().__init__()
        self.at, self.sticky, self.calls = at, sticky, 0

    def translate(self, noisy, *args, **kwargs):
        self.calls += 1
        if self.calls == self.at or (self.sticky and self.calls > self.at and len(noisy) > 1):
            raise MemoryError
        return super().translate(noisy, *args, **kwargs)


@pytest.mark.parametrize("sticky", [False, True], ids=["once", "for good"])
def test_memory_may_run_out_at_any_call(sticky):
    """Another process takes the memory in the middle of a run: what was in flight was lost (R8)."""
    sources = [noise(1, 333, seed) for seed in range(3)]
    plain = EchoTranslator()
    wanted = enhance(sources, fake_models(translator=plain), batch_size=3)
    points = [call for call, rows in enumerate(plain.batches, 1) if rows > 1]
    for at in points:
        results = enhance(sources, fake_models(translator=CrowdedTranslator(at, sticky)), batch_size=3)
        assert all(np.array_equal(*pair) for pair in zip(wanted, results, strict=True))
    assert len(points) > 5


class Doubting(EnhanceAudio):
    """Wants every answer twice, the second one drawn."""

    def deliver(self, chunk, codes):
        if chunk.attempt == 0:
            return chunk.again(Draw(0.5, chunk.index))
        return (yield from super().deliver(chunk, codes))


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_a_second_try_comes_back_to_its_place(batch_size):
    """Tries of many files mix in the pool; a file is done when the last of them is in, and not before."""
    drawn = []

    class Watched(EchoTranslator):
        def translate(self, noisy, draws=None, on_frame=None):
            drawn.extend(draws or [])
            assert draws is None or len(draws) == len(noisy)
            return super().translate(noisy, draws, on_frame)

    models = fake_models(translator=Watched())
    sources, sinks = [noise(1, 150 + 50 * i, i) for i in range(5)], [ArraySink() for _ in range(5)]
    todo, ended = list(zip(sources, sinks, strict=True)), []

    def next_task(block):
        pair = todo.pop() if todo else None
        return pair and (pair[0], lambda: Doubting(*pair, models, SoundOptions()))

    heard = []
    Engine(
        models,
        batch_size,
        next_task,
        lambda k, f: ended.append(k),
        lambda k, f: 1 / 0,
        heard.append,
    ).run()
    assert len(ended) == 5
    for source, sink in zip(sources, sinks, strict=True):
        np.testing.assert_allclose(sink.samples, source.samples, atol=2e-6)
    assert len(drawn) == sum(len(models.grid.plan(-(-s.signal.frames // 4))) for s in sources)
    assert max(heard) == pytest.approx(sum(s.signal.seconds for s in sources), rel=0.02)


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 16))
def test_second_tries_neither_starve_nor_waste(tries, size):
    kind = pick_retries(tries, size)
    assert kind in tries
    if tries.count(True) >= size:
        assert kind
    if 0 < tries.count(True) < size / 2 and tries.index(True) > len(tries) - size:
        assert kind == (False not in tries)


def test_out_of_memory_with_one_chunk_is_said():
    (failure,) = enhance([noise(1, 100)], fake_models(translator=EchoTranslator(0)))
    assert (failure.reason, failure.trace) == ("out-of-memory", None)


def test_a_batch_that_did_not_fit_is_gone_when_its_halves_run():
    """An error keeps its traceback, a traceback its frames, and they the tensors that filled the device."""

    class Hoarder(EchoTranslator):
        def translate(self, noisy, draws=None, on_frame=None):
            assert all(ref() is None for ref in held)
            if len(noisy) > 1:
                activations = np.zeros(4)
                held.append(weakref.ref(activations))
                raise MemoryError
            return super().translate(noisy, draws, on_frame)

    held = []
    source = noise(1, 100)
    (result,) = enhance([source], fake_models(translator=Hoarder()))
    assert len(held) == 2  # of 4 and of 2 chunks; from then on one at a time
    np.testing.assert_allclose(result, source.samples, atol=2e-6)


def test_one_chunk_that_breaks_the_model_fails_its_file_only():
    """A batch holds chunks of many files: NaN from one of them must not fail sixty others."""
    sources = [noise(1, 100, seed) for seed in range(3)]
    poison = ExactCodec().encode(sources[1].samples)[0]

    class Picky(EchoTranslator):
        def translate(self, noisy, draws=None, on_frame=None):
            if any((units[:, 0] == poison[:, 0]).all() for units in noisy):
                raise CheckpointError("NaN")
            return super().translate(noisy, draws, on_frame)

    ends = enhance(sources, fake_models(translator=Picky()), batch_size=8)
    assert (ends[1].reason, ends[1].exit_code) == ("model", CheckpointError.exit_code)
    for i in (0, 2):
        np.testing.assert_allclose(ends[i], sources[i].samples, atol=2e-6)


def test_a_lost_device_ends_the_worker():
    """After a failed assert every call fails: going on would fail every file that is left."""
    error = torch.AcceleratorError("CUDA error: device-side assert triggered\nmore")
    source = noise(1, 100)

    class Lost(EchoTranslator):
        def translate(self, noisy, draws=None, on_frame=None):
            raise error

    with pytest.raises(DeviceError, match=r"device-side assert triggered$"):
        enhance([source, source], fake_models(translator=Lost()))


def test_thousands_of_inputs_that_cannot_be_opened():
    """One frame of the stack for each of them would end the worker."""
    ids = list(range(3000))
    failed = []

    def bad():
        raise InputError("not a token file", reason="not-tokens")

    engine = Engine(
        Models(),
        4,
        lambda block: (ids.pop(), bad) if ids else None,
        pytest.fail,
        lambda key, error: failed.append(error.reason),
    )
    engine.run()
    assert failed == ["not-tokens"] * 3000


@pytest.mark.parametrize(
    ("error", "reason"),
    [(LockedError("held"), "locked"), (UsageError("no"), "options"), (CheckpointError("NaN"), "model")],
)
def test_reasons_name_the_culprit(error, reason):
    assert failure_of(error).reason == reason


class Broken(ArraySource):
    """A source whose file is damaged in the middle."""

    def blocks(self):
        yield self.samples[:, :50]
        raise InputError("cut off", reason="decoder")


def test_one_bad_input_fails_alone():
    good = [noise(1, 300, seed) for seed in range(3)]
    bad = Broken(good[0].samples, good[0].signal)
    ends = enhance([good[0], bad, good[1], good[2]], fake_models())
    assert ends[1].reason == "decoder"
    for source, result in zip(good, [ends[0], ends[2], ends[3]], strict=True):
        np.testing.assert_allclose(result, source.samples, atol=2e-6)


class FullDisk(ArraySink):
    def write(self, samples):
        raise OutputError("no space left")


def test_a_full_disk_is_told_apart_from_a_bad_input():
    (failure,) = enhance([noise(1, 300)], fake_models(), sinks=[FullDisk()])
    assert failure.exit_code == OutputError.exit_code


def test_unforeseen_errors_keep_their_traceback():
    failure = failure_of(ZeroDivisionError("oops"))
    assert failure.reason == "internal"
    assert "ZeroDivisionError" in failure.trace


@pytest.mark.parametrize("fixed", [False, True])
@pytest.mark.parametrize("frames", [1, 9, 10, 11, 55, 300])
def test_tokens_in_tokens_out(frames, fixed):
    codes = np.random.default_rng(0).integers(0, LEVELS, (2, 4, frames)).astype(np.int16)
    tokens = TokenFile(codes, "exact", 16000, 4, 2 * LEVELS, 16000, frames * 4, "x.wav")
    models = fake_models(fixed=fixed)
    saved = []
    tasks = [(0, lambda: EnhanceTokens(tokens, models, save=lambda t, levels: saved.append(t) or []))]
    Engine(
        models,
        3,
        lambda block: tasks.pop() if tasks else None,
        lambda k, f: None,
        lambda k, f: 1 / 0,
    ).run()
    assert (saved[0].codes == codes).all()


@given(st.lists(st.integers(1, 500)), st.integers(1, 20))
def test_a_batch_takes_the_longest_first_and_none_twice(lengths, size):
    batch = pick_batch(lengths, size)
    assert len(batch) == len(set(batch)) == min(size, len(lengths))
    rest = [length for i, length in enumerate(lengths) if i not in batch]
    assert all(lengths[i] >= max(rest, default=0) for i in batch)


def test_the_pool_stays_small_however_many_inputs_there_are():
    """A generator of inputs must be pulled as batches need them, not all at once."""
    opened = []
    models = fake_models()

    class Watched(ArraySource):
        def blocks(self):
            opened.append(1)
            assert len(opened) - len(done) <= (4 if BESIDE[0] else 2) * 4 + 2
            yield from super().blocks()

    waves = noise(1, 40).samples
    todo = [Watched(waves, Signal.of_array(waves, 16000)) for _ in range(100)]
    done = []

    def next_task(block):
        source = todo.pop() if todo else None
        return source and (0, lambda: EnhanceAudio(source, ArraySink(), models, SoundOptions()))

    def failed(key, failure):
        pytest.fail(str(failure))

    engine = Engine(models, 4, next_task, lambda key, result: done.append(key), failed, beside=BESIDE[0])
    engine.run()
    assert len(done) == 100


def test_the_codec_works_while_the_next_batch_is_generated():
    """Fails when a device waits for files to be decoded and written between two batches."""
    decoded = threading.Event()

    class Waiting(EchoTranslator):
        def translate(self, noisy, *args, **kwargs):
            if len(self.batches) == 1:
                assert decoded.wait(10)
            return super().translate(noisy, *args, **kwargs)

    models = fake_models(translator=Waiting())
    decode = models.codec.decode_rows

    def tell(codes, kept):
        decoded.set()
        return decode(codes, kept)

    models.codec.decode_rows = tell
    sources = [noise(1, 40, seed) for seed in range(8)]
    todo, done = list(enumerate(sources)), []

    def next_task(block):
        if not todo:
            return None
        key, source = todo.pop()
        return key, lambda: EnhanceAudio(source, ArraySink(), models, SoundOptions())

    Engine(models, 4, next_task, lambda key, result: done.append(key), pytest.fail, beside=True).run()
    assert sorted(done) == list(range(8))
    assert len(models.translator.batches) >= 2


def test_a_caller_that_leaves_ends_the_batch_under_way():
    """Fails when Ctrl-C waits for minutes until a batch that nobody wants is done."""
    steps = []

    class Slow(EchoTranslator):
        def translate(self, noisy, draws=None, on_frame=None):
            if self.batches:
                for step in range(1000):
                    on_frame(step)
                    steps.append(step)
                    time.sleep(0.01)
            return super().translate(noisy, draws, on_frame)

    def leave(key, result):
        raise KeyboardInterrupt

    models = fake_models(translator=Slow())
    sources = [noise(1, 40, seed) for seed in range(8)]

    def next_task(block):
        return (sources or None) and (
            0,
            lambda: EnhanceAudio(sources.pop(), ArraySink(), models, SoundOptions()),
        )

    with pytest.raises(KeyboardInterrupt):
        Engine(models, 4, lambda block: next_task(block) or None, leave, pytest.fail, beside=True).run()
    assert len(steps) < 900
