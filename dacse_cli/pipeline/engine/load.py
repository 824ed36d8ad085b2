"""Folders -> networks ready to run."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from dacse_cli.codec.loading import load_codec
from dacse_cli.codec.memory import tune_allocator
from dacse_cli.config import ChunkOptions
from dacse_cli.errors import CheckpointError, CodecError, DeviceError
from dacse_cli.interfaces import Codes
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.device import resolve_device
from dacse_cli.lm.generate import LanguageModel
from dacse_cli.lm.memory import fit_batch, free_memory
from dacse_cli.lm.rows import FixedShape
from dacse_cli.pipeline.request.plan import ChainFiles
from dacse_cli.pipeline.task.chunks import ChunkGrid
from dacse_cli.pipeline.task.task import Chain
from dacse_cli.pipeline.wire.failures import is_out_of_memory
from dacse_cli.speech.recogniser import load as load_recogniser
from dacse_cli.tokens.layout import TokenLayout

FIXED_ROWS = {"cpu": 8, "cuda": 32, "mps": 8}
"""Rows of every batch where results must not depend on what else is in it."""


def load_chain(files: ChainFiles) -> Chain:
    """Load everything. Raises `DeviceError`, `CodecError`, `CheckpointError`, `ModelError`."""
    _quiet_libraries()
    device = resolve_device(files.device)
    if device == "cpu":
        tune_allocator()
    codec = load_codec(Path(files.codec_folder), device=device, name=files.codec_name)
    spec = codec.spec
    if not isinstance(spec.units, Codes):
        raise CodecError(f"{files.codec_name} makes latents, not codes")
    layout = TokenLayout.of(spec.units)
    grid = ChunkGrid.from_options(ChunkOptions.from_json(files.chunk), spec.frame_rate)
    lm = None
    if files.model_folder is not None:
        folder = Path(files.model_folder)
        lm = load_language_model(
            folder, device=device, dtype=files.dtype, vocab_size=layout.vocab_size, kv=files.kv
        )
        _check_context(grid, layout, lm.max_positions)
        if files.deterministic:
            _fix_shape(lm, grid, layout, files.batch_size)
    recogniser = load_recogniser(files.second_opinion) if files.second_opinion else None
    return Chain(codec, lm, layout, grid, files.codec_name, files.method, recogniser)


def fitting_batch(files: ChainFiles, chain: Chain) -> int:
    """Rows to generate at once: as asked, or what fits the free memory."""
    if chain.lm is None:
        return 1
    if files.batch_size is not None:
        return files.batch_size
    if files.deterministic:  # free memory is not the same on another day
        return FIXED_ROWS[chain.lm.device.split(":")[0]]
    row = chain.lm.row_bytes(chain.layout.positions(chain.grid.longest))
    return fit_batch(row, free_memory(chain.lm.device), chain.lm.useful_rows)


def prepare_steps(chain: Chain, rows: int) -> int:
    """Take the memory for batches of `rows` chunks and capture their steps (CUDA); how many rows fit.

    Before the first file, so that no batch waits for it and `describe` says what will run.
    """
    if chain.lm is None or not chain.lm.device.startswith("cuda"):
        return rows
    while True:
        try:
            chain.lm.prepare(rows, chain.layout.positions(chain.grid.longest), chain.layout.ranges)
            return rows
        except Exception as error:
            if rows == 1 or not is_out_of_memory(error):
                raise
        rows //= 2


def _fix_shape(lm: LanguageModel, grid: ChunkGrid, layout: TokenLayout, rows: int | None) -> None:
    """One shape for all batches; the memory for it is taken at once. Raises `DeviceError`."""
    positions = layout.positions(grid.longest)
    answer = layout.n_codebooks * grid.longest
    shape = FixedShape(rows or FIXED_ROWS[lm.device.split(":")[0]], positions - answer, positions)
    try:
        lm.fix(shape)
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        needed = shape.rows * lm.row_bytes(positions)
        raise DeviceError(
            f"no memory for {shape.rows} chunks at once ({needed / 1e9:.1f} GB), which --deterministic wants",
            hint="Give a smaller --batch-size, always the same one.",
        ) from error


def _check_context(grid: ChunkGrid, layout: TokenLayout, available: int) -> None:
    """The longest chunk of any plan, prompt and answer, must fit the model's context."""
    needed = layout.positions(grid.longest)
    if needed > available:
        fits = (available - 2) // (2 * layout.n_codebooks)
        raise CheckpointError(
            f"a chunk of {grid.longest} frames needs {needed} positions, the model has {available}",
            hint=f"Give a shorter --chunk: at most {fits} frames, a merged tail included.",
        )


def _quiet_libraries() -> None:
    """No library talks to the Hub or to the terminal from here on."""
    os.environ["HF_HUB_OFFLINE"] = "1"
    os.environ["DISABLE_SAFETENSORS_CONVERSION"] = "1"
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    logging.getLogger("transformers").setLevel(logging.ERROR)
