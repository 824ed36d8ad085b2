"""The codec in training, from wave to wave: fresh, with a linear start, or stored; and its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias, cast

import torch
from torch import Tensor, nn
from transformers import DacConfig, DacModel

from dacse_cli.codec.dac.network import dac_shapes
from dacse_cli.codec.dac.shape import DacShape, read_shape
from dacse_cli.errors import CodecError, UsageError
from dacse_cli.interfaces import Codes
from dacse_cli.training.codec.codebooks import AverageQuantizer, Quantised
from dacse_cli.training.codec.warm_start import start_linear, whiten
from dacse_cli.training.export import write_json, write_network
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.steps.adversarial import Made
from dacse_cli.weights.folding import fold_weight_norm
from dacse_cli.weights.loading import load_folder

NUDGE = 1e-3
"""Relative deviation of the random direction given to all-zero filters, which weight norm cannot scale."""
Batch: TypeAlias = tuple[Tensor, Tensor, Tensor | None]
"""Input [B, S], target [B, S], codebooks that each row uses [B] (None: all, or the codec's own choice)."""


class CodecNetwork(nn.Module):
    """Encoder, quantizer and decoder: the module that is wrapped for several processes.

    `books`: codebooks by moving averages in place of the model's own. `frozen`: encoder and codebooks, and so
    all codes, stay as they are; only the decoder learns.
    """

    def __init__(self, model: DacModel, books: AverageQuantizer | None, machine: Machine, bf16: bool) -> None:
        super().__init__()
        self.config: DacConfig = model.config
        self.encoder, self.decoder = model.encoder, model.decoder
        self.quantizer: nn.Module = model.quantizer if books is None else books
        self.frozen = False
        self._machine, self._bf16 = machine, bf16

    @property
    def codes(self) -> Codes:
        """The codebooks."""
        return Codes(self.config.n_codebooks, self.config.codebook_size)

    @property
    def averaged(self) -> AverageQuantizer | None:
        """Codebooks that follow moving averages; None where they are the model's own."""
        return self.quantizer if isinstance(self.quantizer, AverageQuantizer) else None

    def freeze(self, frozen: bool) -> None:
        """Freeze or unfreeze encoder and codebooks. Wrap again afterwards, because other gradients exist."""
        self.frozen = frozen
        self.encoder.requires_grad_(not frozen)
        self.quantizer.requires_grad_(not frozen)

    def write(self, folder: Path, store: str) -> None:
        """The codec as a folder: see `write_codec`."""
        write_codec(folder, self, store)

    def set_dropout(self, share: float) -> None:
        """Share of rows for quantizer dropout of learnt codebooks; for averaged ones the batch decides it."""
        if self.averaged is None:
            self.quantizer.quantizer_dropout = share  # type: ignore[assignment]

    def forward(self, batch: Batch) -> Made:
        """Losses are `commitment` and, of learnt codebooks, `codebook`; extra `codes` [B, K, T], and the
        latents that codebooks were asked about, `asked` [K, B*T, d]."""
        noisy, clean, keep = batch
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            found, losses = self.quantise(self.encode(noisy), keep)
        estimate = self.decode(found.latent, clean.shape[1])
        return Made(estimate, clean, losses, {"codes": found.codes, "asked": found.asked})

    def decode(self, latent: Tensor, samples: int) -> Tensor:
        """Latents [B, H, T] -> [B, samples], float32; what odd strides lose at the end is zero."""
        with self._machine.autocast(self._bf16):
            made = self.decoder(latent)[:, 0].float()
        return nn.functional.pad(made, (0, samples - made.shape[1]))

    def encode(self, wav: Tensor) -> Tensor:
        """`wav` [B, S] -> latents [B, H, T], float32."""
        with self._machine.autocast(self._bf16):
            return cast(Tensor, self.encoder(wav[:, None])).float()

    def quantise(self, latent: Tensor, keep: Tensor | None = None) -> tuple[Quantised, dict[str, Tensor]]:
        """Latents [B, H, T] -> their codes, and losses by name; none where nothing but the decoder learns."""
        if self.averaged is not None:
            found = self.averaged(latent, keep)
            return found, {} if self.frozen else {"commitment": found.commitment}
        quantised, codes, projected, commitment, codebook = self.quantizer(latent)
        B, K, T = codes.shape
        asked = projected.detach().reshape(B, K, -1, T).permute(1, 0, 3, 2).reshape(K, B * T, -1)
        losses = {
            "commitment": torch.as_tensor(commitment).mean(),
            "codebook": torch.as_tensor(codebook).mean(),
        }
        return Quantised(quantised, losses["commitment"], codes, asked), {} if self.frozen else losses


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
    config.hidden_size = shape.hidden_size  # the class derives a value that is wrong for a narrower latent
    return config


def stored_codec(folder: Path) -> DacModel:
    """The codec in `folder`, checked as for use. Raises `CodecError`."""
    shape = read_shape(folder)
    model = DacModel(dac_config(shape))
    model.load_state_dict(load_folder(folder, dac_shapes(shape), CodecError))
    return model


def fresh_codec(shape: DacShape, seed: int) -> DacModel:
    """A codec with random weights."""
    torch.manual_seed(seed)
    return DacModel(dac_config(shape))


def start_linear_codec(model: DacModel, wav: Tensor) -> None:
    """Make `model` a linear transform coder, its latents scaled by `wav` [B, S]; codebooks are not placed.

    Raises `UsageError` for shapes that cannot be one.
    """
    try:
        start_linear(model)
    except ValueError as error:
        raise UsageError(f"no warm start for this codec: {error}") from error
    whiten(model, wav[:, None])


def thin(model: DacModel) -> None:
    """Replace the residual units at the full rate (first encoder block, last decoder block) by identities.

    They cost more than all others together. In the written codec they are zeros, which compute the identity.
    """
    for block in (model.encoder.block[0], model.decoder.block[-1]):
        block.res_unit1 = block.res_unit2 = block.res_unit3 = nn.Identity()


def norm_weights(model: DacModel) -> None:
    """Weight norm on every convolution; filters of length 0 get a small direction first."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, (nn.Conv1d, nn.ConvTranspose1d)):
                weight = module.weight
                silent = weight.flatten(1).norm(dim=1) == 0
                fan_in = weight[0].numel()
                weight[silent] = NUDGE * fan_in**-0.5 * torch.randn_like(weight[silent])
    model.apply_weight_norm()


def write_codec(folder: Path, network: CodecNetwork, store: str = "float32") -> None:
    """A folder as released: weight norm folded, no quantizer dropout.

    `store` `float16` halves the convolutions under a config that says float32, so that they compute in
    float32; the quantizer stays float32, for a Euclidean look-up needs its last bits. Encode with the stored
    codec, not with the one in memory, what a language model is to be trained on.
    """
    whole = plain_model(network)
    if network.averaged is not None:
        network.averaged.write_into(whole)
    halves = {name for name in whole.state_dict() if store == "float16" and not name.startswith("quantizer.")}
    write_network(folder, whole.config, whole.state_dict(), torch.float32, "DacModel", halves=halves)
    _write_extractor(folder, whole.config)


@torch.no_grad()
def plain_model(network: CodecNetwork) -> DacModel:
    """A `DacModel` on the CPU with the network's weights: weight norm folded, no quantizer dropout.

    Residual units that were removed for training are zeros, the identity.
    """
    state: dict[str, Any] = {name: tensor.detach().cpu() for name, tensor in network.state_dict().items()}
    folded = fold_weight_norm(state, CodecError)
    config = DacConfig.from_dict(network.config.to_dict() | {"quantizer_dropout": 0.0})
    config.hidden_size = network.config.hidden_size
    whole = DacModel(config)
    for name, parameter in whole.named_parameters():
        if name not in folded and "snake" not in name:
            parameter.zero_()
    own = {name: tensor for name, tensor in folded.items() if name in whole.state_dict()}
    whole.load_state_dict(own, strict=False)
    return whole


def _write_extractor(folder: Path, config: DacConfig) -> None:
    """`preprocessor_config.json` of a codec."""
    extractor = {
        "feature_extractor_type": "DacFeatureExtractor",
        "feature_size": 1,
        "hop_length": config.hop_length,
        "padding_side": "right",
        "padding_value": 0.0,
        "return_attention_mask": True,
        "sampling_rate": config.sampling_rate,
    }
    write_json(folder / "preprocessor_config.json", extractor)
