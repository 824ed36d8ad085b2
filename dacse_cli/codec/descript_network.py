"""Descript's own package (`pip install dacse[descript]`) behind the interface of `Codec`.

Knows the package `dac` and its weights files. Gives the codes of plain `encode`, never those of `compress`,
whose windows overlap and whose codes depend on the window.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from dacse_cli.codec.checkpoint import check_weights
from dacse_cli.codec.model import Codec
from dacse_cli.codec.shape import DacShape
from dacse_cli.errors import CodecError, DeviceError


class DescriptNetwork:
    """A `dac.DAC` for inference, weight norm folded."""

    def __init__(self, model: nn.Module) -> None:
        for module in model.modules():
            if hasattr(module, "weight_g"):
                nn.utils.remove_weight_norm(module)
        self._model: Any = model.eval().requires_grad_(False)

    def encode(self, samples: Tensor) -> Tensor:
        """Hop-aligned samples [B, 1, T*hop] -> codes [B, K, T]."""
        return self._model.encode(samples)[1]  # type: ignore[no-any-return]

    def decode(self, codes: Tensor) -> Tensor:
        """Codes [B, K, T], int64 -> samples [B, T*hop - decode_tail]."""
        latent = self._model.quantizer.from_codes(codes)[0]
        return self._model.decode(latent)[:, 0]  # type: ignore[no-any-return]


class DescriptCodec(Codec):
    """A `Codec` over Descript's package and a weights file of its form (`weights_44khz_8kbps_0.0.1.pth`)."""

    @classmethod
    def load(cls, weights: Path, *, device: str = "cpu", name: str | None = None) -> DescriptCodec:
        """Read `weights`; raises `CodecError` (package absent, file of another kind), `DeviceError`."""
        package = _package()
        stored = _read(weights)
        shape = descript_shape(stored["metadata"]["kwargs"])
        model = package.DAC(**_arguments(shape))
        check_weights(stored["state_dict"], {key: t.shape for key, t in model.state_dict().items()})
        model.load_state_dict(stored["state_dict"])
        try:
            model.to(device)
        except (RuntimeError, AssertionError) as error:
            raise DeviceError(f"cannot put the codec on {device}: {error}") from error
        return cls(DescriptNetwork(model), shape.spec(name or weights.stem), device)


def descript_shape(kwargs: Mapping[str, Any]) -> DacShape:
    """The shape in the `metadata["kwargs"]` of a weights file. Raises `CodecError`."""
    try:
        strides = tuple(kwargs["encoder_rates"])
        if tuple(kwargs["decoder_rates"]) != strides[::-1]:
            raise CodecError(f"decoder_rates {kwargs['decoder_rates']} do not mirror {list(strides)}")
        width = kwargs["encoder_dim"]
        return DacShape(
            encoder_hidden_size=width,
            decoder_hidden_size=kwargs["decoder_dim"],
            hidden_size=kwargs.get("latent_dim") or width << min(len(strides), 12),
            downsampling_ratios=strides,
            n_codebooks=kwargs["n_codebooks"],
            codebook_size=kwargs["codebook_size"],
            codebook_dim=kwargs["codebook_dim"],
            sampling_rate=kwargs["sample_rate"],
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise CodecError(f"the weights file does not describe a DAC model: {error}") from error


def _arguments(shape: DacShape) -> dict[str, Any]:
    strides = list(shape.downsampling_ratios)
    return {
        "encoder_dim": shape.encoder_hidden_size,
        "encoder_rates": strides,
        "latent_dim": shape.hidden_size,
        "decoder_dim": shape.decoder_hidden_size,
        "decoder_rates": strides[::-1],
        "n_codebooks": shape.n_codebooks,
        "codebook_size": shape.codebook_size,
        "codebook_dim": shape.codebook_dim,
        "sample_rate": shape.sampling_rate,
    }


def _package() -> Any:
    try:
        import dac
    except (ImportError, OSError, RuntimeError) as error:  # OSError: a torchaudio built for another torch
        raise CodecError(
            f"Descript's package cannot be imported: {error}",
            hint="pip install 'dacse[descript]'",
        ) from error
    return dac


def _read(path: Path) -> dict[str, Any]:
    """{"state_dict": tensors, "metadata": {"kwargs": ...}}: tensors and plain values, no code.

    Not `dac.DAC.load`, which tries the file as a `torch.package` first and thereby runs what it holds.
    """
    try:
        stored = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch.load documents no set of errors for a damaged file
        raise CodecError(f"cannot read {path} as plain weights: {error}") from error
    try:
        kwargs, weights = stored["metadata"]["kwargs"], stored["state_dict"]
    except (KeyError, TypeError, IndexError) as error:
        raise CodecError(f"{path} is not a weights file of Descript's: it has no {error}") from error
    if not (isinstance(kwargs, dict) and isinstance(weights, dict)):
        raise CodecError(f"{path} is not a weights file of Descript's")
    for name, tensor in weights.items():
        if not isinstance(tensor, Tensor) or not torch.isfinite(tensor).all():
            raise CodecError(f"codec weights: {name} is not a tensor of finite numbers")
    return dict(stored)
