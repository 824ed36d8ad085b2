"""How many of a CPU's cores the models use: one policy for the command, the library and `doctor`.

A small translator gets one thread: a step of `nano` is hundreds of operations of microseconds, threads meet
after each, and wherever anything else wants a core all of them wait (measured beside one busy core, two
threads took 10 to 25 times as long per step as one). The cores it leaves free are the codec's. A large
translator takes all cores of its share. A filter alone is as small: on two cores that others used as well,
README's first command took 27 s of CPU time with torch's own choice of threads and 4 s with one.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from dataclasses import dataclass

from dacse_cli.interfaces import Translator
from dacse_cli.pipeline.task.models import Models
from dacse_cli.platform import cores

SMALL_MODEL_BYTES = 100_000_000


@dataclass(frozen=True)
class Threads:
    """How the work of one process is divided among threads."""

    count: int | None
    """Threads of torch; None keeps torch's default."""
    beside: bool
    """Whether codec and file work run in another thread than the translator."""


def plan_threads(models: Models, sharing: int = 1, machine: int | None = None) -> Threads:
    """Threads for one of `sharing` processes on a machine with `cores` cores (default: this machine's)."""
    share = max(1, (machine or cores()) // sharing)
    translator = models.translator
    if translator is None:
        return Threads(1 if models.codec is None else None, beside=False)
    if not translator.device.startswith("cpu"):  # the translator runs on a GPU
        return Threads(None, beside=True)
    small = is_small(translator)
    return Threads(1 if small else share, beside=small and share > 1)


def is_small(translator: Translator) -> bool:
    """Whether the translator is so small that several threads would mostly wait for each other."""
    return translator.weight_bytes < SMALL_MODEL_BYTES


@contextlib.contextmanager
def applied(threads: Threads) -> Iterator[None]:
    """Context manager: inside it, torch uses the planned number of threads."""
    torch = sys.modules.get("torch")
    if threads.count is None or torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(threads.count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
