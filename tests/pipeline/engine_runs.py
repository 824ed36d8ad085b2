"""Recordings through the engine, with models that change nothing."""

import numpy as np
from fakes import on_grid

from dacse_cli.config import SoundOptions
from dacse_cli.pipeline.engine.engine import Engine
from dacse_cli.pipeline.task.open import enhance_task
from dacse_cli.pipeline.task.reading.sources import ArraySource, Signal
from dacse_cli.pipeline.task.writing.sinks import ArraySink
from dacse_cli.pipeline.wire.failures import failure_of

BESIDE = [False]
"""Whether chunks are translated in a thread of their own."""


def noise(channels, samples, seed=0, rate=16000):
    wave = np.random.default_rng(seed).uniform(-0.5, 0.5, (channels, samples))
    wave = on_grid(wave)
    return ArraySource(wave, Signal.of_array(wave, rate))


def enhance(sources, models, batch_size=4, sound=None, sinks=None):
    """Outcome of each source: samples `[C, S]` or a Failure."""
    sound = sound or SoundOptions()
    sinks = sinks or [ArraySink() for _ in sources]
    todo = list(enumerate(zip(sources, sinks, strict=True)))[::-1]
    ends = {}

    def next_task(block):
        if not todo:
            return None
        key, (source, sink) = todo.pop()
        return key, lambda: enhance_task(source, sink, models, sound)

    def finished(key, result):
        assert key not in ends
        ends[key] = sinks[key].samples

    def failed(key, error):
        ends[key] = failure_of(error)

    engine = Engine(models, batch_size, next_task, finished, failed, beside=BESIDE[0])
    engine.run()
    return [ends[key] for key in range(len(sources))]
