"""The real worker with networks that cost nothing: what goes in comes out, to 1/16384."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from dacse_cli.codec.windowed import WindowedCodec
from dacse_cli.interfaces import CodecSpec, Codes
from dacse_cli.pipeline.children import model as worker
from dacse_cli.pipeline.task.chunks import ChunkGrid
from dacse_cli.pipeline.task.task import Chain
from dacse_cli.pipeline.wire.process import serve
from dacse_cli.tokens.layout import TokenLayout

HALF = 16384
HOP = 320
"""Samples a frame; each is a code of its own, 27 times as many as `nano` has."""


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


def echo(prompts: list[np.ndarray], *args: Any, **options: Any) -> list[np.ndarray]:
    """The noisy tokens, as if the model had written them."""
    return [prompt[1:-1] for prompt in prompts]


def chain() -> Chain:
    lm: Any = SimpleNamespace(
        generate=echo, device="cpu", dtype="none", describe=lambda: "nothing", release=lambda: None
    )
    grid = ChunkGrid(40, 2, 10)
    return Chain(NoCodec(), lm, TokenLayout(HOP, 2 * HALF), grid, "none")


if __name__ == "__main__":
    worker.load_chain = lambda files: chain()
    worker.fitting_batch = lambda files, chain: 16
    worker.share_cores = lambda chain, workers: False
    serve(worker.handle)
