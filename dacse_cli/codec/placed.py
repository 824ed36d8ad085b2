"""A codec whose rows are computed by a network on one device."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dacse_cli.codec.numerics import Precision, float32_products
from dacse_cli.codec.windowed import WindowedCodec
from dacse_cli.interfaces import CodecSpec, Samples, Units

ROWS_ON_ACCELERATOR = 8
"""Rows computed at once there; on the CPU one at a time, which bounds memory."""


class NetworkCodec(WindowedCodec):
    """Numpy outside, torch tensors on `device` inside.

    `decoding` is the precision of products when decoding on CUDA; encoding is exact, as TF32 flips codes.
    """

    decoding: Precision = "ieee"

    def __init__(self, spec: CodecSpec, device: str = "cpu") -> None:
        super().__init__(spec, device)
        self._cuda = torch.device(device).type == "cuda"
        self._stream: torch.cuda.Stream | None = None
        if torch.device(device).type != "cpu":
            self.rows = ROWS_ON_ACCELERATOR

    @abstractmethod
    def encode_tensor(self, samples: Tensor) -> Tensor:
        """Units `[R, U, t]` of samples `[R, t * hop]`, both on the device."""

    @abstractmethod
    def decode_tensor(self, units: Tensor, kept: slice) -> Tensor:
        """Samples `[R, kept * hop]` of the frames `kept` of units `[R, U, t]`, both on the device."""

    def check_units(self, units: NDArray[Any]) -> None:
        """Raise `InputError` for units `[R, U, t]` that are not this codec's."""

    def encode_rows(self, samples: Samples) -> Units:
        with self._computing("ieee"):
            return self.encode_tensor(self._placed(samples)).cpu().numpy()

    def decode_rows(self, units: Units, kept: slice) -> Samples:
        self.check_units(units)
        if units.dtype == np.float16:  # latents may be stored so
            units = units.astype(np.float32)
        with self._computing(self.decoding):
            samples: Samples = self.decode_tensor(self._placed(units), kept).cpu().numpy()
            return samples

    def _placed(self, rows: NDArray[Any]) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(rows)).to(self.device)

    @contextmanager
    def _computing(self, precision: Precision) -> Iterator[None]:
        """On CUDA: products of this precision, on a stream apart from the language model's in another thread.

        Inputs come from the host and results go there, so nothing else has to wait for this stream.
        """
        if not self._cuda:
            with torch.inference_mode():
                yield
            return
        if self._stream is None:
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        with torch.inference_mode(), float32_products(precision), torch.cuda.stream(self._stream):
            yield
