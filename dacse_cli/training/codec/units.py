"""A units codec in training: k-means of a speech encoder's features, then the decoder by the codec's recipe.

The speech encoder stays as it is. The embedding of the units begins as their centroids, on as many main
directions as it is wide.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DacModel

from dacse_cli.codec.dac.shape import DacShape
from dacse_cli.codec.units.codec import Centroids, units_shapes
from dacse_cli.codec.units.encoder import new_encoder, read_encoder_folder
from dacse_cli.codec.units.shape import SAMPLE_RATE, DecoderShape, UnitsShape, is_units, read_units_shape
from dacse_cli.errors import CodecError, UsageError
from dacse_cli.hub import Resolved, resolve
from dacse_cli.interfaces import Codes
from dacse_cli.training.codec.codebooks import Codebook, k_means
from dacse_cli.training.codec.network import (
    Batch,
    CodecNetwork,
    fresh_codec,
    norm_weights,
    plain_model,
    thin,
)
from dacse_cli.training.codec.recipe import CodecRecipe
from dacse_cli.training.codec.warm_start import spread_randomly
from dacse_cli.training.export import write_json, write_weights
from dacse_cli.training.mix.live import LiveMix
from dacse_cli.training.runs.loop import Listener
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.steps.adversarial import Made
from dacse_cli.weights.loading import load_folder

SECONDS = 4.0
"""Length of the crops that are clustered."""
QUIET = 0.02
"""Gain of a fresh decoder's last layer: the noise that it makes at first is near silence, not full scale."""


class UnitsTraining(CodecNetwork):
    """From wave to units and back; only embedding and decoder learn.

    The speech encoder is no part of the state, so that checkpoints do not hold it.
    """

    def __init__(
        self, model: DacModel, shape: UnitsShape, encoder: nn.Module, machine: Machine, bf16: bool
    ) -> None:
        """`model`: its decoder is the codec's; `encoder`: samples [B, T * 320] -> features [B, T, D]."""
        super().__init__(model, None, machine, bf16)
        self.shape, self.frozen = shape, True
        self.encoder = Centroids(shape.size, shape.encoder.width)
        self.quantizer = nn.Embedding(shape.size, shape.decoder.hidden_size)
        self._speech = (encoder.to(machine.device).eval().requires_grad_(False),)

    @property
    def codes(self) -> Codes:
        """One codebook of all units."""
        return Codes(1, self.shape.size)

    def freeze(self, frozen: bool) -> None:
        """Nothing to do: codes never change."""

    def set_dropout(self, share: float) -> None:
        """Nothing to do: there is one codebook."""

    def forward(self, batch: Batch) -> Made:
        """No losses of its own; extra `codes` [B, 1, T]."""
        noisy, clean, _ = batch
        codes = self.encode(noisy)
        latent = self.quantizer(codes).transpose(1, 2)
        return Made(self.decode(latent, clean.shape[1]), clean, {}, {"codes": codes[:, None]})

    @torch.no_grad()
    def encode(self, wav: Tensor) -> Tensor:
        """`wav` [B, S] -> units [B, T]."""
        units: Tensor = self.encoder(self.features(wav))
        return units

    @torch.no_grad()
    def features(self, wav: Tensor) -> Tensor:
        """`wav` [B, S] -> the speech encoder's features [B, T, D], float32."""
        found: Tensor = self._speech[0](wav.float())
        return found

    def write(self, folder: Path, store: str) -> None:
        """The codec as a folder; `store` `float16` halves the networks, not centroids and embedding."""
        parts = {
            "encoder": self._speech[0],
            "units": self.encoder,
            "embedding": self.quantizer,
            "decoder": plain_model(self).decoder,
        }
        tensors = {f"{part}.{n}": t for part, own in parts.items() for n, t in own.state_dict().items()}
        networks = ("encoder.", "decoder.") if store == "float16" else ()
        halves = {name for name in tensors if name.startswith(networks)}
        write_weights(folder, tensors, torch.float32, halves)
        write_json(folder / "config.json", self.shape.config())


@dataclass(frozen=True)
class Units:
    """What a training over units begins with: shapes, and the tensors that are given."""

    shape: UnitsShape
    encoder: Mapping[str, Tensor]
    """The speech encoder's tensors."""
    given: Mapping[str, Tensor]
    """Tensors of a stored units codec; empty for a fresh one."""

    @property
    def dac(self) -> DacShape:
        """The DAC network whose decoder is trained."""
        return self.shape.decoder.dac

    def settings(self) -> dict[str, Any]:
        """What must be the same when the run is continued."""
        digest = hashlib.sha256()
        for name in sorted(self.encoder):
            digest.update(self.encoder[name].contiguous().numpy().tobytes())
        return {"shape": asdict(self.shape), "encoder": digest.hexdigest()}

    def network(self, recipe: CodecRecipe, mix: LiveMix, machine: Machine, fresh: bool) -> UnitsTraining:
        """The codec as the run begins; `mix`: crops of `SECONDS`, to cluster."""
        model = fresh_codec(self.dac, recipe.run.seed)
        if self.given:
            model.decoder.load_state_dict(_part(self.given, "decoder"))
        else:
            spread_randomly(model)
            with torch.no_grad():
                model.decoder.conv2.weight.mul_(QUIET)
        if recipe.model.thin:
            thin(model)
        if recipe.model.weight_norm:
            norm_weights(model)
        encoder = new_encoder(self.shape.encoder)
        encoder.load_state_dict(self.encoder)
        network = UnitsTraining(model, self.shape, encoder, machine, recipe.run.bf16).to(machine.device)
        if self.given:
            network.encoder.load_state_dict(_part(self.given, "units"))
            network.quantizer.load_state_dict(_part(self.given, "embedding"))
        elif fresh:
            _find_units(network, recipe, mix)
        return network


def find_units(
    recipe: CodecRecipe, start: Resolved | None, shape: DacShape | None, offline: bool, listener: Listener
) -> Units | None:
    """The speech encoder of the recipe, or the units codec to go on with; None for a codec of another kind.

    `shape`: that of the recipe's config, whose decoder is trained. Raises `UsageError`, `ModelError`.
    """
    if start is not None and is_units(start.folder):
        stored = read_units_shape(start.folder)
        weights = load_folder(start.folder, units_shapes(stored), CodecError)
        return Units(stored, _part(weights, "encoder"), weights)
    name = recipe.units.encoder
    if name is None:
        return None
    if shape is None or start is not None:
        raise UsageError("units need the shape of a decoder: `config`", hint="Or `start` from a units codec.")
    if shape.sampling_rate != SAMPLE_RATE:
        raise UsageError(f"units are of {SAMPLE_RATE} Hz, not {shape.sampling_rate}")
    folder = Path(name)
    if not folder.is_dir():
        folder = resolve(name, kind="model", offline=offline, progress=listener.download).folder
    encoder, weights = read_encoder_folder(folder, recipe.units.layer)
    decoder = DecoderShape(shape.hidden_size, shape.decoder_hidden_size, shape.downsampling_ratios)
    return Units(UnitsShape(encoder, recipe.units.size, decoder), weights, {})


def _part(weights: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The tensors of one part, in its own names."""
    return {n.removeprefix(f"{name}."): t for n, t in weights.items() if n.startswith(f"{name}.")}


@torch.no_grad()
def _find_units(network: UnitsTraining, recipe: CodecRecipe, mix: LiveMix) -> None:
    """Set scale and centroids by k-means on features of clean speech, and the embedding to begin with."""
    units, centroids = recipe.units, network.encoder
    assert isinstance(centroids, Centroids)
    rows = -(-units.size * units.frames * network.config.hop_length // mix.speech.samples)
    device = centroids.points.device
    crops = (torch.from_numpy(mix.batch(number, 1)[1]).to(device) for number in range(rows))
    features = torch.cat([network.features(crop).flatten(0, 1) for crop in crops])
    centroids.centre.copy_(features.mean(0))
    centroids.scale.copy_(features.std(0).clamp(min=1e-6))
    scaled = centroids.scaled(features)
    book = Codebook(1, scaled.shape[1], units.size).to(device)
    generator = torch.Generator().manual_seed(recipe.run.seed)
    k_means(book, scaled, generator, units.rounds, scaled.new_ones(len(scaled)))
    centroids.points.copy_(book.codes)
    _, _, directions = torch.linalg.svd(book.codes - book.codes.mean(0), full_matrices=False)
    table = book.codes @ directions[: network.shape.decoder.hidden_size].t()
    table = nn.functional.pad(table, (0, network.shape.decoder.hidden_size - table.shape[1]))
    weight = network.quantizer.get_parameter("weight")
    weight.copy_((table - table.mean(0)) / table.std().clamp(min=1e-6))
