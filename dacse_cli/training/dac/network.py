"""The codec to train: fresh, warm or one that is there; and the folder it ends in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DacConfig, DacModel

from dacse_cli.codec.dac.network import dac_shapes
from dacse_cli.codec.dac.shape import DacShape, read_shape
from dacse_cli.errors import CodecError, UsageError
from dacse_cli.training.export import write_extractor, write_network
from dacse_cli.training.quantizer import ResidualQuantizer
from dacse_cli.training.warm_start import start_linear, whiten
from dacse_cli.weights.folding import fold_weight_norm
from dacse_cli.weights.loading import load_folder

NUDGE = 1e-3
"""Deviation of what replaces a silent filter, times what keeps variance: weight norm needs a direction."""
LATENTS_A_CODE = 20
"""Frames that k-means sees for each code of a warm start."""


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


def stored_codec(folder: Path) -> DacModel:
    """The codec in `folder`, checked as for use. Raises `CodecError`."""
    shape = read_shape(folder)
    model = DacModel(dac_config(shape))
    model.load_state_dict(load_folder(folder, dac_shapes(shape), CodecError))
    return model


def fresh_codec(shape: DacShape, seed: int) -> DacModel:
    """A codec of drawn weights."""
    torch.manual_seed(seed)
    return DacModel(dac_config(shape))


def warm_codec(shape: DacShape, seed: int, wav: Tensor) -> DacModel:
    """A codec that is a linear transform coder, with codebooks placed by k-means on `wav` [B, S].

    Raises `UsageError` for shapes that cannot be one.
    """
    model = fresh_codec(shape, seed)
    try:
        start_linear(model)
    except ValueError as error:
        raise UsageError(f"no warm start for this codec: {error}") from error
    with torch.no_grad():
        whiten(model, wav[:, None])
        latents = model.encoder(wav[:, None]).transpose(1, 2).flatten(0, 1)
    quantizer = ResidualQuantizer(model.config)
    quantizer.start(latents, len(latents), torch.Generator().manual_seed(seed))
    quantizer.write_into(model)
    return model


def norm_weights(model: DacModel) -> None:
    """Weight norm on every convolution; filters of length 0 get a small direction first."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)):
                weight = module.weight
                silent = weight.flatten(1).norm(dim=1) == 0
                fan_in = weight[0].numel()
                drawn = NUDGE * fan_in**-0.5 * torch.randn_like(weight[silent])
                weight[silent] = drawn
    model.apply_weight_norm()


def write_codec_folder(folder: Path, model: DacModel) -> None:
    """A folder as released: float32, weight norm folded, no quantizer dropout."""
    state: dict[str, Any] = {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}
    config = DacConfig.from_dict(model.config.to_dict() | {"quantizer_dropout": 0.0})
    config.hidden_size = model.config.hidden_size
    write_network(folder, config, fold_weight_norm(state, CodecError), torch.float32, "DacModel")
    write_extractor(folder, config)
