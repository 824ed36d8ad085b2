"""The real worker with models that cost nothing: what goes in comes out, to 1/16384."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from dacse_cli.codec.windowed import WindowedCodec
from dacse_cli.interfaces import CodecSpec, Codes, Translator
from dacse_cli.pipeline.children import model as worker
from dacse_cli.pipeline.engine.threads import Threads
from dacse_cli.pipeline.task.chunks import ChunkGrid
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.wire.process import serve

HALF = 16384
HOP = 320
"""Samples per frame; each is a code of its own, 27 times as many as `nano` has."""


class NoCodec(WindowedCodec):
    """`[C, S]` -> `[C, HOP, S / HOP]` and back."""

    def __init__(self) -> None:
        super().__init__(CodecSpec("none", 16000, HOP, Codes(HOP, 2 * HALF), 0, 0))

    def encode_rows(self, samples: np.ndarray) -> np.ndarray:
        codes = np.clip(np.rint(samples * HALF), -HALF, HALF - 1) + HALF
        return codes.astype(np.int16).reshape(len(samples), -1, HOP).transpose(0, 2, 1)

    def decode_rows(self, codes: np.ndarray, kept: slice) -> np.ndarray:
        frames = codes[..., kept].transpose(0, 2, 1).reshape(len(codes), -1)
        return (frames.astype(np.float32) - HALF) / HALF


class Echo:
    """Answers with the noisy codes, as if a model had written them."""

    device, redraws, weight_bytes = "cpu", True, 0

    def translate(self, noisy: list[np.ndarray], *_: Any) -> list[np.ndarray]:
        return noisy

    def describe(self) -> str:
        return "nothing"

    def release(self) -> None:
        pass


def models(_: object) -> Models:
    return Models(NoCodec(), cast(Translator, Echo()), None, ChunkGrid(40, 2, 10), "none")


if __name__ == "__main__":
    worker.load_models = models
    worker.fitting_batch = lambda plan, models: 16
    worker.prepared_batch = lambda models, rows: rows
    worker.plan_threads = lambda models, sharing: Threads(None, beside=False)
    serve(worker.handle)
