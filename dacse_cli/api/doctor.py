"""What this installation can do, and how fast, measured: the library call behind `dacse doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dacse_cli import __version__
from dacse_cli.config import DEFAULT_MODEL, ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import DacseError, ModelError
from dacse_cli.hub import resolve
from dacse_cli.interfaces import Translator
from dacse_cli.pipeline.request.find_models import find_models
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.platform import cores

PACKAGES = (
    "torch",
    "transformers",
    "safetensors",
    "huggingface-hub",
    "numpy",
    "soundfile",
    "soxr",
    "librosa",
)
LOW_DISK = 5e9
"""Bytes; the released model and its codec take about 4."""
TEST_SECONDS = 3.0


@dataclass(frozen=True)
class Finding:
    """One line: what was examined, its state (`ok`, `note` or `bad`), and what was found."""

    name: str
    state: str
    text: str


def examine(options: ModelOptions, tell: Callable[[Finding], None]) -> DacseError | None:
    """Examine everything and pass each finding to `tell`; returns the error that would stop `enhance`."""
    tell(
        Finding("dacse", "ok", f"{__version__} on Python {platform.python_version()}, {platform.platform()}")
    )
    tell(Finding("packages", "ok", ", ".join(f"{name} {_version(name)}" for name in PACKAGES)))
    tell(_cache())
    tell(_released())
    try:
        for finding in _try_model(options):
            tell(finding)
    except DacseError as error:
        hint = f" {error.hint}" if error.hint else ""
        tell(Finding("self-test", "bad", f"{error.message}.{hint}"))
        return error
    return None


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "missing"


def _cache() -> Finding:
    """Where models are kept, and whether there is room for more."""
    from dacse_cli.hub.cache.layout import cache_root

    root = cache_root()
    below = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(below).free
    state = "ok" if free > LOW_DISK and os.access(below, os.W_OK) else "note"
    return Finding("cache", state, f"{root}, {free / 1e9:.0f} GB free")


def _released() -> Finding:
    """Whether the released model is here already."""
    try:
        found = resolve(DEFAULT_MODEL, kind="model", offline=True)
    except ModelError:
        return Finding("released model", "note", f"{DEFAULT_MODEL} is not in the cache: run `dacse download`")
    return Finding("released model", "ok", f"{DEFAULT_MODEL} in {found.folder}")


def _try_model(options: ModelOptions) -> Iterator[Finding]:
    """Load the model, compute its limits, and enhance a few seconds of noise with it."""
    import numpy as np

    from dacse_cli.api.enhancer import Enhancer

    request = Request(Form.ENHANCE, (), None, options, ChunkOptions(), SoundOptions()).check()
    found = find_models(request)
    enhancer = Enhancer.from_found(found)
    where = f" in {found.model.folder}" if found.model else ""
    yield Finding("model", "ok", f"{options.model}{where}")
    if enhancer.models.translator is not None:
        yield from _limits(enhancer.models, enhancer.models.translator, enhancer.batch_size)
    noise = 0.05 * np.random.default_rng(0).standard_normal((1, int(16000 * TEST_SECONDS))).astype(np.float32)
    began = time.perf_counter()
    with enhancer:
        result = enhancer.enhance(noise, 16000)
    elapsed = time.perf_counter() - began
    whole = result.samples.shape == noise.shape and bool(np.isfinite(result.samples).all())
    pace = f"{TEST_SECONDS:.0f} s of audio in {elapsed:.1f} s ({TEST_SECONDS / elapsed:.2f} x real time)"
    yield Finding("self-test", "ok" if whole else "bad", pace)


def _limits(models: Models, translator: Translator, rows: int) -> Iterator[Finding]:
    """What memory and its bandwidth allow."""
    from dacse_cli.lm.bandwidth import read_bandwidth

    frames = models.need_grid.chunk
    yield Finding("runs", "ok", f"{translator.describe()}; {_device_name(translator.device)}")
    row = translator.row_bytes(frames)
    yield Finding("memory", "ok", f"{row / 1e6:.0f} MB per chunk, {rows} chunks at once")
    read = read_bandwidth(translator.device)
    step = translator.weight_bytes + rows * 0.75 * row  # a cache that grows to `row` bytes
    bound = rows / (step / read) / float(models.spec.frame_rate * translator.steps_per_frame)
    text = f"{read / 1e9:.0f} GB/s read; at most {bound:.1f} x real time by that"
    yield Finding("bandwidth", "ok", text)


def _device_name(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)}, capability {major}.{minor}"
    return f"{cores()} cores, {torch.get_num_threads()} threads"
