"""The models a server keeps: found at once, loaded later and elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.pipeline.request import find_models as finding
from dacse_cli.pipeline.request.find_models import Download
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.serve.worker import Models


def find_models(models: ModelOptions, chunk: ChunkOptions, progress: Download) -> Callable[[], Models]:
    """Find or download the models; what loads them. Raises `UsageError`, `ModelError`. Imports no torch."""
    request = Request(Form.ENHANCE, (), None, models, chunk, SoundOptions()).check()
    found = finding.find_models(request, progress)

    def load() -> Models:
        from dacse_cli.api.enhancer import Enhancer

        return Enhancer.from_found(found)

    return load
