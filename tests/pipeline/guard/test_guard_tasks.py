"""Answers that are doubted: tried again, let through or refused, and told of."""

import numpy as np
import pytest
from fakes import LEVELS, EchoTranslator, fake_models, on_grid
from test_guard_verdict import speech

from dacse_cli.config import SoundOptions
from dacse_cli.errors import UsageError
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.task.enhance_audio import EnhanceAudio
from dacse_cli.pipeline.task.guarding import TRIES
from dacse_cli.pipeline.task.reading.sources import ArraySource, Signal
from dacse_cli.pipeline.task.tokens import EnhanceTokens
from dacse_cli.pipeline.task.writing.sinks import ArraySink
from dacse_cli.pipeline.wire.failures import Failure, failure_of
from dacse_cli.tokens.files import TokenFile

RATE, HOP = 16000, 4
CHUNK = RATE // HOP  # frames: one second


class LiarTranslator(EchoTranslator):
    """Says nothing where the chunk is one of `silenced` (by its first sample); honest from try `until` on."""

    def __init__(self, silenced, until=99):
        super().__init__()
        self.silenced, self.until = silenced, until
        self.asked, self.seeds = {}, []

    def translate(self, noisy, draws=None, on_frame=None):
        answers = super().translate(noisy, None, on_frame)
        self.seeds += [draw.seed for draw in draws or []]
        return [self._lie(answer) for answer in answers]

    def _lie(self, answer):
        key = hash(answer.tobytes())
        self.asked[key] = self.asked.get(key, 0) + 1
        first = tuple(answer.T.reshape(-1)[:8])
        if first not in self.silenced or self.asked[key] > self.until:
            return answer
        return np.full_like(answer, LEVELS)


def recording():
    wave = on_grid(np.concatenate([speech(2, seconds=2.0), speech(4, seconds=1.5)])[None] * 0.9)
    return ArraySource(wave, Signal.of_array(wave, RATE))


def liar_for(source, chunk, until=99):
    """A model that drops the words of one chunk."""
    models = fake_models(CHUNK, 200, 1000)
    span = models.grid.plan(source.samples.shape[1] // HOP)[chunk]
    codes = models.codec.encode(source.samples[:, span.start * HOP : span.stop * HOP])[0]
    translator = LiarTranslator({tuple(codes.T.reshape(-1)[:8])}, until)
    return fake_models(CHUNK, 200, 1000, translator), translator, span


def run(source, models, batch_size=2, **sound):
    sink, ends = ArraySink(), []
    tasks = [lambda: EnhanceAudio(source, sink, models, SoundOptions(**sound))]

    def next_task(block):
        return (0, tasks.pop()) if tasks else None

    failed = lambda k, error: ends.append(failure_of(error))  # noqa: E731
    Engine(models, batch_size, next_task, lambda k, end: ends.append(end), failed).run()
    (end,) = ends
    return sink.samples if not isinstance(end, Failure) else None, end


@pytest.mark.parametrize("batch_size", [1, 2, 8])
def test_a_dropped_second_comes_back_as_it_was(batch_size):
    source = recording()
    models, translator, span = liar_for(source, 1)
    samples, end = run(source, models, batch_size)
    np.testing.assert_allclose(samples, source.samples, atol=2e-6)
    guard = end.guard
    assert (guard.kept, guard.repaired, guard.passed_through) == (3, 0, 1)
    (stretch,) = guard.stretches
    assert stretch.start == pytest.approx(span.start * HOP / RATE)
    assert stretch.stop == pytest.approx(span.stop * HOP / RATE)
    assert stretch.reasons == ("dropped",)
    assert len(translator.seeds) == TRIES["normal"]


def test_the_same_dice_in_every_run():
    """A run that is repeated, in any batch, must sound the same."""
    source = recording()
    seeds = []
    for batch_size in (1, 4):
        models, translator, _ = liar_for(source, 2)
        run(source, models, batch_size)
        seeds.append(translator.seeds)
    assert seeds[0] == seeds[1] != []


def test_a_second_try_that_is_honest_is_a_repair():
    source = recording()
    models, _, _ = liar_for(source, 0, until=1)
    samples, end = run(source, models)
    np.testing.assert_allclose(samples, source.samples, atol=2e-6)
    assert (end.guard.kept, end.guard.repaired, end.guard.passed_through) == (3, 1, 0)
    assert end.guard.warnings() == []
    assert end.guard.stretches[0].outcome == "repaired"


def test_strict_fails_and_says_where():
    source = recording()
    models, translator, _ = liar_for(source, 1)
    samples, failure = run(source, models, guard="strict")
    assert samples is None
    assert (failure.reason, failure.exit_code, failure.trace) == ("unfaithful", 3, None)
    assert "0:00.95-0:01.95" in failure.message and "dropped" in failure.message
    assert len(translator.seeds) == TRIES["strict"]


def test_off_takes_what_comes():
    source = recording()
    models, translator, span = liar_for(source, 1)
    samples, end = run(source, models, guard="off")
    middle = slice((span.start + 300) * HOP, (span.stop - 300) * HOP)
    assert (samples[:, middle] == 0).all()
    assert end.guard is None and translator.seeds == []


def test_each_channel_is_judged_on_its_own():
    one = recording()
    wave = np.concatenate([one.samples, on_grid(one.samples * 0.5)])
    source = ArraySource(wave, Signal.of_array(wave, RATE))
    models, _, _ = liar_for(one, 1)
    samples, end = run(source, models)
    np.testing.assert_allclose(samples, wave, atol=2e-6)
    assert (end.guard.kept, end.guard.passed_through) == (7, 1)
    assert [s.row for s in end.guard.stretches] == [0]


def test_a_peak_above_full_scale_passes_through_at_its_level():
    one = recording()
    wave = one.samples * 4 / np.abs(one.samples).max()
    source = ArraySource(wave, Signal.of_array(wave, RATE))
    inner = ArraySource(wave / 4, one.signal)
    models, _, _ = liar_for(inner, 1)
    samples, end = run(source, models)
    assert end.guard.passed_through == 1
    np.testing.assert_allclose(samples, wave, atol=8 / LEVELS)


@pytest.mark.parametrize("guard", ["normal", "off"])
def test_token_files_are_guarded_too(guard):
    source = recording()
    models, _, span = liar_for(source, 1)
    codes = models.codec.encode(source.samples)
    tokens = TokenFile(codes, "exact", RATE, HOP, 2 * LEVELS, RATE, source.samples.shape[1], "x.wav")
    saved, ends = [], []
    tasks = [lambda: EnhanceTokens(tokens, models, save=lambda t, levels: saved.append(t) or [], guard=guard)]

    def next_task(block):
        return (0, tasks.pop()) if tasks else None

    Engine(models, 2, next_task, lambda k, end: ends.append(end), lambda k, f: 1 / 0).run()
    same = (saved[0].codes == codes).all(axis=(0, 1))
    if guard == "off":
        assert not same[span.start + 200 : span.stop - 200].any() and ends[0].guard is None
    else:
        assert same.all()
        assert (ends[0].guard.kept, ends[0].guard.passed_through) == (3, 1)


def test_an_unknown_mode_is_refused():
    with pytest.raises(UsageError, match="`guard` perhaps"):
        SoundOptions(guard="perhaps").check()
