"""Models named by options: found immediately, without torch; loaded when they are needed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.pipeline.request import find_models as finding
from dacse_cli.pipeline.request.find_models import Download
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.wire.messages import Form

if TYPE_CHECKING:
    from dacse_cli.api.enhancer import Enhancer


def find_enhancer(models: ModelOptions, chunk: ChunkOptions, progress: Download) -> Callable[[], Enhancer]:
    """Find or download the models; returns a function that loads them. Raises `UsageError`, `ModelError`."""
    request = Request(Form.ENHANCE, (), None, models, chunk, SoundOptions()).check()
    found = finding.find_models(request, progress)

    def load() -> Enhancer:
        from dacse_cli.api.enhancer import Enhancer

        return Enhancer.from_found(found)

    return load


def open_enhancer(models: ModelOptions, chunk: ChunkOptions, progress: Download) -> Enhancer:
    """Find or download the models and load them. Raises `UsageError`, `ModelError`, `DeviceError`."""
    return find_enhancer(models, chunk, progress)()
