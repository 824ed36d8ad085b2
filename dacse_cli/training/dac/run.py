"""`train codec` as one call: recipe and recordings in, codec folders out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import DacModel

from dacse_cli.codec.memory import tune_allocator
from dacse_cli.codec.shape import DacShape, read_shape
from dacse_cli.errors import UsageError
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
from dacse_cli.training.mix_plan import Files
from dacse_cli.training.runs.chance import seed_of
from dacse_cli.training.runs.folder import RunFolder
from dacse_cli.training.runs.loop import Listener, Loop, Outcome
from dacse_cli.training.runs.machine import Machine, find_machine
from dacse_cli.training.runs.stages import last_stage
from dacse_cli.training.sources import Recording, digest

VALID_ROWS = 8
"""Crops that are measured at once."""


@dataclass(frozen=True)
class CodecRequest:
    """What `train codec` is asked for."""

    clean: Files
    out: Path
    recipe: CodecRecipe
    until: str | None = None
    device: str = "auto"
    offline: bool = False


def train_codec(request: CodecRequest, listener: Listener | None = None) -> Outcome:
    """Train, from where `request.out` has got to. Raises any `DacseError`."""
    listener = listener or Listener()
    recipe = request.recipe
    last = last_stage(recipe.plans(), request.until)
    machine = find_machine(request.device)
    tune_allocator()
    torch.set_flush_denormal(True)
    with RunFolder(request.out, writes=machine.first) as folder:
        with machine.in_turn():
            start = _start(request, listener)
        shape = _shape(recipe, start)
        data = recipe.data
        speech = divide(request.clean, shape.sampling_rate, data.seconds, data.valid)
        for refused in speech.refused:
            listener.remark(f"passed over  {refused.path}: {refused.message}")
        folder.claim(
            _settings(recipe, shape, speech, start, machine), [asdict(stage) for stage in recipe.stage]
        )
        model = _network(recipe, shape, start, speech)
        if recipe.model.weight_norm:
            norm_weights(model)

        def crops(stage: int) -> Crops:
            seed = seed_of(recipe.run.seed, stage, 4)
            return _crops(recipe, shape, speech.train, seed, data.seconds)

        held_out = _held_out(recipe, shape, speech, machine)
        trainer = CodecTrainer(model, recipe, machine, crops, held_out)
        return Loop(trainer, recipe.plans(), folder, machine, recipe.run.cadence, listener.moment).run(last)


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
    raise UsageError(
        "nothing says which codec to train",
        hint="Give --size or --config for a fresh one, --from for one to go on with.",
    )


def _settings(
    recipe: CodecRecipe, shape: DacShape, speech: Speech, start: Resolved | None, machine: Machine
) -> dict[str, Any]:
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
        "run": {"seed": recipe.run.seed, "bf16": recipe.run.bf16},
        "processes": machine.count,
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
