"""`train set` as one call: recipe and folders in, model folders out."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from dacse_cli.codec.dac.codec import UnitKind
from dacse_cli.codec.loading import load_codec
from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.hub import Resolved
from dacse_cli.interfaces import CodecSpec, Codes, Latents
from dacse_cli.set.checkpoint import load_network
from dacse_cli.set.network import SetNetwork, fresh_network
from dacse_cli.set.shape import SetShape
from dacse_cli.training.lm.pairs.data import Data, Surroundings
from dacse_cli.training.lm.pairs.start import PairRequest, find_networks, open_data, settings_of
from dacse_cli.training.lm.run import chunk_seconds
from dacse_cli.training.runs.loop import Listener, TrainingResult
from dacse_cli.training.runs.machine import Machine
from dacse_cli.training.runs.recipe import nothing_named
from dacse_cli.training.runs.start import Prepared, carry_out
from dacse_cli.training.set.batch import collate
from dacse_cli.training.set.copy_start import start_copy
from dacse_cli.training.set.folders import ModelWriter, check_books
from dacse_cli.training.set.recipe import SetRecipe, Stage
from dacse_cli.training.set.sizes import config_from, shape_of, sized_config
from dacse_cli.training.set.start import code_vectors, fit_scale, start_embeddings, start_head
from dacse_cli.training.set.trainer import SetTrainer

LONGEST_TAIL = 1.25
"""A last chunk shorter than a quarter is merged into the one before it (`ChunkOptions.min_seconds`)."""
FITTED = 128
"""Pairs from which the scale of latents, or the copying head, is computed."""


@dataclass(frozen=True, kw_only=True)
class SetRequest(PairRequest):
    """What `train set` is asked for."""

    recipe: SetRecipe


def train_set(request: SetRequest, listener: Listener | None = None) -> TrainingResult:
    """Train, continuing from the state of `request.out`. Raises any `DacseError`."""
    return carry_out(request, partial(_prepare, request), listener)


def _prepare(request: SetRequest, machine: Machine, listener: Listener) -> Prepared:
    """Codec, network and data."""
    recipe = request.recipe
    with machine.in_turn():
        start, codec = find_networks(request, listener)
    over_latents = recipe.model.units == "latents"
    units: UnitKind = "latents" if over_latents else "codes"
    sounding = load_codec(codec.folder, device=str(machine.device), name=codec.name, units=units)
    network = _network(recipe, _units(recipe, sounding.spec.units), start, codec)
    mark = f"{codec.sha256} latents" if over_latents else codec.sha256
    around = Surroundings(sounding, mark, recipe, machine, network.shape.max_frames)
    data = open_data(request, around, listener)

    def write(folder: Path, trained: SetNetwork, stage: Stage) -> None:
        _writer(recipe, codec, sounding.spec, data, stage, trained.shape)(folder, trained)

    def trainer(fresh: bool) -> SetTrainer:
        over_codes = network.shape.latents is None
        if fresh and start is None and (not over_codes or recipe.model.embeddings == "copy"):
            source, _ = data.stage(0, recipe.stages()[0])
            batches = [source.batch(n) for n in range(-(-FITTED // recipe.stages()[0].rows))]
            source.close()
            if over_codes:
                here, books = Machine(torch.device("cpu")), network.shape.codes.books
                start_copy(network, [collate(pairs, here, books) for pairs in batches])
            else:
                fit_scale(network, [pair for pairs in batches for pair in pairs])
        return SetTrainer(network, recipe, machine, data.stage, write)

    return Prepared(settings_of("set", recipe.model, recipe.data, data, codec, start), trainer)


def _units(recipe: SetRecipe, of_codec: Codes | Latents) -> Codes | Latents:
    """The units that the network reads and writes."""
    if isinstance(of_codec, Latents):
        if recipe.model.units == "codes":
            raise UsageError("this codec makes latents, not codes", hint='Use `model.units="latents"`.')
        return of_codec
    books = recipe.model.codebooks or of_codec.books
    check_books(of_codec.books, books)
    return Codes(books, of_codec.size)


def _network(
    recipe: SetRecipe, units: Codes | Latents, start: Resolved | None, codec: Resolved
) -> SetNetwork:
    model = recipe.model
    if start is not None:
        network = load_network(start.folder).requires_grad_(True)
        if network.shape.units != units:
            raise CheckpointError(
                f"the model in {start.folder} is over {network.shape.units}, not over {units}",
                hint="Name the codec this model was trained with (`codec`), and its codebooks.",
            )
        return network
    if model.config is not None:
        config = config_from(Path(model.config))
    elif model.size is not None:
        config = sized_config(model.size)
    else:
        raise nothing_named("network")
    network = fresh_network(shape_of(config, units), recipe.run.seed)
    if model.embeddings != "random" and isinstance(units, Codes):
        shape = network.shape
        if model.embeddings == "copy" and not (
            shape.head_width and (shape.embedding_width or 0) >= units.books
        ):
            raise UsageError("embeddings = copy needs head_width, and embedding_width of at least codebooks")
        vectors = code_vectors(codec.folder, units.books)
        start_head(network, vectors)
        if model.embeddings == "codebooks":  # `start_copy` places them otherwise
            start_embeddings(network, vectors)
    return network


def chunk_frames(shape: SetShape, trained: int | None, typical: int) -> int:
    """Frames of a chunk in use, without its context; `trained`: the row length of the training.

    With its context a chunk should be as long as the training rows: at twice their length a network
    trained for 300 steps on 100 frames wrote 22.5 instead of 23.8 % of held-out codes right. And the model
    must have room for a last chunk that a short tail has joined.
    """
    context = shape.context_before + shape.context_after
    wanted = typical if trained is None else max(trained - context, trained // 2)
    return max(1, min(wanted, int((shape.max_frames - context) / LONGEST_TAIL)))


def _writer(
    recipe: SetRecipe, codec: Resolved, spec: CodecSpec, data: Data, stage: Stage, shape: SetShape
) -> ModelWriter:
    start, books, units = recipe.model.start, recipe.model.codebooks, spec.units
    whole = not isinstance(units, Codes) or books == units.books
    return ModelWriter(
        codec,
        None if whole else books,
        chunk_seconds(chunk_frames(shape, stage.frames, data.typical_frames), spec.frame_rate),
        f"dacse train set: {data.summary}; stage {stage.name}" + (f"; from {start}" if start else ""),
    )
