"""`train lm` as one call: recipe and folders in, model folders out."""

from __future__ import annotations

import math
import shutil
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import torch
from transformers import LlamaForCausalLM

from dacse_cli.codec.loading import load_codec
from dacse_cli.errors import UsageError
from dacse_cli.hub import Resolved
from dacse_cli.hub.names import parse_hub_name
from dacse_cli.interfaces import CodecSpec, Codes
from dacse_cli.tokens.layout import TokenLayout
from dacse_cli.training.codec.network import stored_codec
from dacse_cli.training.lm.network import fresh_network, stored_network, write_language_model
from dacse_cli.training.lm.pairs.data import Data, Surroundings
from dacse_cli.training.lm.pairs.start import PairRequest, find_networks, open_data, settings_of
from dacse_cli.training.lm.pasts import ResidualTargets
from dacse_cli.training.lm.recipe import LmRecipe, Stage
from dacse_cli.training.lm.sizes import config_from, published_config
from dacse_cli.training.lm.trainer import LmTrainer
from dacse_cli.training.runs.loop import Listener, TrainingResult
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.recipe import nothing_named
from dacse_cli.training.runs.start import Prepared, carry_out

CHUNK_SHARE = 0.8
"""Share of a model's positions used for a chunk: the rest is for a short tail merged into the last chunk."""


@dataclass(frozen=True, kw_only=True)
class LmRequest(PairRequest):
    """What `train lm` is asked for."""

    recipe: LmRecipe


def train_lm(request: LmRequest, listener: Listener | None = None) -> TrainingResult:
    """Train, continuing from the state of `request.out`. Raises any `DacseError`."""
    return carry_out(request, partial(_prepare, request), listener)


def _prepare(request: LmRequest, machine: Machine, listener: Listener) -> Prepared:
    """Codec, network and data."""
    recipe = request.recipe
    with machine.in_turn():
        start, codec = find_networks(request, listener)
    codec_network = load_codec(codec.folder, device=str(machine.device), name=codec.name)
    spec = codec_network.spec
    if not isinstance(spec.units, Codes):
        raise UsageError(f"{codec.name} makes latents; a language model needs a codec of codes")
    layout = TokenLayout.of(spec.units)
    model = _network(recipe, layout, start, codec)
    longest = (model.config.max_position_embeddings - 3) // (2 * layout.n_codebooks)
    data = open_data(request, Surroundings(codec_network, codec.sha256, recipe, machine, longest), listener)
    write = _Writer(recipe, data, codec, spec, longest)

    def trainer(fresh: bool) -> LmTrainer:
        residual = any(stage.targets == "residual" for stage in recipe.stages())
        targets = ResidualTargets(stored_codec(codec.folder).to(machine.device)) if residual else None
        return LmTrainer(model, layout, recipe, machine, data.stage, write, targets)

    return Prepared(settings_of("lm", recipe.model, recipe.data, data, codec, start), trainer)


def _network(
    recipe: LmRecipe, layout: TokenLayout, start: Resolved | None, codec: Resolved
) -> LlamaForCausalLM:
    if start is not None:
        return stored_network(start.folder, layout)
    if recipe.model.config is not None:
        config = config_from(Path(recipe.model.config), layout)
    elif recipe.model.size is not None:
        config = published_config(recipe.model.size, layout)
    else:
        raise nothing_named("network")
    with_codec = None if recipe.model.embeddings == "random" else codec.folder
    copied = recipe.stages()[0].frames if recipe.model.embeddings == "copy" else None
    return fresh_network(config, recipe.run.seed, with_codec, copied)


class _Writer:
    """Writes model folders: the network, its codec if that is a local folder, and a card."""

    def __init__(self, recipe: LmRecipe, data: Data, codec: Resolved, spec: CodecSpec, longest: int) -> None:
        self._recipe, self._codec, self._data, self._rate = recipe, codec, data, spec.frame_rate
        self._longest = int(CHUNK_SHARE * longest)

    def __call__(self, folder: Path, model: LlamaForCausalLM, stage: Stage) -> None:
        """Write `folder`."""
        start = self._recipe.model.start
        frames = stage.frames or self._data.typical_frames
        card = {
            "codec": self._codec_name(folder),
            "chunk_seconds": chunk_seconds(min(frames, self._longest), self._rate),
            "fixed_chunk": stage.fixed,
            "training": f"dacse train lm: {self._data.summary}; stage {stage.name}"
            + (f"; from {start}" if start else ""),
        }
        write_language_model(folder, model, card, dtype=getattr(torch, self._recipe.model.store))

    def _codec_name(self, folder: Path) -> str:
        """The id of a codec on the Hub; a local codec is copied into the model folder."""
        if self._codec.revision is not None and parse_hub_name(self._codec.name):
            return self._codec.name
        (folder / "codec").mkdir()
        for path in self._codec.folder.iterdir():
            if path.suffix in (".json", ".safetensors"):
                shutil.copyfile(path, folder / "codec" / path.name)
        return "codec"


def chunk_seconds(frames: int, frame_rate: Fraction) -> float:
    """Seconds, rounded up to a tenth of a millisecond, that hold exactly `frames` frames."""
    return math.ceil(frames / frame_rate * 10_000) / 10_000
