"""A worker process without models: copies samples through the real writer, in `STUB_SECONDS` per file.

Like the real one it keeps its chunks (here the samples of a tenth of the file each) and takes over those
that a killed run has kept. A file named `never-ends` is never finished.
"""

import os
import time
from pathlib import Path

import numpy as np
from fake_children import copy

from dacse_cli.errors import DacseError
from dacse_cli.pipeline.engine.chunk_cache import ChunkCache
from dacse_cli.pipeline.record.chunk_cache import binding
from dacse_cli.pipeline.wire.failures import failure_of
from dacse_cli.pipeline.wire.messages import Advanced, End, Failed, Loaded, Ready, Started
from dacse_cli.pipeline.wire.outcome import Finished
from dacse_cli.pipeline.wire.process import serve

CHUNKS = 10


class Chunk:
    """The place of a chunk and some units that follow from it."""

    def __init__(self, index):
        self.index, self.row, self.attempt, self.draw = index, 0, 0, None
        self.units = np.full((2, 50), index, np.int16)


def generate(work, pause):
    """What a model would be busy with; how many chunks had been kept."""
    cache = ChunkCache(work.keep.path, binding(work.keep))
    recalled = 0
    for index in range(CHUNKS):
        output = cache.recall(Chunk(index))
        assert output is None or (output == -index).all()
        recalled += output is not None
        if output is None:
            time.sleep(pause / CHUNKS)
            cache.keep(Chunk(index), -Chunk(index).units)
    cache.close()
    return recalled


def work_on(work, pause):
    """The message that ends a job."""
    while "never-ends" in work.source.name:
        time.sleep(60)
    try:
        recalled = generate(work, pause)
        files, seconds = copy(work)
    except DacseError as error:
        return Failed(work.id, failure_of(error))
    return Ready(work.id, Finished(files, seconds, resumed=seconds * recalled / CHUNKS))


def handle(messages, answer):
    next(messages)
    pause = float(os.environ.get("STUB_SECONDS", "0"))
    if pids := os.environ.get("STUB_PIDS"):
        Path(pids).write_text(str(os.getpid()))
    time.sleep(pause)  # to load
    answer(Loaded(2, 1.0, "a copier"))
    done = 0.0
    for work in messages:
        if isinstance(work, End):
            return
        answer(Started(work.id))
        end = work_on(work, pause)
        if isinstance(end, Ready):
            done += end.finished.seconds
            answer(Advanced(done))
        answer(end)


if __name__ == "__main__":
    serve(handle)
