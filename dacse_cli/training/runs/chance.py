"""Seeds from integer keys: every draw has its own key, and no generator is carried from step to step.

So a run can be continued at any step, in any process, without a generator's state in the checkpoint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import torch


def seed_of(*key: int) -> int:
    """A 63-bit seed; those of two keys of equal length with numbers below 2^32 differ as good as always."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def numpy_rng(*key: int) -> np.random.Generator:
    """A numpy generator for one draw."""
    return np.random.default_rng(np.random.SeedSequence(key))


def torch_rng(*key: int) -> torch.Generator:
    """A torch generator (CPU) for one draw."""
    import torch  # not at import: processes that only read and mix audio need no torch

    return torch.Generator().manual_seed(seed_of(*key))
