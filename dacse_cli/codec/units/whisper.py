"""Whisper's encoder: samples -> features, 50 per second; and its weights out of a CTranslate2 file.

Of a CTranslate2 folder (`model.bin`, as faster-whisper uses) only the encoder's float16 or float32 tensors
are read; nothing in the file is executed. The features equal CTranslate2's own within its 8-bit rounding (4 %
mean difference, tiny.en). Differentiable: `dacse train` uses it as a loss, too.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dacse_cli.codec.mel_filters import mel_filters
from dacse_cli.codec.units.shape import SAMPLE_RATE, WhisperShape
from dacse_cli.errors import CheckpointError
from dacse_cli.weights.outline import outline
from dacse_cli.weights.stored import Shape, check_shapes

WINDOW, HOP = 400, 160
"""Of the spectrogram, samples. The second convolution halves its rate."""
RANGE = 8.0
"""Range of the spectrogram below its loudest bin, in decades of power."""
FILE = "model.bin"
VERSION = 6
"""Version of the binary format."""
FORMATS: dict[int, type[np.generic]] = {0: np.float32, 4: np.float16}
MOST_TENSORS, MOST_DIMENSIONS, MOST_BYTES = 100_000, 8, 1 << 32
"""Limits for a plausible Whisper model."""
_LAYER = re.compile(r"layer_(\d+)/")
_NAMES = (
    ("self_attention/linear_0", "attention.joint"),
    ("self_attention/linear_1", "attention.out"),
    ("self_attention/layer_norm", "attention.norm"),
    ("ffn/linear_0", "inner.up"),
    ("ffn/linear_1", "inner.down"),
    ("ffn/layer_norm", "inner.norm"),
    ("layer_norm", "norm"),
    ("position_encodings/encodings", "positions"),
    ("/gamma", "/weight"),
    ("/beta", "/bias"),
)
"""CTranslate2's names -> ours, in this order."""


class WhisperEncoder(nn.Module):
    """Samples `[B, T * 320]` at 16 kHz -> features `[B, T, width]`, T at most the encoder's positions."""

    def __init__(self, shape: WhisperShape) -> None:
        super().__init__()
        width = shape.width
        self.conv1 = nn.Conv1d(shape.bands, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=2, padding=1)
        self.positions = nn.Parameter(torch.zeros(shape.positions, width))
        self.layers = nn.ModuleList(_Layer(width, shape.heads, shape.inner) for _ in range(shape.layer))
        self.norm = nn.LayerNorm(width)
        filters = mel_filters(SAMPLE_RATE, WINDOW, shape.bands).float()
        self._fixed = filters, torch.hann_window(WINDOW, device="cpu")

    def forward(self, samples: Tensor) -> Tensor:
        """Features of the last layer that there is, through the encoder's closing norm."""
        return self.features(self.spectrum(samples)[0])[-1]

    def spectrum(
        self, samples: Tensor, loudest: Tensor | None = None, decades: float = RANGE
    ) -> tuple[Tensor, Tensor]:
        """Log-mel spectrogram `[B, bands, 2 T]` of samples `[B, S]`, and its loudest bin `[B, 1, 1]`.

        Bins more than `decades` below the loudest one, or below `loudest`, are raised to that value.
        """
        bank, taper = (tensor.to(samples.device) for tensor in self._fixed)
        stft = torch.stft(samples.float(), WINDOW, HOP, window=taper, return_complex=True)[..., :-1]
        mel = (bank @ stft.abs().square()).clamp(min=1e-10).log10()
        top = mel.amax((1, 2), keepdim=True) if loudest is None else loudest
        return (torch.maximum(mel, top - decades) + 4.0) / 4.0, top

    def features(self, spectrum: Tensor) -> list[Tensor]:
        """Output of the convolutions and of each layer, `[B, T, width]` each; the last one normalised."""
        hidden = F.gelu(self.conv2(F.gelu(self.conv1(spectrum)))).transpose(1, 2)
        found = [hidden + self.positions[: hidden.shape[1]]]
        for layer in self.layers:
            found.append(layer(found[-1]))
        return [*found[:-1], self.norm(found[-1])]


class _Attention(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm, self.joint, self.out = (
            nn.LayerNorm(width),
            nn.Linear(width, 3 * width),
            nn.Linear(width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        B, T, width = x.shape
        q, k, v = self.joint(self.norm(x)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, width)
        return self.out(mixed)  # type: ignore[no-any-return]


class _Inner(nn.Module):
    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.norm, self.up, self.down = (
            nn.LayerNorm(width),
            nn.Linear(width, inner),
            nn.Linear(inner, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.down(F.gelu(self.up(self.norm(x))))  # type: ignore[no-any-return]


class _Layer(nn.Module):
    def __init__(self, width: int, heads: int, inner: int) -> None:
        super().__init__()
        self.attention, self.inner = _Attention(width, heads), _Inner(width, inner)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x + self.inner(x)  # type: ignore[no-any-return]


def read_whisper(folder: Path, layer: int | None = None) -> tuple[WhisperShape, dict[str, Tensor]]:
    """Shape and float32 tensors of the encoder in a CTranslate2 folder, up to `layer` (None: all layers).

    Raises `CheckpointError`.
    """
    path = folder / FILE
    found = {_name(name): tensor for name, tensor in read_encoder(path)}
    layers = sum(name.endswith("inner.norm.weight") for name in found)
    if layer is not None and layer > layers > 0:
        raise CheckpointError(f"{path} has {layers} layers, layer {layer} was asked for")
    try:
        shape = WhisperShape(
            layer=layers if layer is None else layer,
            width=len(found["conv2.bias"]),
            inner=len(found["layers.0.inner.up.bias"]),
            bands=found["conv1.weight"].shape[1],
            positions=len(found["positions"]),
        )
    except (KeyError, IndexError) as error:
        raise CheckpointError(
            f"{path} holds no Whisper encoder in float16 or float32",
            hint="Convert the model with ct2-transformers-converter --quantization float16.",
        ) from error
    weights = {name: tensor for name, tensor in found.items() if _layer_of(name) < shape.layer}
    with outline():
        expected = WhisperEncoder(shape).state_dict()
    check_shapes(_shapes(weights), _shapes(expected), CheckpointError)
    return shape, weights


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, Shape]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def _layer_of(name: str) -> int:
    """Layer that a tensor belongs to; -1 for the rest of the encoder."""
    parts = name.split(".")
    return int(parts[1]) if parts[0] == "layers" else -1


def _name(name: str) -> str:
    """Our name for a tensor of CTranslate2's."""
    name = _LAYER.sub(r"layers/\1/", name)
    for theirs, ours in _NAMES:
        name = name.replace(theirs, ours)
    return name.replace("/", ".")


def read_encoder(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Names below `encoder/` and float32 tensors of a CTranslate2 model file. Raises `CheckpointError`."""
    try:
        with path.open("rb") as file:
            version, _, _, count = _take(file, "I")[0], _text(file), _take(file, "I"), _take(file, "I")[0]
            if version != VERSION:
                raise CheckpointError(f"{path} is of version {version}, not {VERSION}")
            for _ in range(_bounded(count, MOST_TENSORS)):
                name = _text(file)
                shape = _take(file, f"{_bounded(_take(file, 'B')[0], MOST_DIMENSIONS)}I")
                form, size = _take(file, "B")[0], _bounded(_take(file, "I")[0], MOST_BYTES)
                if not name.startswith("encoder/") or form not in FORMATS:
                    file.seek(size, 1)
                    continue
                array = np.frombuffer(file.read(size), FORMATS[form]).astype(np.float32).reshape(shape)
                yield name.removeprefix("encoder/"), torch.from_numpy(array)
    except (OSError, struct.error, ValueError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is no CTranslate2 model: {error}") from error


def _take(file: BinaryIO, form: str) -> tuple[int, ...]:
    size = struct.calcsize("<" + form)
    return struct.unpack("<" + form, file.read(size))


def _text(file: BinaryIO) -> str:
    (length,) = _take(file, "H")
    return file.read(length)[:-1].decode()


def _bounded(number: int, most: int) -> int:
    if number > most:
        raise ValueError(f"{number} is more than {most}")
    return number
