"""Matches recordings: same path below their folders, whatever the suffix.

Uses names only; opens no file.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.errors import NoInputError, UsageError

NOISY = "noisy"
"""Name of the system that is the unprocessed input."""
NAMED_AT_MOST = 5


@dataclass(frozen=True)
class Item:
    """One recording with the outputs of all systems."""

    key: str
    """Relative path without suffix, with `/`."""
    clean: Path | None
    systems: tuple[tuple[str, Path], ...]
    """(system, file) in the order of the systems."""


def system_names(folders: Sequence[Path], noisy: Path | None) -> dict[str, Path]:
    """A name for every system: the last part of its path where that is unique, else the whole path.

    Raises `UsageError` where one path is given twice.
    """
    names = [path.name if path.is_dir() else path.stem for path in folders]
    often = Counter([*names, *([NOISY] if noisy else [])])
    named = {} if noisy is None else {NOISY: noisy}
    for name, path in zip(names, folders, strict=True):
        unique = name if name and often[name] == 1 else path.as_posix()
        if unique in named:
            raise UsageError(f"{path} is named twice")
        named[unique] = path
    return named


def recordings(path: Path) -> dict[str, Path]:
    """Audio files below a folder by key; a file is its own stem. Hidden files and folders are left out.

    Raises `NoInputError` for a path that is not there or a folder without audio, `UsageError` for two files
    of one key.
    """
    from dacse_cli.audio.formats import AUDIO_SUFFIXES

    if path.is_file():
        return {path.stem: path}
    if not path.is_dir():
        raise NoInputError(f"{path} does not exist")
    found: dict[str, Path] = {}
    for folder, folders, files in os.walk(path, followlinks=False):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for file in sorted(files):
            whole = Path(folder, file)
            if file.startswith(".") or whole.suffix.lower() not in AUDIO_SUFFIXES:
                continue
            key = whole.relative_to(path).with_suffix("").as_posix()
            if key in found:
                raise UsageError(f"{found[key]} and {whole} differ only in suffix: remove one")
            found[key] = whole
    if not found:
        raise NoInputError(f"no audio files in {path}")
    return found


def _some(keys: Sequence[str]) -> str:
    more = f" and {len(keys) - NAMED_AT_MOST} more" if len(keys) > NAMED_AT_MOST else ""
    return ", ".join(keys[:NAMED_AT_MOST]) + more


def match(
    clean: Mapping[str, Path] | None, systems: Mapping[str, Mapping[str, Path]]
) -> tuple[list[Item], list[str]]:
    """Items sorted by key, and a remark for every system that lacks recordings or has some too many.

    Without `clean` every recording of every system counts. Raises `NoInputError` where a system shares no
    recording with `clean`.
    """
    wanted = set(clean) if clean is not None else {key for files in systems.values() for key in files}
    remarks = []
    for name, files in systems.items():
        lacking, extra = sorted(wanted - set(files)), sorted(set(files) - wanted)
        if len(lacking) == len(wanted):
            raise NoInputError(
                f"no recording of {name} has the name of a clean one",
                hint="Files are matched by their path below the folder, without the suffix.",
            )
        if lacking:
            remarks.append(f"{name} lacks {len(lacking)} of {len(wanted)} recordings: {_some(lacking)}")
        if extra:
            remarks.append(f"{name} has {len(extra)} recordings without a clean one: {_some(extra)}")
    items = [
        Item(
            key,
            clean[key] if clean is not None else None,
            tuple((name, files[key]) for name, files in systems.items() if key in files),
        )
        for key in sorted(wanted)
    ]
    return [item for item in items if item.systems], remarks


def plan(clean: Path | None, enhanced: Sequence[Path], noisy: Path | None) -> tuple[list[Item], list[str]]:
    """What is to be scored, from paths of folders or single files; see `match` and `recordings`."""
    if not enhanced and noisy is None:
        raise UsageError(
            "there is nothing to score beside the clean recordings",
            hint="Name the enhanced ones after them; without clean ones, give `clean=None`.",
        )
    references = None if clean is None else recordings(clean)
    systems = {name: recordings(path) for name, path in system_names(enhanced, noisy).items()}
    if references is not None and clean is not None and clean.is_file():
        # one file against one file: their names need not agree
        systems = {
            name: {clean.stem: next(iter(files.values()))} if len(files) == 1 else files
            for name, files in systems.items()
        }
    return match(references, systems)
