"""Randomness by number: every draw has a key of integers, and no generator lives from one step to the next.

So a run can be taken up at any step, in any process, without a generator's state in the checkpoint.
"""

from __future__ import annotations

import numpy as np
import torch


def seed_of(*key: int) -> int:
    """A 63-bit seed that is like that of no other key."""
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> 1)


def numpy_rng(*key: int) -> np.random.Generator:
    """A numpy generator for one draw."""
    return np.random.default_rng(np.random.SeedSequence(key))


def torch_rng(*key: int) -> torch.Generator:
    """A torch generator (CPU) for one draw."""
    return torch.Generator().manual_seed(seed_of(*key))
