"""What the journals of an output folder say, over all runs and shards. Writes nothing and takes no lock."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.errors import NoInputError
from dacse_cli.pipeline.record.journal import FOLDER, Journal, Record, holders


@dataclass(frozen=True)
class Status:
    """State of an output folder. Lists hold paths below it."""

    finished: int
    finished_bytes: int
    missing: list[str]
    """Finished once, but gone or changed since."""
    failed: list[tuple[str, str]]
    """(output, why) of inputs that failed in their last run."""
    writing: list[str]
    """Holders of locks: runs that are writing now."""
    journals: int


def look(output: Path) -> Status:
    """Raises `NoInputError` for a folder that no run has written to."""
    folder = output / FOLDER
    journals = sorted(folder.glob("journal*.jsonl"))
    if not journals:
        hint = "Give the OUTPUT folder of a run of `dacse enhance`, tokenize or detokenize."
        raise NoInputError(f"{output} holds no journal: no run has written there", hint=hint)
    writing = [line for path in holders(output) for line in path.read_text(errors="replace").splitlines()]
    return account(
        Journal.peek(output).records, lambda target: _size(output / target), writing, len(journals)
    )


def account(
    records: Mapping[str, Record], size_of: Callable[[str], int | None], writing: list[str], journals: int
) -> Status:
    """The state that `records` and the outputs there are tell together."""
    finished, size, missing, failed = 0, 0, [], []
    for target, record in records.items():
        if record["state"] == "failed":
            failed.append((target, str(record.get("message", ""))))
        elif "parts" in record:
            continue  # its parts have records of their own
        elif size_of(target) == record["size"]:
            finished += 1
            size += record["size"]
        else:
            missing.append(target)
    return Status(finished, size, missing, failed, writing, journals)


def _size(path: Path) -> int | None:
    try:
        return path.stat().st_size
    except OSError:
        return None
