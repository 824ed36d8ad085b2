"""A worker process without models: copies samples through the real writer, at `STUB_SECONDS` a file.

Like the real one it keeps its chunks (here the samples of a tenth of the file each) and takes over those
that a killed run has kept. A file named `never-ends` is never finished.
"""

import os
import time
from pathlib import Path

import numpy as np
from fake_children import copy

from dacse_cli.errors import DacseError
from dacse_cli.pipeline.engine.chunk_cache import KeptAnswers
from dacse_cli.pipeline.wire.process import serve

CHUNKS = 10


class Chunk:
    """The place of a chunk and some codes that follow from it."""

    def __init__(self, index):
        self.index, self.row, self.attempt, self.draw = index, 0, 0, None
        self.codes = np.full((2, 50), index, np.int16)


def generate(job, pause):
    """What a model would be busy with; how many chunks had been kept."""
    kept = KeptAnswers(Path(job["keep"]["path"]), job["keep"]["binding"])
    recalled = 0
    for index in range(CHUNKS):
        answer = kept.recall(Chunk(index))
        assert answer is None or (answer == -index).all()
        recalled += answer is not None
        if answer is None:
            time.sleep(pause / CHUNKS)
            kept.keep(Chunk(index), -Chunk(index).codes)
    kept.close()
    return recalled


def work(job, pause, before):
    """The messages that end a job; `before` are the seconds of audio done so far."""
    while "never-ends" in job["source"]:
        time.sleep(60)
    try:
        recalled = generate(job, pause)
        files, seconds = copy(job)
    except DacseError as error:
        facts = {"reason": getattr(error, "reason", "output"), "message": error.message, "hint": error.hint}
        return [{"type": "failed", "id": job["id"], **facts, "exit_code": error.exit_code, "trace": None}]
    done = {"files": files, "seconds": seconds, "warnings": [], "resumed": seconds * recalled / CHUNKS}
    return [{"type": "progress", "seconds": before + seconds}, {"type": "ready", "id": job["id"], **done}]


def handle(commands, answer):
    next(commands)
    pause = float(os.environ.get("STUB_SECONDS", "0"))
    if pids := os.environ.get("STUB_PIDS"):
        Path(pids).write_text(str(os.getpid()))
    time.sleep(pause)  # to load
    answer({"type": "loaded", "batch": 2, "stride_seconds": 1.0, "chunk_seconds": 1.0, "runs": "a copier"})
    done = 0.0
    for command in commands:
        if command["type"] == "end":
            return
        answer({"type": "started", "id": command["id"]})
        for message in work(command, pause, done):
            done = message["seconds"] if message["type"] == "progress" else done
            answer(message)


if __name__ == "__main__":
    serve(handle)
