"""`train codec` as one call: recipe and recordings in, codec folders out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import DacModel

from dacse_cli.codec.dac.shape import DacShape, read_shape
from dacse_cli.hub import Resolved, resolve
from dacse_cli.training.dac.crops import Crops, Speech, divide
from dacse_cli.training.dac.network import (
    LATENTS_A_CODE,
    fresh_codec,
    norm_weights,
    stored_codec,
    warm_codec,
)
from dacse_cli.training.dac.recipe import CodecRecipe
from dacse_cli.training.dac.shapes import shape_from, shape_of
from dacse_cli.training.dac.trainer import CodecTrainer
from dacse_cli.training.mix.plan import Files
from dacse_cli.training.mix.sources import Recording, digest
from dacse_cli.training.runs.chance import seed_of
from dacse_cli.training.runs.loop import Listener, Outcome
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.recipe import nothing_named
from dacse_cli.training.runs.start import Ready, RunRequest, carry_out

VALID_ROWS = 8
"""Crops that are measured at once."""


@dataclass(frozen=True, kw_only=True)
class CodecRequest(RunRequest):
    """What `train codec` is asked for."""

    recipe: CodecRecipe
    clean: Files


def train_codec(request: CodecRequest, listener: Listener | None = None) -> Outcome:
    """Train, from where `request.out` has got to. Raises any `DacseError`."""
    return carry_out(request, partial(_prepare, request), listener)


def _prepare(request: CodecRequest, machine: Machine, listener: Listener) -> Ready:
    """Look at the recordings; the codec itself is made when the run may begin."""
    recipe, data = request.recipe, request.recipe.data
    with machine.in_turn():
        start = _start(request, listener)
    shape = _shape(recipe, start)
    speech = divide(request.clean, shape.sampling_rate, data.seconds, data.valid)
    for refused in speech.refused:
        listener.remark(str(refused))

    def crops(stage: int) -> Crops:
        return _crops(recipe, shape, speech.train, seed_of(recipe.run.seed, stage, 4), data.seconds)

    def trainer() -> CodecTrainer:
        model = _network(recipe, shape, start, speech)
        if recipe.model.weight_norm:
            norm_weights(model)
        return CodecTrainer(model, recipe, machine, crops, _held_out(recipe, shape, speech, machine))

    return Ready(_settings(recipe, shape, speech, start), trainer)


def _start(request: CodecRequest, listener: Listener) -> Resolved | None:
    """The codec to start from, if any."""
    name = request.recipe.model.start
    if name is None:
        return None
    return resolve(name, kind="codec", offline=request.offline, progress=listener.download)


def _shape(recipe: CodecRecipe, start: Resolved | None) -> DacShape:
    if start is not None:
        return read_shape(start.folder)
    if recipe.model.config is not None:
        return shape_from(Path(recipe.model.config))
    if recipe.model.size is not None:
        return shape_of(recipe.model.size)
    raise nothing_named("codec")


def _settings(recipe: CodecRecipe, shape: DacShape, speech: Speech, start: Resolved | None) -> dict[str, Any]:
    """What must be the same when a run is taken up."""
    return {
        "kind": "codec",
        "shape": asdict(shape),
        "start": start and start.sha256,
        "warm_start": recipe.model.warm_start,
        "weight_norm": recipe.model.weight_norm,
        "data": asdict(recipe.data),
        "recordings": {"train": digest(speech.train), "valid": digest(speech.valid)},
        "discriminators": asdict(recipe.discriminators),
        "weights": asdict(recipe.weights),
    }


def _network(recipe: CodecRecipe, shape: DacShape, start: Resolved | None, speech: Speech) -> DacModel:
    seed = recipe.run.seed
    if start is not None:
        return stored_codec(start.folder)
    if not recipe.model.warm_start:
        return fresh_codec(shape, seed)
    crops = _crops(recipe, shape, speech.train, seed_of(seed, 0), recipe.data.seconds)
    rows = -(-LATENTS_A_CODE * shape.codebook_size * shape.hop_length // crops.samples)
    return warm_codec(shape, seed, torch.from_numpy(crops.batch(0, rows)))


def _crops(
    recipe: CodecRecipe, shape: DacShape, recordings: Sequence[Recording], seed: int, seconds: float
) -> Crops:
    return Crops(recordings, shape.sampling_rate, seconds, shape.hop_length, recipe.data.level_db, seed)


def _held_out(recipe: CodecRecipe, shape: DacShape, speech: Speech, machine: Machine) -> list[Tensor]:
    """The same crops at every validation; this process's share."""
    if not speech.valid:
        return []
    crops = _crops(recipe, shape, speech.valid, seed_of(recipe.run.seed, 3), recipe.data.valid_seconds)
    wav = torch.from_numpy(crops.batch(0, recipe.data.valid_rows))
    return list(torch.split(wav, VALID_ROWS))[machine.rank :: machine.count]
