"""How differently a speech recogniser hears two signals: the encoder of a Whisper model, frozen, as a loss.

Spectral losses ask for loud parts first; words hang on quiet ones. The features of a recogniser ask for what
tells words apart. Weights come from a CTranslate2 folder (`model.bin`, as faster-whisper uses), of which only
the encoder's float16 or float32 tensors are read; nothing in the file is run. Its features equal
CTranslate2's own within its 8-bit rounding (4 % mean difference, tiny.en).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from librosa import filters  # type: ignore[attr-defined]
from torch import Tensor, nn
from torch.nn import functional as F

from dacse_cli.errors import CheckpointError

RATE, WINDOW, HOP, BINS = 16000, 400, 160, 80
VERSION = 6
"""Of the binary format."""
FORMATS: dict[int, type[np.generic]] = {0: np.float32, 4: np.float16}
RANGE = 5.0
"""Decades below the loudest bin that are heard; Whisper's own 8 let pauses rule the gradient."""


class Hearing(nn.Module):
    """`distance(heard, meant)` of signals `[B, S]` at 16 kHz. Raises `CheckpointError` for another file."""

    def __init__(self, folder: Path, head_width: int = 64) -> None:
        super().__init__()
        self._weights = dict(read_encoder(folder / "model.bin"))
        self._layers = sum(name.endswith("ffn/layer_norm/gamma") for name in self._weights)
        self._width = len(self._weights["conv2/bias"])
        self._head_width = head_width
        bank = filters.mel(sr=RATE, n_fft=WINDOW, n_mels=BINS)
        self.register_buffer("_bank", torch.from_numpy(bank), persistent=False)
        self.register_buffer("_taper", torch.hann_window(WINDOW), persistent=False)

    def distance(self, heard: Tensor, meant: Tensor) -> Tensor:
        """Mean absolute difference of all layers' features over their deviation; gradients reach `heard`."""
        with torch.no_grad():
            spectrum, loudest = self._spectrum(meant, None)
            wanted = self._features(spectrum)
        got = self._features(self._spectrum(heard, loudest)[0])
        total = heard.new_zeros(())
        for here, there in zip(got, wanted, strict=True):
            deviation = there.float().std((0, 1), keepdim=True).clamp(min=1e-3)
            total = total + ((here.float() - there.float()) / deviation).abs().mean()
        return total / len(wanted)

    def _spectrum(self, wav: Tensor, loudest: Tensor | None) -> tuple[Tensor, Tensor]:
        """Whisper's log-mel spectrogram [B, 80, T], and its loudest bin [B, 1, 1]."""
        stft = torch.stft(wav, WINDOW, HOP, window=self._buffer("_taper"), return_complex=True)[..., :-1]
        mel = (self._buffer("_bank") @ stft.abs().square()).clamp(min=1e-10).log10()
        top = mel.amax((1, 2), keepdim=True) if loudest is None else loudest
        return (torch.maximum(mel, top - RANGE) + 4.0) / 4.0, top

    def _features(self, spectrum: Tensor) -> list[Tensor]:
        """The stem's output and each layer's, [B, T / 2, width]; the last one normalised."""
        wide = F.gelu(self._conv(spectrum, "conv1", 1))
        hidden = F.gelu(self._conv(wide, "conv2", 2)).transpose(1, 2)
        hidden = hidden + self._weights["position_encodings/encodings"][: hidden.shape[1]]
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
        seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, T, width)
        hidden = hidden + self._linear(seen, f"{name}self_attention/linear_1")
        inner = F.gelu(self._linear(self._norm(hidden, f"{name}ffn/layer_norm"), f"{name}ffn/linear_0"))
        return hidden + self._linear(inner, f"{name}ffn/linear_1")

    def _conv(self, x: Tensor, name: str, stride: int) -> Tensor:
        weight, bias = self._weights[f"{name}/weight"], self._weights[f"{name}/bias"]
        return F.conv1d(x, weight, bias, stride=stride, padding=1)

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self._weights[f"{name}/weight"], self._weights[f"{name}/bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (self._width,), self._weights[f"{name}/gamma"], self._weights[f"{name}/beta"])

    def _buffer(self, name: str) -> Tensor:
        found = getattr(self, name)
        assert isinstance(found, Tensor)
        return found


def read_encoder(path: Path) -> Iterator[tuple[str, Tensor]]:
    """Names below `encoder/` and float32 tensors of a CTranslate2 model file. Raises `CheckpointError`."""
    try:
        with path.open("rb") as file:
            version, _, _, count = _take(file, "I")[0], _text(file), _take(file, "I"), _take(file, "I")[0]
            if version != VERSION:
                raise CheckpointError(f"{path} is of version {version}, not {VERSION}")
            for _ in range(count):
                name = _text(file)
                shape = _take(file, f"{_take(file, 'B')[0]}I")
                form, size = _take(file, "B")[0], _take(file, "I")[0]
                data = file.read(size)
                if name.startswith("encoder/") and form in FORMATS:
                    array = np.frombuffer(data, FORMATS[form]).astype(np.float32).reshape(shape)
                    yield name.removeprefix("encoder/"), torch.from_numpy(array)
    except (OSError, struct.error, ValueError, UnicodeDecodeError) as error:
        raise CheckpointError(f"{path} is no CTranslate2 model: {error}") from error


def _take(file: BinaryIO, form: str) -> tuple[int, ...]:
    size = struct.calcsize("<" + form)
    return struct.unpack("<" + form, file.read(size))


def _text(file: BinaryIO) -> str:
    (length,) = _take(file, "H")
    return file.read(length)[:-1].decode()
