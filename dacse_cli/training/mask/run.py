"""`train mask` as one call: recipe and recordings in, model folders out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from dacse_cli.codec.loading import load_codec
from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.filters.mask.config import MaskConfig
from dacse_cli.filters.mask.load import load_mask_network, read_mask_config
from dacse_cli.filters.mask.network import MaskNetwork
from dacse_cli.training.mask.guides import SimulatedGuides
from dacse_cli.training.mask.recipe import RATE, MaskRecipe
from dacse_cli.training.mask.trainer import MaskTrainer
from dacse_cli.training.mask.wave import WaveFilter
from dacse_cli.training.mix.live import LiveMix
from dacse_cli.training.mix.rooms import choose_model
from dacse_cli.training.mix.tasks import NEED_NOISE, parse_recipe
from dacse_cli.training.runs.chance import seed_of
from dacse_cli.training.runs.loop import Listener, TrainingResult
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.start import Prepared, RunRequest, carry_out
from dacse_cli.training.sound.decoded import Decoded, decode
from dacse_cli.training.sound.passages import Passages
from dacse_cli.training.sound.recordings import Files, Recording, digest, look
from dacse_cli.training.sound.splits import divide

VALID_ROWS = 8
"""Rows per validation batch."""
SOUND = "sound"
"""Folder inside OUT for the decoded recordings."""
SHORTEST = 0.3
"""Seconds of the shortest recording of speech that is used."""


@dataclass(frozen=True, kw_only=True)
class MaskRequest(RunRequest):
    """The request of `train mask`."""

    recipe: MaskRecipe
    clean: Files
    noise: Files = ()
    rooms: Files = ()
    """Room responses; without them rooms are simulated."""
    jobs: int = 1
    """Processes that read and mix; 1: a thread, 0: none besides the step."""
    compiled: bool = False
    """Whether the network is compiled (`torch.compile`)."""


@dataclass(frozen=True)
class _Sound:
    """All recordings of a run, decoded."""

    train: Decoded
    valid: Decoded | None
    noises: Decoded | None
    rooms: tuple[Recording, ...]


def train_mask(request: MaskRequest, listener: Listener | None = None) -> TrainingResult:
    """Train, continuing from the state of `request.out`. Raises any `DacseError`."""
    return carry_out(request, partial(_prepare, request), listener)


def _prepare(request: MaskRequest, machine: Machine, listener: Listener) -> Prepared:
    recipe, part = request.recipe, request.recipe.model
    _check(request, machine)
    start = Path(part.start) if part.start is not None else None
    config = MaskConfig(width=part.width, dilations=part.blocks) if start is None else read_mask_config(start)
    codec = None if recipe.data.guide is None else load_codec(Path(recipe.data.guide))
    if codec is not None:
        config = replace(config, guides=1)
    elif config.guides:
        raise UsageError(f"{start} reads a guide", hint="Name the codec of its guides: `data.guide=FOLDER`")
    with machine.in_turn():
        sound = _sound(request, listener)
    mixes = partial(_mix, recipe, sound)

    def trainer(fresh: bool) -> MaskTrainer:
        torch.manual_seed(recipe.run.seed)
        network = WaveFilter(config, machine, recipe.run.bf16)
        if start is not None and fresh:
            load_start(network.network, load_mask_network(start))
        if request.compiled:
            network.compile()
        guides = None if codec is None else SimulatedGuides(codec, seed_of(recipe.run.seed, 5))
        held_out = _held_out(recipe, sound, machine)
        return MaskTrainer(network, recipe, machine, mixes, held_out, request.jobs, guides)

    settings: dict[str, Any] = {
        "kind": "mask",
        "config": asdict(config),
        "start": None if start is None else _contents(start),
        "guide": None if recipe.data.guide is None else _contents(Path(recipe.data.guide)),
        "data": asdict(recipe.data),
        "recordings": {
            "train": digest_of(sound.train),
            "valid": digest_of(sound.valid),
            "noise": digest_of(sound.noises),
            "rooms": digest(sound.rooms),
        },
    }
    return Prepared(settings, trainer)


def load_start(network: MaskNetwork, start: MaskNetwork) -> None:
    """Take over the weights of `start`. Where only `network` reads a guide, it has no influence at first."""
    weights = start.state_dict()
    width, given = network.config.features, start.config.features
    if width != given:
        for name, weight in weights.items():
            if name.startswith("split.") and name.endswith(".weight"):
                by_bin = weight.unflatten(1, (-1, given))  # [bands, bins, features, channels]
                weights[name] = F.pad(by_bin, (0, 0, 0, width - given)).flatten(1, 2)
    network.load_state_dict(weights)


def digest_of(sound: Decoded | None) -> str | None:
    """A digest of decoded recordings: the name of their file, which is derived from their contents."""
    return None if sound is None else sound.path.stem


def _contents(folder: Path) -> str:
    from dacse_cli.training.sound.recordings import fingerprint

    return fingerprint(folder / "model.safetensors" if folder.is_dir() else folder)


def _check(request: MaskRequest, machine: Machine) -> None:
    """Raise `UsageError` where recipe, recordings and processes do not fit together."""
    for stage in request.recipe.stage:
        if stage.rows % machine.count:
            raise UsageError(
                f"stage {stage.name}: {stage.rows} rows cannot be shared by {machine.count} processes"
            )
    if NEED_NOISE & parse_recipe(request.recipe.data.mix).keys() and not request.noise:
        raise UsageError("the recipe mixes in noise", hint="Name recordings of noise (`noise`).")
    start = request.recipe.model.start
    if start is not None and not Path(start).is_dir():
        raise CheckpointError(f"{start} is no folder", hint="Give the folder of a trained mask network.")


def _sound(request: MaskRequest, listener: Listener) -> _Sound:
    """All recordings, decoded once into OUT/sound."""
    data = request.recipe.data
    speech = divide(request.clean, RATE, SHORTEST, data.valid)
    noises, unusable = look(request.noise)
    rooms, broken = look(request.rooms)
    for refused in (*speech.refused, *unusable, *broken):
        listener.remark(str(refused))
    listener.stage(f"decoding {len(speech.train) + len(speech.valid) + len(noises)} recordings")
    kept: dict[str, Any] = {"folder": request.out / SOUND, "rate": RATE, "jobs": request.jobs}
    return _Sound(
        decode(speech.train, speeds=data.speeds, **kept),
        decode(speech.valid, **kept) if speech.valid else None,
        decode(noises, **kept) if noises else None,
        rooms,
    )


def _mix(recipe: MaskRecipe, sound: _Sound, stage: int, *, valid: bool = False) -> LiveMix:
    """The source of a stage's rows, or of the validation rows."""
    data, speech = recipe.data, sound.valid if valid and sound.valid is not None else sound.train
    noises = sound.noises
    shares = None if valid else data.shares or None
    return LiveMix(
        Passages(speech.recordings, speech, round(data.seconds * RATE), shares=shares),
        seed_of(recipe.run.seed, stage, 3 if valid else 4),
        shares=parse_recipe(data.mix),
        noises=() if noises is None else noises.recordings,
        noise_reader=noises,
        rooms=sound.rooms,
        room_model="file" if sound.rooms else choose_model(data.rooms),
    )


def _held_out(recipe: MaskRecipe, sound: _Sound, machine: Machine) -> Sequence[Tensor]:
    """The same noisy and clean rows at every validation; this process's share."""
    if sound.valid is None:
        return []
    mix = _mix(recipe, sound, 0, valid=True)
    rows = torch.from_numpy(mix.batch(0, recipe.data.valid_rows))
    return list(torch.split(rows, VALID_ROWS, dim=1))[machine.rank :: machine.count]
