"""`train mask` as one call: recipe and recordings in, model folders out."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F

from dacse_cli.codec.loading import load_codec
from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.filters.mask.config import MaskConfig
from dacse_cli.filters.mask.load import load_mask_network, read_mask_config
from dacse_cli.filters.mask.network import MaskNetwork
from dacse_cli.training.mask.guides import SimulatedGuides
from dacse_cli.training.mask.recipe import RATE, RATED_SAMPLES, MaskRecipe
from dacse_cli.training.mask.trainer import MaskTrainer
from dacse_cli.training.mask.wave import WaveFilter
from dacse_cli.training.mix.live import LiveMix
from dacse_cli.training.mix.rooms import choose_model
from dacse_cli.training.mix.tasks import NEED_NOISE, parse_recipe
from dacse_cli.training.runs.chance import seed_of
from dacse_cli.training.runs.loop import Listener, TrainingResult
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.start import Prepared, RunRequest, carry_out
from dacse_cli.training.sound.decoded import Decoded
from dacse_cli.training.sound.material import Use, find_material
from dacse_cli.training.sound.passages import Passages
from dacse_cli.training.sound.recordings import Files, Reader, Recording, digest, fingerprint, look

VALID_ROWS = 8
"""Rows per validation batch."""
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


def train_mask(request: MaskRequest, listener: Listener | None = None) -> TrainingResult:
    """Train, continuing from the state of `request.out`. Raises any `DacseError`."""
    return carry_out(request, partial(_prepare, request), listener)


def _prepare(request: MaskRequest, machine: Machine, listener: Listener) -> Prepared:
    recipe, part, data = request.recipe, request.recipe.model, request.recipe.data
    _check(request, machine)
    start = Path(part.start) if part.start is not None else None
    config = MaskConfig(width=part.width, dilations=part.blocks) if start is None else read_mask_config(start)
    codec = None if recipe.data.guide is None else load_codec(Path(recipe.data.guide))
    if codec is not None:
        config = replace(config, guides=1)
    elif config.guides:
        raise UsageError(f"{start} reads a guide", hint="Name the codec of its guides: `data.guide=FOLDER`")
    with machine.in_turn():
        use = Use(RATE, SHORTEST, data.valid, data.speeds)
        sound = find_material(request.clean, request.noise, use, request.out, request.jobs, listener)
        rooms, broken = look(request.rooms)
        for refused in broken:
            listener.remark(str(refused))
    mixes = partial(_mix, recipe, sound.train, sound.noises, rooms)

    def trainer(fresh: bool) -> MaskTrainer:
        torch.manual_seed(recipe.run.seed)
        network = WaveFilter(config, machine, recipe.run.bf16)
        if start is not None and fresh:
            load_start(network.network, load_mask_network(start))
        if request.compiled:
            network.compile()
        guides = None if codec is None else SimulatedGuides(codec, seed_of(recipe.run.seed, 5))
        rows = np.zeros(0, np.float32)
        if sound.valid.recordings:
            mix = _mix(recipe, sound.valid, sound.noises, rooms, 0, valid=True)
            rows = mix.batch(0, data.valid_rows)
        held_out = machine.share(rows, VALID_ROWS, dim=1)
        return MaskTrainer(network, recipe, machine, mixes, held_out, request.jobs, guides)

    settings: dict[str, Any] = {
        "kind": "mask",
        "config": asdict(config),
        "start": None if start is None else _contents(start),
        "guide": None if recipe.data.guide is None else _contents(Path(recipe.data.guide)),
        "data": asdict(recipe.data),
        "recordings": {
            "train": _digest_of(sound.train),
            "valid": _digest_of(sound.valid),
            "noise": _digest_of(sound.noises),
            "rooms": digest(rooms),
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


def _digest_of(sound: Reader) -> str | None:
    """A digest of decoded recordings: the name of their file, which is derived from their contents."""
    return sound.path.stem if isinstance(sound, Decoded) else None


def _contents(folder: Path) -> str:
    return fingerprint(folder / "model.safetensors" if folder.is_dir() else folder)


def _check(request: MaskRequest, machine: Machine) -> None:
    """Raise `UsageError` where recipe, recordings and processes do not fit together."""
    for stage in request.recipe.stage:
        machine.check_rows(stage.name, stage.rows)
        rated = stage.rows // machine.count * round(request.recipe.data.seconds * RATE)
        if stage.opinion and rated < RATED_SAMPLES:
            raise UsageError(f"{stage.name}: opinion needs rows of 9.01 s together in each of the processes")
    if NEED_NOISE & parse_recipe(request.recipe.data.mix).keys() and not request.noise:
        raise UsageError("the recipe mixes in noise", hint="Name recordings of noise (`noise`).")
    start = request.recipe.model.start
    if start is not None and not Path(start).is_dir():
        raise CheckpointError(f"{start} is not a folder", hint="Give the folder of a trained mask network.")


def _mix(
    recipe: MaskRecipe,
    speech: Reader,
    noises: Reader,
    rooms: tuple[Recording, ...],
    stage: int,
    *,
    valid: bool = False,
) -> LiveMix:
    """The source of a stage's rows, or of the validation rows."""
    data = recipe.data
    shares = None if valid else data.shares or None
    return LiveMix(
        Passages(speech.recordings, speech, round(data.seconds * RATE), shares=shares),
        seed_of(recipe.run.seed, stage, 3 if valid else 4),
        shares=parse_recipe(data.mix),
        noises=noises.recordings,
        noise_reader=noises,
        rooms=rooms,
        room_model="file" if rooms else choose_model(data.rooms),
    )
