"""Exact float32 products for codecs on a CUDA device; the previous settings are restored.

Changes process-wide settings of torch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

_cudnn: Any = torch.backends.cudnn
_matmul: Any = torch.backends.cuda.matmul
_lock = threading.Lock()
_entered = 0
_before: dict[str, Any] = {}


@contextmanager
def exact_float32() -> Iterator[None]:
    """Convolutions and matrix products without TF32, by algorithms that repeat their results.

    TF32 is cuDNN's default, and one code flipped by it changes all codebooks behind it. torch keeps these
    settings for the whole process, so the first thread that enters saves them and the last one that leaves
    puts them back. Only `fp32_precision` is read and written: `allow_tf32` raises where the program has
    used the newer name. It also raises where convolutions and recurrent layers differ, so both are set.

    What remains: meanwhile other threads compute without TF32 too, and what they change of these settings is
    lost at the end. `torch.backends.cudnn.flags` in another thread sets the precision of all operations, so
    a codec that computes at that moment may use TF32 from there on.
    """
    _enter()
    try:
        yield
    finally:
        _leave()


def _enter() -> None:
    global _entered
    with _lock:
        if not _entered:
            _before.update(
                conv=_cudnn.conv.fp32_precision,
                rnn=_cudnn.rnn.fp32_precision,
                matmul=_matmul.fp32_precision,
                deterministic=_cudnn.deterministic,
            )
            for part in (_cudnn.conv, _cudnn.rnn, _matmul):
                part.fp32_precision = "ieee"
            _cudnn.deterministic = True
        _entered += 1


def _leave() -> None:
    global _entered
    with _lock:
        _entered -= 1
        if not _entered:
            _cudnn.conv.fp32_precision = _before["conv"]
            _cudnn.rnn.fp32_precision = _before["rnn"]
            _matmul.fp32_precision = _before["matmul"]
            _cudnn.deterministic = _before["deterministic"]
