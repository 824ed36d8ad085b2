"""A plan of parts -> models ready to run, and how many chunks they translate at once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from dacse_cli import registry
from dacse_cli.errors import CheckpointError, DeviceError
from dacse_cli.interfaces import Codec, Filter, Translator, in_words
from dacse_cli.pipeline.task.chunks import ChunkGrid
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.wire.failures import is_out_of_memory
from dacse_cli.pipeline.wire.model_plan import ModelPlan, Part

FIXED_ROWS = {"cpu": 8, "cuda": 32, "mps": 8}
"""Rows per batch where a result must not depend on the other chunks of its batch."""


def load_models(plan: ModelPlan) -> Models:
    """Load everything. Raises `DeviceError`, `CodecError`, `CheckpointError`, `ModelError`."""
    codec = _codec(plan, plan.codec) if plan.codec else None
    spec = codec.spec if codec else None
    options = registry.LoadOptions(
        device=plan.device,
        dtype=plan.dtype,
        kv=plan.kv,
        beam=plan.beam,
        expansion=plan.expansion,
        codec=spec,
    )
    if codec is not None and plan.deterministic:
        codec.rows = 1  # the rounding of a batch may depend on the other files in it
    translator = grid = filter_ = recogniser = None
    if plan.translator:
        assert codec is not None
        kind = registry.by_name(plan.translator.kind)
        translator = registry.load_translator(kind, Path(plan.translator.folder), options)
        if translator.units != codec.spec.units:
            ours, theirs = in_words(translator.units), in_words(codec.spec.units)
            raise CheckpointError(
                f"the model is over {ours}, the codec {plan.codec and plan.codec.name} makes {theirs}",
                hint="Name the codec this model was trained with (`codec`).",
            )
        grid = ChunkGrid.from_options(plan.chunk, codec.spec.frame_rate, translator.context)
        _check_length(grid, translator)
        if plan.deterministic:
            _fix_shape(translator, grid, plan.batch_size)
    if plan.filter:
        filter_ = _filter(plan.filter, options)
    if plan.second_opinion:
        from dacse_cli.speech.recogniser import load as load_recogniser

        recogniser = load_recogniser(plan.second_opinion)
    name = plan.codec.name if plan.codec else ""
    return Models(codec, translator, filter_, grid, name, recogniser)


def with_filter(models: Models, plan: ModelPlan) -> Models:
    """Loaded models with the filter of another plan. Raises `ModelError`."""
    if plan.filter is None:
        return replace(models, filter=None)
    spec = models.codec.spec if models.codec else None
    filter_ = _filter(plan.filter, registry.LoadOptions(device=plan.device, dtype=plan.dtype, codec=spec))
    if plan.translator is None:
        return Models(filter=filter_, recogniser=models.recogniser)
    return replace(models, filter=filter_)


def _filter(part: Part, options: registry.LoadOptions) -> Filter:
    return registry.load_filter(registry.by_name(part.kind), Path(part.folder), options)


def _codec(plan: ModelPlan, part: Part) -> Codec:
    from dacse_cli.lm.device import resolve_device

    device = resolve_device(plan.device)
    options = registry.LoadOptions(
        part.name,
        device,
        latents=part.latents,
        quantised=part.quantised,
        exact=plan.deterministic or plan.dtype == "float32",
    )
    return registry.load_codec(registry.by_name(part.kind), Path(part.folder), options)


def fitting_batch(plan: ModelPlan, models: Models) -> int:
    """Chunks to translate at once: as asked, or what fits the free memory."""
    translator = models.translator
    if translator is None:
        return 1
    if plan.batch_size is not None:
        return plan.batch_size
    device = translator.device.split(":")[0]
    if plan.deterministic:  # the amount of free memory changes from run to run
        return FIXED_ROWS[device]
    from dacse_cli.lm.memory import fit_batch, free_memory

    row = translator.row_bytes(models.need_grid.longest)
    return fit_batch(row, free_memory(translator.device), translator.useful_rows)


def prepared_batch(models: Models, rows: int) -> int:
    """Allocate what batches of `rows` chunks need before the first file; returns how many rows fit.

    Then no batch has to wait for it, and `describe` reports what will really be used.
    """
    translator = models.translator
    while translator is not None:
        try:
            translator.prepare(rows, models.need_grid.longest)
            break
        except Exception as error:
            if rows == 1 or not is_out_of_memory(error):
                raise
        rows //= 2
    return rows


def _fix_shape(translator: Translator, grid: ChunkGrid, rows: int | None) -> None:
    """One shape for all batches; the memory for it is taken at once. Raises `DeviceError`."""
    rows = rows or FIXED_ROWS[translator.device.split(":")[0]]
    try:
        translator.fix(rows, grid.longest)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        needed = rows * translator.row_bytes(grid.longest)
        raise DeviceError(
            f"no memory for {rows} chunks at once ({needed / 1e9:.1f} GB), which `deterministic` needs",
            hint="Give a smaller `batch_size`, always the same one.",
        ) from error


def _check_length(grid: ChunkGrid, translator: Translator) -> None:
    """The longest chunk of any plan, context included, must fit the model."""
    available = translator.max_frames
    if available is not None and grid.longest > available:
        raise CheckpointError(
            f"the longest chunk has {grid.longest} frames, the model takes at most {available}",
            hint="Give a shorter `chunk`; a short tail is merged into the last chunk.",
        )
