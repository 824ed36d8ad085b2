"""For people's own Ray Data pipelines: a callable class for `map_batches`. Loads torch when it is used.

An example stands in `examples/scale/README.md`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dacse_cli.errors import InputError


class EnhanceFiles:
    """Enhances files named by the columns `source` and `target`; the models stay in memory between batches.

    Adds the columns `outcome` (`done`, `skipped` or `failed`), `reason` and `message` of the command line.
    Waveforms never pass through Ray's object store. A target that is there is skipped: so a batch that Ray
    runs again after a failure costs only what was not finished. Targets appear whole or not at all. Inputs
    fail alone; what concerns all of them (no model, no device, no space) is raised.
    """

    def __init__(self, model: str = "disco-eth/DAC-SE1", *, overwrite: bool = False, **options: Any) -> None:
        """`options` are those of `Enhancer`."""
        from dacse_cli.api.enhancer import Enhancer

        self._enhancer = Enhancer(model, **options)
        self._overwrite = overwrite

    def __call__(self, batch: dict[str, np.ndarray[Any, Any]]) -> dict[str, np.ndarray[Any, Any]]:
        """Columns in, the same columns and the outcomes out."""
        pairs = zip(batch["source"], batch["target"], strict=True)
        ends = [self._one(str(source), str(target)) for source, target in pairs]
        outcome, reason, message = (np.array(column, dtype=object) for column in zip(*ends, strict=True))
        return {**batch, "outcome": outcome, "reason": reason, "message": message}

    def _one(self, source: str, target: str) -> tuple[str, str, str]:
        if Path(target).exists() and not self._overwrite:
            return "skipped", "exists", "an output exists"
        try:
            self._enhancer.enhance_file(source, target)
        except InputError as error:
            return "failed", error.reason, error.message
        return "done", "", ""
