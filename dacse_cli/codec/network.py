"""The networks behind a codec: one protocol, and `transformers`' `DacModel` behind it.

Knows whole tensors only, no windows.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor
from transformers import DacConfig, DacModel

from dacse_cli.codec.checkpoint import check_weights
from dacse_cli.codec.shape import DacShape
from dacse_cli.codec.snake import use_inference_layers


class Network(Protocol):
    """What a codec needs of its network, all on the network's device."""

    def encode(self, samples: Tensor) -> Tensor:
        """Hop-aligned samples [B, 1, T*hop] -> codes [B, K, T]."""

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, T], int64 -> samples [B, T*hop - decode_tail]."""


class DacNetwork:
    """A `DacModel` for inference in float32."""

    def __init__(self, shape: DacShape, weights: dict[str, Tensor]) -> None:
        """Build the network of `shape` around `weights`; raises `CodecError` where they do not fit."""
        with torch.device("meta"):
            model = DacModel(dac_config(shape))
        check_weights(weights, {name: tensor.shape for name, tensor in model.state_dict().items()})
        model.load_state_dict(weights, strict=True, assign=True)
        use_inference_layers(model)
        self._model = model.eval().requires_grad_(False)

    def to(self, device: str) -> None:
        """Move the weights; torch's own errors come through."""
        self._model.to(device)

    def encode(self, samples: Tensor) -> Tensor:
        """Hop-aligned samples [B, 1, T*hop] -> codes [B, K, T]."""
        return self._model.encode(samples).audio_codes  # type: ignore[no-any-return]

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, T], int64 -> samples [B, T*hop - decode_tail]."""
        return self._model.decode(audio_codes=codes).audio_values  # type: ignore[no-any-return]


def dac_config(shape: DacShape) -> DacConfig:
    """`transformers`' config of a checked shape."""
    config = DacConfig(
        encoder_hidden_size=shape.encoder_hidden_size,
        decoder_hidden_size=shape.decoder_hidden_size,
        downsampling_ratios=list(shape.downsampling_ratios),
        n_codebooks=shape.n_codebooks,
        codebook_size=shape.codebook_size,
        codebook_dim=shape.codebook_dim,
        sampling_rate=shape.sampling_rate,
    )
    config.hidden_size = shape.hidden_size  # the class derives it, which is wrong for a narrower latent
    return config
