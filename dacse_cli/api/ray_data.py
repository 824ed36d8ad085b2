"""A callable class for `map_batches` in your own Ray Data pipeline. Loads torch when it is used.

`examples/scale/README.md` has an example.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dacse_cli.errors import InputError


class EnhanceFiles:
    """Enhances files named by the columns `source` and `target`; the models stay in memory between batches.

    Adds the columns `outcome` (`done`, `skipped` or `failed`), `reason` and `message` of the command line.
    Waveforms never pass through Ray's object store. Existing targets are skipped, so a batch that Ray repeats
    after a failure processes only its unfinished files. Targets are written completely or not at all. A bad
    input does not stop the others; an error that concerns all of them (no model, device, space) is raised.
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
