"""How float32 products are computed for codecs on a CUDA device; the previous settings are restored.

Changes process-wide settings of torch.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import torch

Precision = Literal["ieee", "tf32"]
_cudnn: Any = torch.backends.cudnn
_matmul: Any = torch.backends.cuda.matmul
_lock = threading.Lock()
_inside: list[Precision] = []
_before: dict[str, Any] = {}


@contextmanager
def float32_products(precision: Precision) -> Iterator[None]:
    """Convolutions and matrix products in float32 (`ieee`), or with inputs of 10-bit mantissa (`tf32`).

    `ieee` also takes algorithms that repeat their results. TF32 is cuDNN's default, and one code flipped by
    it changes all codebooks behind it. torch keeps these settings for the whole process, so the first thread
    that enters saves them and the last one that leaves puts them back; where one thread asks for `ieee` and
    another for `tf32`, both get `ieee`. Only `fp32_precision` is read and written: `allow_tf32` raises where
    the program has used the newer name. It also raises where convolutions and recurrent layers differ, so
    both are set.

    What remains: meanwhile other threads compute so too, and what they change of these settings is lost at
    the end. `torch.backends.cudnn.flags` in another thread sets the precision of all operations, so a codec
    that computes at that moment may use TF32 from there on.
    """
    with _lock:
        if not _inside:
            _before.update(
                conv=_cudnn.conv.fp32_precision,
                rnn=_cudnn.rnn.fp32_precision,
                matmul=_matmul.fp32_precision,
                deterministic=_cudnn.deterministic,
            )
        _inside.append(precision)
        _apply()
    try:
        yield
    finally:
        with _lock:
            _inside.remove(precision)
            _apply()


def _apply() -> None:
    exact = "ieee" in _inside
    now = "ieee" if exact else "tf32"
    found = {"conv": now, "rnn": now, "matmul": now, "deterministic": exact} if _inside else _before
    _cudnn.conv.fp32_precision = found["conv"]
    _cudnn.rnn.fp32_precision = found["rnn"]
    _matmul.fp32_precision = found["matmul"]
    _cudnn.deterministic = found["deterministic"]
