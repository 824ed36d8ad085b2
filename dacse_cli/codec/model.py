"""A codec as two calls on arrays: samples -> codes, codes -> samples, in windows that leave no trace.

Knows its network only by `Network`, and no files of audio. The first `T*hop - decode_tail` samples of a
decode are those of one pass over the whole recording; the tail, which the transposed convolutions of odd
strides do not make, is zeros, so that T frames always are T*hop samples.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dacse_cli.codec.checkpoint import read_weights
from dacse_cli.codec.network import DacNetwork, Network
from dacse_cli.codec.shape import read_shape
from dacse_cli.codec.spec import CodecSpec
from dacse_cli.codec.stream import DecodeStream, EncodeStream
from dacse_cli.codec.windows import WINDOW_SECONDS
from dacse_cli.errors import DeviceError, InputError

Value = TypeVar("Value", bound=np.generic)

_ROWS = 8
"""Channels computed at once on an accelerator; on the CPU one at a time, which bounds memory."""


class Codec:
    """Samples [C, S] <-> codes [C, K, T]; the same codes whatever the window, up to float rounding."""

    def __init__(self, network: Network, spec: CodecSpec, device: str = "cpu") -> None:
        self.spec = spec
        self.device = device
        self._network = network
        self._stream: torch.cuda.Stream | None = None
        self._rows = 1 if torch.device(device).type == "cpu" else _ROWS

    def encode(
        self, samples: NDArray[np.float32], window_seconds: float = WINDOW_SECONDS
    ) -> NDArray[np.int16]:
        """Codes [C, K, T] of samples [C, S], finite, at the codec's rate; T = ceil(S / hop)."""
        frames = self.spec.seconds_to_frames(window_seconds)
        stream = EncodeStream(self, channels=samples.shape[0], window_frames=frames)
        return np.concatenate([stream.push(samples), stream.finish()], axis=2)

    def decode(self, codes: NDArray[np.int16], window_seconds: float = WINDOW_SECONDS) -> NDArray[np.float32]:
        """Samples [C, T*hop] of codes [C, k, T], k <= K codebooks. Raises `InputError` 'bad-codes'."""
        frames = self.spec.seconds_to_frames(window_seconds)
        stream = DecodeStream(self, channels=codes.shape[0], window_frames=frames)
        return np.concatenate([stream.push(codes), stream.finish()], axis=1)

    def encode_window(self, samples: NDArray[np.float32]) -> NDArray[np.int16]:
        """Codes [C, K, t] of samples [C, t*hop] in one pass, as if they were a whole recording."""
        return self._by_rows(self._encode_rows, samples, np.int16)

    def decode_window(self, codes: NDArray[np.int16]) -> NDArray[np.float32]:
        """Samples [C, t*hop - decode_tail] of codes [C, k, t] in one pass."""
        self._check_codes(codes)
        return self._by_rows(self._decode_rows, codes, np.float32)

    def _encode_rows(self, rows: Tensor) -> Tensor:
        return self._network.encode(rows[:, None]).to(torch.int16)

    def _decode_rows(self, rows: Tensor) -> Tensor:
        return self._network.decode(rows.to(torch.int64))

    def _by_rows(
        self, compute: Callable[[Tensor], Tensor], array: NDArray[Any], dtype: type[Value]
    ) -> NDArray[Value]:
        parts: list[NDArray[Value]] = []
        with torch.inference_mode(), self._exact_convolutions(), self._own_stream():
            for low in range(0, array.shape[0], self._rows):
                rows = torch.tensor(array[low : low + self._rows], device=self.device)
                parts.append(compute(rows).cpu().numpy().astype(dtype, copy=False))
        return np.concatenate(parts)

    def _exact_convolutions(self) -> AbstractContextManager[None]:
        """TF32 off: it is cuDNN's default, and one code flipped by it changes all deeper codebooks.

        Only algorithms whose result is the same every time.
        """
        if torch.device(self.device).type != "cuda":
            return nullcontext()
        return torch.backends.cudnn.flags(enabled=True, deterministic=True, allow_tf32=False)

    def _own_stream(self) -> AbstractContextManager[object]:
        """On CUDA, work apart from the language model's, which may run in another thread meanwhile.

        Inputs come from the host and results go there, so nothing else has to wait for this stream.
        """
        if torch.device(self.device).type != "cuda":
            return nullcontext()
        if self._stream is None:
            self._stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        return torch.cuda.stream(self._stream)

    def _check_codes(self, codes: NDArray[np.int16]) -> None:
        """An index out of range ends a GPU's context for good, so it must not get there."""
        K, size = self.spec.n_codebooks, self.spec.codebook_size
        if not 1 <= codes.shape[1] <= K:
            raise InputError(f"{codes.shape[1]} codebooks, but {self.spec.name} has {K}", reason="bad-codes")
        if codes.size and (codes.min() < 0 or codes.max() >= size):
            raise InputError(
                f"codes from {codes.min()} to {codes.max()}, but {self.spec.name} knows 0 to {size - 1}",
                reason="bad-codes",
            )


def load_codec(folder: Path, *, device: str = "cpu", name: str | None = None) -> Codec:
    """The codec in `folder` (config.json and safetensors of a `DacModel`), in float32 on `device`.

    Raises `CodecError` for files that are missing, damaged or of another kind, `DeviceError` for a device
    that cannot hold it.
    """
    shape = read_shape(folder)
    weights = read_weights(folder)
    network = DacNetwork(shape, weights)
    try:
        network.to(device)
    except (RuntimeError, AssertionError) as error:  # torch: no such device, or out of memory
        raise DeviceError(f"cannot put the codec on {device}: {error}") from error
    return Codec(network, shape.spec(name or folder.name), device)
