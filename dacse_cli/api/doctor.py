"""What this installation can do, and how fast, measured: the library call behind `dacse doctor`."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dacse_cli import __version__
from dacse_cli.config import DEFAULT_MODEL, ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import DacseError, ModelError
from dacse_cli.hub import resolve
from dacse_cli.hub.choice import has_gpu
from dacse_cli.pipeline.request.find_models import find_models
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.platform import cores

if TYPE_CHECKING:
    from dacse_cli.api.enhancer import Enhancer

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
"""Free bytes below which the cache gets a note; the released model and its codec take about 4e9."""
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
    missing = [name for name in PACKAGES if _version(name) is None]
    versions = ", ".join(f"{name} {_version(name) or 'missing'}" for name in PACKAGES)
    tell(Finding("packages", "note" if missing else "ok", versions))
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


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cache() -> Finding:
    """Where models are kept, and whether there is room for more."""
    from dacse_cli.hub.cache.layout import cache_root

    root = cache_root()
    below = next(path for path in (root, *root.parents) if path.exists())
    free = shutil.disk_usage(below).free
    state = "ok" if free > LOW_DISK and os.access(below, os.W_OK) else "note"
    return Finding("cache", state, f"{root}, {free / 1e9:.0f} GB free")


def _released() -> Finding:
    """Whether the released model is in the cache; without a GPU it is not needed."""
    try:
        found = resolve(DEFAULT_MODEL, kind="model", offline=True)
    except ModelError:
        missing = f"{DEFAULT_MODEL} is not in the cache"
        if not has_gpu():
            return Finding("released model", "ok", f"{missing}, and without a GPU not used by default")
        return Finding("released model", "note", f"{missing}: run `dacse download` (4 GB)")
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
    yield from _limits(enhancer)
    noise = 0.05 * np.random.default_rng(0).standard_normal((1, int(16000 * TEST_SECONDS))).astype(np.float32)
    began = time.perf_counter()
    with enhancer:
        result = enhancer.enhance(noise, 16000)
    elapsed = time.perf_counter() - began
    whole = result.samples.shape == noise.shape and bool(np.isfinite(result.samples).all())
    pace = f"{TEST_SECONDS / elapsed:.1f} x real time"
    text = f"{TEST_SECONDS:.0f} s of mono at 16 kHz in {elapsed:.1f} s ({pace}, without loading the model)"
    yield Finding("self-test", "ok" if whole else "bad", text)


def _limits(enhancer: Enhancer) -> Iterator[Finding]:
    """The device, its memory and bandwidth, and the batch and speed that they allow a token model."""
    from dacse_cli.lm.bandwidth import read_bandwidth
    from dacse_cli.lm.memory import free_memory

    models, translator = enhancer.models, enhancer.models.translator
    device = translator.device if translator is not None else "cpu"  # filters run on the CPU
    yield Finding("device", "ok", f"{device}: {_device_name(device)}")
    memory = f"{free_memory(device) / 1e9:.1f} GB free"
    read = read_bandwidth(device)
    if translator is None:
        yield Finding("memory", "ok", memory)
        yield Finding("bandwidth", "ok", f"{read / 1e9:.0f} GB/s read")
        return
    yield Finding("runs", "ok", translator.describe())
    rows, row = enhancer.batch_size, translator.row_bytes(models.need_grid.chunk)
    yield Finding("memory", "ok", f"{memory}; {row / 1e6:.0f} MB per chunk, {rows} chunks at once")
    step = translator.weight_bytes + rows * 0.75 * row  # the mean of a cache that grows to `row` bytes
    bound = rows / (step / read) / float(models.spec.frame_rate * translator.steps_per_frame)
    text = f"{read / 1e9:.0f} GB/s read, which allows at most {bound:.1f} x real time"
    yield Finding("bandwidth", "ok", text)


def _device_name(device: str) -> str:
    import torch

    if device.startswith("cuda"):
        major, minor = torch.cuda.get_device_capability(device)
        return f"{torch.cuda.get_device_name(device)}, capability {major}.{minor}"
    threads = torch.get_num_threads()
    return f"{cores()} cores, {threads} thread{'s' * (threads != 1)} used"
