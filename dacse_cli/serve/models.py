"""The models a server keeps: found at once, loaded later and elsewhere."""

from __future__ import annotations

from collections.abc import Callable

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.pipeline.request.networks import Download, chain_files, find_networks
from dacse_cli.pipeline.request.request import Request
from dacse_cli.serve.worker import Models


def find_models(models: ModelOptions, chunk: ChunkOptions, progress: Download) -> Callable[[], Models]:
    """Find or download the networks; what loads them. Raises `UsageError`, `ModelError`. Imports no torch."""
    request = Request("enhance", (), None, models, chunk, SoundOptions()).check()
    files = chain_files(request, find_networks(models, with_model=True, progress=progress))

    def load() -> Models:
        from dacse_cli.api.enhancer import Enhancer

        return Enhancer.from_files(files)

    return load
