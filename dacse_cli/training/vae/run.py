"""`train vae` as one call: recipe and recordings in, speech VAE folders out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dacse_cli.codec.vae.autoencoder import Autoencoder
from dacse_cli.codec.vae.codec import new_vocoder, vae_shapes
from dacse_cli.codec.vae.shape import SAMPLE_RATE, GriffinLimShape, VaeShape, read_vae_shape
from dacse_cli.errors import CodecError, UsageError
from dacse_cli.training.mix.live import LiveMix, clean_rows
from dacse_cli.training.runs.chance import seed_of
from dacse_cli.training.runs.loop import Listener, TrainingResult
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.start import Prepared, RunRequest, carry_out
from dacse_cli.training.sound.crops import Crops, Level, whole_frames
from dacse_cli.training.sound.material import Material, Use, find_material
from dacse_cli.training.sound.recordings import Files, digest, fingerprint
from dacse_cli.training.vae.network import AutoencoderPart, VaeNetwork
from dacse_cli.training.vae.recipe import VaeRecipe
from dacse_cli.training.vae.trainer import Part, VaeTrainer
from dacse_cli.training.vae.vocoder import VocoderNetwork, VocoderPart
from dacse_cli.weights.loading import load_folder

VALID_ROWS = 4
"""Crops per validation batch."""
OWN, VOCODER = "autoencoder.", "vocoder."


@dataclass(frozen=True, kw_only=True)
class VaeRequest(RunRequest):
    """What `train vae` is asked for."""

    recipe: VaeRecipe
    clean: Files
    jobs: int = 1
    """Processes that read; 1: a thread, 0: none besides the step."""


def train_vae(request: VaeRequest, listener: Listener | None = None) -> TrainingResult:
    """Train, continuing from the state of `request.out`. Raises any `DacseError`."""
    return carry_out(request, partial(_prepare, request), listener)


def _prepare(request: VaeRequest, machine: Machine, listener: Listener) -> Prepared:
    recipe, part, data = request.recipe, request.recipe.model, request.recipe.data
    for stage in recipe.stage:
        if stage.rows % machine.count or stage.rows // machine.count < 2:
            raise UsageError(
                f"stage {stage.name}: {stage.rows} rows give {machine.count} processes no equal share of 2 "
                "or more, which the dispersive loss compares"
            )
    start = None if part.start is None else _folder(part.start)
    source = _folder(part.vocoder) if part.vocoder else start
    trained = {stage.part for stage in recipe.stage}
    shape = _shape(recipe, start, source, trained)
    given = {
        name: tensor
        for folder, prefix in ((start, OWN), (source, VOCODER))
        for name, tensor in (() if folder is None else _tensors(folder, prefix))
    }
    use = Use(SAMPLE_RATE, min(data.seconds, 1.0), data.valid, decoded=data.decoded)
    with machine.in_turn():
        sound = find_material(request.clean, (), use, request.out, request.jobs, listener)
    samples = whole_frames(data.seconds, SAMPLE_RATE, shape.autoencoder.hop_length)
    mix = partial(_mix, recipe, sound, samples)

    def trainer(fresh: bool) -> VaeTrainer:
        torch.manual_seed(recipe.run.seed)
        parts: dict[str, Callable[[], Part]] = {}
        if "autoencoder" in trained:
            network = VaeNetwork(Autoencoder(shape.autoencoder), machine, recipe.run.bf16, given)
            parts["autoencoder"] = partial(AutoencoderPart, network, shape.autoencoder, recipe)
        if "vocoder" in trained:
            vocoder = VocoderNetwork(new_vocoder(shape), machine, recipe.run.bf16, given)
            parts["vocoder"] = partial(VocoderPart, vocoder, recipe, machine)
        rest = {name: tensor for name, tensor in given.items() if name.partition(".")[0] not in trained}
        seed = seed_of(recipe.run.seed, 3)
        valid = clean_rows(sound.valid, samples, data.level_db, seed, data.valid_rows)
        held_out = machine.share(valid, VALID_ROWS)
        return VaeTrainer(parts, shape, rest, recipe, machine, mix, held_out, request.jobs)

    settings: dict[str, Any] = {
        "kind": "vae",
        "shape": asdict(shape),
        "start": None if start is None else fingerprint(start / "model.safetensors"),
        "vocoder": None if source in (None, start) else fingerprint(source / "model.safetensors"),
        "data": asdict(data),
        "recordings": {"train": digest(sound.train.recordings), "valid": digest(sound.valid.recordings)},
        "discriminators": asdict(recipe.discriminators),
        "weights": asdict(recipe.weights),
    }
    return Prepared(settings, trainer)


def _folder(name: str) -> Path:
    path = Path(name)
    if not path.is_dir():
        raise CodecError(f"{path} is not a folder", hint="Give the folder of a speech VAE.")
    return path


def _shape(recipe: VaeRecipe, start: Path | None, source: Path | None, trained: set[str]) -> VaeShape:
    """The shape of `start`, else of the recipe; with the vocoder of `source`, else a trained one or none.

    Raises `UsageError` where a part is neither given nor trained.
    """
    if "autoencoder" not in trained and start is None:
        raise UsageError(
            "only the vocoder is trained, and there is no autoencoder",
            hint="Give a speech VAE to start from: `start=FOLDER`.",
        )
    path = start if recipe.model.config is None else Path(recipe.model.config)
    shape = VaeShape() if path is None else read_vae_shape(path)
    if source is not None:
        shape = replace(shape, vocoder=read_vae_shape(source).vocoder)
    elif "vocoder" not in trained:
        shape = replace(shape, vocoder=GriffinLimShape())
    if "vocoder" in trained and isinstance(shape.vocoder, GriffinLimShape):
        raise UsageError(
            "a stage trains the vocoder, and there is none",
            hint="Give a speech VAE with BigVGAN: `start=FOLDER` or `model.vocoder=FOLDER`.",
        )
    return shape


def _tensors(folder: Path, prefix: str) -> list[tuple[str, Tensor]]:
    """Names and tensors of one part of a speech VAE."""
    weights = load_folder(folder, vae_shapes(read_vae_shape(folder)), CodecError)
    return [(name, tensor) for name, tensor in weights.items() if name.startswith(prefix)]


def _mix(recipe: VaeRecipe, sound: Material, samples: int, stage: int) -> LiveMix:
    """The source of a stage's crops."""
    data = recipe.data
    level = Level(data.level_db, data.spread_db)
    crops = Crops(sound.train.recordings, sound.train, samples, level, data.shares or None)
    return LiveMix(crops, seed_of(recipe.run.seed, stage, 4), noisy=0.0)
