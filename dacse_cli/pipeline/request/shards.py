"""One run split into parts for a cluster: which part an input belongs to, and which part this process is."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass

from dacse_cli.errors import UsageError


@dataclass(frozen=True)
class Shard:
    """Part `index` (from 1) of `count`."""

    index: int
    count: int

    def holds(self, relative: str) -> bool:
        """Whether the input at this path below its folder belongs here.

        Decided by a hash of the path, so that adding inputs moves no other input to another part.
        """
        digest = hashlib.sha256(relative.encode("utf-8", "surrogateescape")).digest()
        return int.from_bytes(digest[:8], "big") % self.count == self.index - 1


def parse_shard(text: str, environ: Mapping[str, str] = os.environ) -> Shard:
    """`2/4`, or `slurm`: from the variables of a Slurm array job. Raises `UsageError`."""
    try:
        if text == "slurm":
            first = int(environ.get("SLURM_ARRAY_TASK_MIN", "0"))
            index, count = (
                int(environ["SLURM_ARRAY_TASK_ID"]) - first + 1,
                int(environ["SLURM_ARRAY_TASK_COUNT"]),
            )
        else:
            index, count = map(int, text.split("/"))
    except KeyError as error:
        raise UsageError(f"`shard` slurm: {error.args[0]} is not set, so this is not an array job") from None
    except ValueError:
        raise UsageError(f"`shard` {text} is neither like 2/4 nor slurm") from None
    if not 1 <= index <= count:
        raise UsageError(f"`shard` {text}: there is no part {index} of {count}")
    return Shard(index, count)
