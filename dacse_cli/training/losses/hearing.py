"""How differently a speech recogniser's encoder represents two signals: Whisper's, frozen, as a loss.

Spectral losses weight loud parts most, but words depend on quiet ones too; a recogniser's features emphasise
what distinguishes words. Weights come from a CTranslate2 folder (`model.bin`, as faster-whisper uses), of
which only the encoder's float16 or float32 tensors are read; nothing in the file is executed. The features
equal CTranslate2's own within its 8-bit rounding (4 % mean difference, tiny.en).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dacse_cli.errors import CheckpointError
from dacse_cli.training.losses.spectra import mel_filters

RATE, WINDOW, HOP, BINS = 16000, 400, 160, 80
VERSION = 6
"""Version of the binary format."""
FORMATS: dict[int, type[np.generic]] = {0: np.float32, 4: np.float16}
RANGE = 5.0
"""Range below the loudest bin, in decades; with Whisper's own 8 the gradient was dominated by pauses."""
MOST_TENSORS, MOST_DIMENSIONS, MOST_BYTES = 100_000, 8, 1 << 32
"""Limit for a plausible Whisper model."""


class Hearing(nn.Module):
    """Distance of an estimate [B, S] from its target [B, S], 16 kHz. Raises `CheckpointError`."""

    def __init__(self, folder: Path, head_width: int = 64) -> None:
        super().__init__()
        self._head_width = head_width
        for name, tensor in read_encoder(folder / "model.bin"):
            self.register_buffer(_key(name), tensor, persistent=False)
        names = [name for name, _ in self.named_buffers()]
        self._layers = sum(name.endswith(_key("ffn/layer_norm/gamma")) for name in names)
        needed = [f"{layer}/{part}" for layer in ("conv1", "conv2") for part in ("weight", "bias")]
        if not self._layers or not {_key(name) for name in needed} <= set(names):
            raise CheckpointError(f"{folder} is not a Whisper model")
        self._width = len(self._weight("conv2/bias"))
        self.register_buffer("_bank", mel_filters(RATE, WINDOW, BINS), persistent=False)
        self.register_buffer("_taper", torch.hann_window(WINDOW), persistent=False)

    def forward(self, estimate: Tensor, target: Tensor) -> Tensor:
        """Mean absolute difference of all layers' normalised features; gradients to `estimate`."""
        with torch.no_grad():
            spectrum, loudest = self._spectrum(target, None)
            wanted = self._features(spectrum)
        found = self._features(self._spectrum(estimate, loudest)[0])
        total = estimate.new_zeros(())
        for here, there in zip(found, wanted, strict=True):
            deviation = there.float().std((0, 1), keepdim=True).clamp(min=1e-3)
            total = total + ((here.float() - there.float()) / deviation).abs().mean()
        return total / len(wanted)

    def _spectrum(self, wav: Tensor, loudest: Tensor | None) -> tuple[Tensor, Tensor]:
        """Whisper's log-mel spectrogram [B, 80, T], and its loudest bin [B, 1, 1]."""
        taper, bank = self.get_buffer("_taper"), self.get_buffer("_bank")
        stft = torch.stft(wav.float(), WINDOW, HOP, window=taper, return_complex=True)[..., :-1]
        mel = (bank @ stft.abs().square()).clamp(min=1e-10).log10()
        top = mel.amax((1, 2), keepdim=True) if loudest is None else loudest
        return (torch.maximum(mel, top - RANGE) + 4.0) / 4.0, top

    def _features(self, spectrum: Tensor) -> list[Tensor]:
        """The stem's output and each layer's, [B, T / 2, width]; the last one normalised."""
        wide = F.gelu(self._conv(spectrum, "conv1", 1))
        hidden = F.gelu(self._conv(wide, "conv2", 2)).transpose(1, 2)
        hidden = hidden + self._weight("position_encodings/encodings")[: hidden.shape[1]]
        features = [hidden]
        for number in range(self._layers):
            hidden = self._layer(hidden, f"layer_{number}/")
            features.append(hidden)
        features[-1] = self._norm(hidden, "layer_norm")
        return features

    def _layer(self, hidden: Tensor, name: str) -> Tensor:
        B, T, width = hidden.shape
        joint = self._linear(
            self._norm(hidden, f"{name}self_attention/layer_norm"), f"{name}self_attention/linear_0"
        )
        q, k, v = joint.view(B, T, 3, -1, self._head_width).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, width)
        hidden = hidden + self._linear(mixed, f"{name}self_attention/linear_1")
        inner = F.gelu(self._linear(self._norm(hidden, f"{name}ffn/layer_norm"), f"{name}ffn/linear_0"))
        return hidden + self._linear(inner, f"{name}ffn/linear_1")

    def _conv(self, x: Tensor, name: str, stride: int) -> Tensor:
        weight, bias = self._weight(f"{name}/weight"), self._weight(f"{name}/bias")
        return F.conv1d(x, weight, bias, stride=stride, padding=1)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._weight(f"{name}/weight"), self._weight(f"{name}/bias"))

    def _norm(self, x: Tensor, name: str) -> Tensor:
        gamma, beta = self._weight(f"{name}/gamma"), self._weight(f"{name}/beta")
        return F.layer_norm(x, (self._width,), gamma, beta)

    def _weight(self, name: str) -> Tensor:
        return self.get_buffer(_key(name))


def _key(name: str) -> str:
    """A buffer's name for a tensor's."""
    return name.replace("/", "-")


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
