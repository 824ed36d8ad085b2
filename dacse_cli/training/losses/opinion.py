"""DNSMOS P.835 as a loss: predicted listener ratings of speech, noise and both, with a gradient.

The published network (Reddy et al., 2022), whose weights lie in the package `speechmos` (`dacse[evaluate]`)
as ONNX, computed by torch: convolutions over log-power spectra. `tests/training/test_losses.py` checks it
against onnxruntime. A network that is trained for a score alone loses words, so the score is added to a
distance to the clean speech with a small weight.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dacse_cli.errors import UsageError

SAMPLES = 144_160
"""Samples of a rated signal: 9.01 s at 16 kHz."""
HOP, BINS = 160, 161
CONVOLUTIONS, POOLED = 7, (3, 4, 5)
DENSE = ("dense", "dense_1", "dense_3")
_PLACE = "mos_estimator_logpow/"
CURVES = (
    (-0.08397278, 1.22083953, 0.0052439),
    (-0.13166888, 1.60915514, -0.39604546),
    (-0.06766283, 1.11546468, 0.04602535),
)
"""Published polynomials from the network's outputs to SIG, BAK and OVRL."""
_SIZE = 1 << 25


class Opinion(nn.Module):
    """Speech [B, 144160] at 16 kHz -> SIG, BAK and OVRL [B, 3], 1 to 5."""

    def __init__(self) -> None:
        """Raises `UsageError` where `speechmos` is not installed."""
        super().__init__()
        found = dict(_tensors(_published().read_bytes()))
        constant = {name: float(value.reshape(-1)[0]) for name, value in found.items() if value.size == 1}
        self._power = constant[f"{_PLACE}pow/y:0"]
        self._least = constant[f"{_PLACE}Maximum/x:0"]
        self._scale = constant[f"{_PLACE}truediv/y:0"]
        both = [found[f"time2freq/stft-{part}/kernel:0"] for part in ("real", "imag")]
        self.register_buffer("transform", torch.from_numpy(np.concatenate(both)[..., 0].copy()))
        for index in range(CONVOLUTIONS):
            name = f"conv2d_{index}" if index else "conv2d"
            self.register_buffer(f"kernel{index}", torch.from_numpy(found[f"{name}/kernel:0"]))
            self.register_buffer(f"bias{index}", torch.from_numpy(found[f"{name}/bias:0"]))
        for index, name in enumerate(DENSE):
            weight = found[f"{_PLACE}{name}/MatMul/ReadVariableOp/resource:0"]
            self.register_buffer(f"dense{index}", torch.from_numpy(weight))
            bias = found[f"{_PLACE}{name}/BiasAdd/ReadVariableOp/resource:0"]
            self.register_buffer(f"offset{index}", torch.from_numpy(bias))

    def forward(self, speech: Tensor) -> Tensor:
        """See the class."""
        spectra = speech.unfold(1, 2 * HOP, HOP) @ self.get_buffer("transform").T
        power = spectra[..., :BINS].square() + spectra[..., BINS:].square() + 1e-12
        x = power.sqrt().pow(self._power).clamp_min(self._least).log() / self._scale
        x = x[:, None].contiguous(memory_format=torch.channels_last)
        for index in range(CONVOLUTIONS):
            kernel, bias = self.get_buffer(f"kernel{index}"), self.get_buffer(f"bias{index}")
            x = F.relu(F.conv2d(x, kernel.to(x.dtype), bias.to(x.dtype), padding=1))
            if index in POOLED:
                x = F.max_pool2d(x, 2)
        x = x.float().amax(dim=(2, 3))
        for index in range(len(DENSE)):
            x = x @ self.get_buffer(f"dense{index}") + self.get_buffer(f"offset{index}")
            x = F.relu(x) if index < len(DENSE) - 1 else x
        return torch.stack(
            [a * s * s + b * s + c for (a, b, c), s in zip(CURVES, x.unbind(1), strict=True)], 1
        )


def _published() -> Path:
    spec = importlib.util.find_spec("speechmos")
    if spec is None or spec.origin is None:
        raise UsageError(
            "stage.opinion needs the package speechmos",
            hint="Install the extra: pip install 'dacse[evaluate]'",
        )
    path = Path(spec.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    if path.stat().st_size > _SIZE:
        raise UsageError(f"{path} is not the published network")
    return path


def _tensors(model: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Names and values of the float tensors of an ONNX file (field 7, graph; in it field 5, initializer)."""
    for number, graph in _fields(model):
        for inner, tensor in _fields(graph) if number == 7 and isinstance(graph, bytes) else ():
            if inner == 5 and isinstance(tensor, bytes):
                shape, name, kind, raw = list[int](), "", 0, b""
                for part, value in _fields(tensor):
                    if part == 1:
                        shape += [value] if isinstance(value, int) else [v for v, _ in _numbers(value)]
                    elif part == 2 and isinstance(value, int):
                        kind = value
                    elif part == 8 and isinstance(value, bytes):
                        name = value.decode()
                    elif part in (4, 9) and isinstance(value, bytes):
                        raw = value
                if kind == 1:
                    yield name, np.frombuffer(raw, "<f4").reshape(shape).copy()


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values of a protobuf message: whole numbers, or bytes."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
            continue
        size, at = _varint(message, at) if kind == 2 else (8 if kind == 1 else 4, at)
        yield number, message[at : at + size]
        at += size


def _numbers(packed: bytes) -> Iterator[tuple[int, int]]:
    at = 0
    while at < len(packed):
        value, at = _varint(packed, at)
        yield value, at


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at
