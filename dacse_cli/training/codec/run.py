"""`train codec` as one call: recipe and recordings in, codec folders out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch

from dacse_cli.codec.dac.shape import DacShape, read_shape
from dacse_cli.errors import UsageError
from dacse_cli.hub import Resolved, resolve
from dacse_cli.training.codec.codebooks import AverageQuantizer
from dacse_cli.training.codec.network import (
    CodecNetwork,
    fresh_codec,
    norm_weights,
    start_linear_codec,
    stored_codec,
    thin,
)
from dacse_cli.training.codec.recipe import CodecRecipe
from dacse_cli.training.codec.shapes import shape_from, shape_of
from dacse_cli.training.codec.trainer import CodecTrainer
from dacse_cli.training.codec.units import SECONDS, Units, find_units
from dacse_cli.training.mix.live import LiveMix, clean_rows
from dacse_cli.training.mix.tasks import NEED_NOISE, parse_recipe
from dacse_cli.training.runs.chance import seed_of, torch_rng
from dacse_cli.training.runs.loop import Listener, TrainingResult
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.recipe import nothing_named
from dacse_cli.training.runs.start import Prepared, RunRequest, carry_out
from dacse_cli.training.sound.crops import Crops, Level, whole_frames
from dacse_cli.training.sound.material import Material, Use, find_material
from dacse_cli.training.sound.recordings import Files, digest

VALID_ROWS = 8
"""Crops per validation batch."""
LATENTS_PER_CODE = 20
"""Frames given to k-means for each code of a warm start; twice as many where codebooks restart."""
RESTART_SECONDS, RESTART_NOISY = 2.0, 0.33
"""Seconds per crop, and share of noisy crops, for restarting codebooks."""
QUIET = 0.3
"""A latent of energy e has weight e ** -QUIET in a restart, so that quiet sounds get their share of codes."""


@dataclass(frozen=True, kw_only=True)
class CodecRequest(RunRequest):
    """What `train codec` is asked for."""

    recipe: CodecRecipe
    clean: Files
    noise: Files = ()
    """For stages with noisy inputs."""
    jobs: int = 1
    """Processes that read and mix; 1: a thread, 0: none besides the step."""


def train_codec(request: CodecRequest, listener: Listener | None = None) -> TrainingResult:
    """Train, continuing from the state of `request.out`. Raises any `DacseError`."""
    return carry_out(request, partial(_prepare, request), listener)


def _prepare(request: CodecRequest, machine: Machine, listener: Listener) -> Prepared:
    """Read the recordings' headers; the codec itself is built when the run begins."""
    recipe, data = request.recipe, request.recipe.data
    _check(request, machine)
    with machine.in_turn():
        start = _start(request, listener)
        units = _units(request, start, listener)
    shape = _shape(recipe, start) if units is None else units.dac
    use = Use(shape.sampling_rate, data.seconds, data.valid, data.speeds, data.decoded)
    with machine.in_turn():
        sound = find_material(request.clean, request.noise, use, request.out, request.jobs, listener)
    mixes = partial(_mix, recipe, shape, sound)

    def trainer(fresh: bool) -> CodecTrainer:
        if units is None:
            network = _network(recipe, shape, start, mixes(0), machine, fresh)
        else:
            clean = replace(mixes(0, SECONDS), seed=seed_of(recipe.run.seed, 0), noisy=0.0)
            network = units.network(recipe, clean, machine, fresh)
        restart = partial(_restart, recipe, mixes, machine)
        samples = whole_frames(data.valid_seconds, shape.sampling_rate, shape.hop_length)
        seed = seed_of(recipe.run.seed, 3)
        valid = clean_rows(sound.valid, samples, data.level_db, seed, data.valid_rows)
        held_out = machine.share(valid, VALID_ROWS)
        return CodecTrainer(network, recipe, machine, mixes, held_out, restart, request.jobs)

    settings = _settings(recipe, shape, sound, start)
    return Prepared(settings if units is None else settings | {"units": units.settings()}, trainer)


def _check(request: CodecRequest, machine: Machine) -> None:
    """Raise `UsageError` where recipe, recordings and processes do not fit together."""
    for stage in request.recipe.stage:
        machine.check_rows(stage.name, stage.rows)
        if stage.noisy and NEED_NOISE & parse_recipe(request.recipe.data.recipe).keys() and not request.noise:
            raise UsageError(f"stage {stage.name} mixes in noise", hint="Name recordings of noise (`noise`).")


def _start(request: CodecRequest, listener: Listener) -> Resolved | None:
    """The codec to start from, if any."""
    name = request.recipe.model.start
    if name is None:
        return None
    return resolve(name, kind="codec", offline=request.offline, progress=listener.download)


def _units(request: CodecRequest, start: Resolved | None, listener: Listener) -> Units | None:
    """What a codec of units begins with; None for a DAC codec."""
    config = request.recipe.model.config
    shape = None if config is None else shape_from(Path(config))
    return find_units(request.recipe, start, shape, request.offline, listener)


def _shape(recipe: CodecRecipe, start: Resolved | None) -> DacShape:
    if start is not None:
        return read_shape(start.folder)
    if recipe.model.config is not None:
        return shape_from(Path(recipe.model.config))
    if recipe.model.size is not None:
        return shape_of(recipe.model.size)
    raise nothing_named("codec")


def _settings(
    recipe: CodecRecipe, shape: DacShape, sound: Material, start: Resolved | None
) -> dict[str, Any]:
    """Settings that must be the same when a run is continued."""
    return {
        "kind": "codec",
        "shape": asdict(shape),
        "start": start and start.sha256,
        "model": asdict(recipe.model) | {"start": None, "size": None, "config": None},
        "data": asdict(recipe.data),
        "recordings": {
            name: digest(reader.recordings)
            for name, reader in (("train", sound.train), ("valid", sound.valid), ("noise", sound.noises))
        },
        "discriminators": asdict(recipe.discriminators),
        "weights": asdict(recipe.weights),
    }


def _mix(
    recipe: CodecRecipe, shape: DacShape, sound: Material, stage: int, seconds: float | None = None
) -> LiveMix:
    """Where the crops of a stage come from; `seconds` replaces the recipe's."""
    data = recipe.data
    samples = whole_frames(seconds or data.seconds, shape.sampling_rate, shape.hop_length)
    level = Level(data.level_db, data.spread_db)
    return LiveMix(
        Crops(sound.train.recordings, sound.train, samples, level, data.shares or None),
        seed_of(recipe.run.seed, stage, 4),
        noisy=recipe.stage[stage].noisy,
        shares=parse_recipe(data.recipe),
        noises=sound.noises.recordings,
        noise_reader=sound.noises,
    )


def _network(
    recipe: CodecRecipe, shape: DacShape, start: Resolved | None, mix: LiveMix, machine: Machine, fresh: bool
) -> CodecNetwork:
    """The codec as the run begins; for a run that continues (not `fresh`) only its layers."""
    part, seed = recipe.model, recipe.run.seed
    stored, warm = start is not None and fresh, part.warm_start and fresh
    model = stored_codec(start.folder) if start is not None and fresh else fresh_codec(shape, seed)
    books = AverageQuantizer(model.config) if part.codebooks == "average" or warm else None
    if part.thin:
        thin(model)
    frames = mix.speech.samples // shape.hop_length
    if stored and books is not None and not books.read_from(model, recipe.stage[0].rows * frames):
        raise UsageError("the codec to start from has codebooks of another kind than codebooks = average")
    if warm and books is not None:
        rows = -(-LATENTS_PER_CODE * shape.codebook_size // frames)
        wav = torch.from_numpy(replace(mix, noisy=0.0, seed=seed_of(seed, 0)).batch(0, rows)[1])
        start_linear_codec(model, wav)
        with torch.no_grad():
            latents = model.encoder(wav[:, None]).transpose(1, 2).flatten(0, 1)
        books.start(latents, recipe.stage[0].rows * frames, torch.Generator().manual_seed(seed))
        if part.codebooks == "gradient":
            books.write_into(model)
    if part.weight_norm:
        norm_weights(model)
    averaged = books if part.codebooks == "average" else None
    return CodecNetwork(model, averaged, machine, recipe.run.bf16).to(machine.device)


@torch.no_grad()
def _restart(
    recipe: CodecRecipe,
    mixes: Callable[..., LiveMix],
    machine: Machine,
    network: CodecNetwork,
    stage: int,
    rows_per_step: int,
) -> None:
    """New codebooks by k-means on latents of speech, some of it noisy, in `stage.restart` directions.

    These are the directions in which the old codebooks' output varies most. Codebooks that followed a moving
    encoder used 200 to 300 of their 1024 codes (perplexity), restarted ones 840.
    """
    books, config = network.averaged, network.config
    assert books is not None
    mix = mixes(stage, RESTART_SECONDS)
    mix = replace(mix, seed=seed_of(mix.seed, 5), noisy=RESTART_NOISY if mix.noises else 0.0)
    frames = mix.speech.samples // config.hop_length
    rows = -(-2 * LATENTS_PER_CODE * config.codebook_size // frames)
    latents = torch.cat(
        [
            network.encode(machine.tensor(mix.batch(number, 1)[0])).transpose(1, 2).flatten(0, 1)
            for number in range(rows)
        ]
    )
    coded = books(latents.t()[None]).latent[0].t()
    _, axes = torch.linalg.eigh(coded.t() @ coded / len(coded))
    axes = axes[:, -recipe.stage[stage].restart :]
    kept = latents @ axes @ axes.t()
    energy = kept.square().sum(1)
    weights = (energy + energy.median() / 100) ** -QUIET
    generator = torch_rng(recipe.run.seed, stage, 6)
    books.start(kept, rows_per_step, generator, weights=weights / weights.mean())
