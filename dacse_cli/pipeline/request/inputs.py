"""Paths a user names -> jobs: which file is read and which file is written. Opens nothing.

Decided here, before any model is loaded: the walk (sorted, hidden files and the output folder left out),
the mirrored tree, and the refusal of plans in which a file would be lost.
"""

from __future__ import annotations

import difflib
import fnmatch
import functools
import glob
import os
import stat
import time
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dacse_cli.errors import InputError, NoInputError, UsageError

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")


@dataclass(frozen=True, slots=True)
class Found:
    """An input and its place in the mirrored tree."""

    source: Path
    relative: str


@dataclass(frozen=True, slots=True)
class Job:
    """Read `source`, write `target`. `name` is the input as the user knows it.

    Held as text: a `Path` takes five times the memory, and a run may hold a hundred thousand jobs.
    """

    index: int
    reads: str
    writes: str
    name: str
    remote: bool = False
    """Whether `source` must be fetched first, from an object store."""

    @property
    def source(self) -> Path:
        """The input."""
        return Path(self.reads)

    @property
    def target(self) -> Path:
        """The output."""
        return Path(self.writes)


@dataclass
class Inputs:
    """What the named inputs hold; `ignored` counts files passed over by rule."""

    files: list[Found] = field(default_factory=list)
    ignored: int = 0


def find_inputs(
    names: Sequence[str], accepts: Callable[[str], bool], leave_out: Path | None = None
) -> Inputs:
    """Every input file behind `names` (files, folders, quoted patterns), each once, in a stable order.

    `accepts(name)` says whether a file found in a folder is one to take; a file named by the user is always
    taken. Raises `UsageError` for a name that is nothing and for archives, `NoInputError` when all is empty.
    """
    inputs = Inputs()
    seen: set[tuple[int, int]] = set()
    output = leave_out.resolve() if leave_out else None
    for name in names:
        if len(names) > 1 and output is not None and Path(name).resolve() == output:
            continue  # of `takes/* takes/out`, the second time
        for found in _expanded(name, accepts, output, inputs):
            identity = _identity(found.source)
            if identity is None or identity not in seen:
                inputs.files.append(found)
            if identity:
                seen.add(identity)
    if not inputs.files:
        raise NoInputError(
            f"no audio files in {', '.join(names)}",
            hint=f"{inputs.ignored} other files were passed over." if inputs.ignored else None,
        )
    return inputs


def choose(inputs: Inputs, patterns: Sequence[str], settled: float | None) -> None:
    """Keep the inputs whose path below the input folder, or name, matches one of `patterns` (upper and lower
    case alike), and that were last written to at least `settled` seconds ago.

    Raises `NoInputError` when none is left.
    """
    before = len(inputs.files)
    if patterns:
        inputs.files = [found for found in inputs.files if matches_any(found, patterns)]
    if settled is not None:
        inputs.files = [found for found in inputs.files if _age(found.source) >= settled]
    inputs.ignored += before - len(inputs.files)
    if not inputs.files:
        raise NoInputError(
            f"of {before} files none is left" + (f" by --filter {' '.join(patterns)}" if patterns else ""),
            hint="A pattern is compared with the path below the input folder and with the name.",
        )


def matches_any(found: Found, patterns: Sequence[str]) -> bool:
    """Whether an input's path below its folder, or its name, matches a pattern; case does not count."""
    names = (Path(found.relative).as_posix().casefold(), found.source.name.casefold())
    return any(fnmatch.fnmatchcase(name, pattern.casefold()) for name in names for pattern in patterns)


def _age(path: Path) -> float:
    """Seconds since `path` was written to; one that is gone or forbidden is reported when its turn comes."""
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return float("inf")


def _expanded(
    name: str, accepts: Callable[[str], bool], output: Path | None, inputs: Inputs
) -> Iterator[Found]:
    try:
        yield from _expand(name, accepts, output, inputs)
    except OSError as error:  # a name longer than any, a folder above it that is closed
        raise UsageError(f"{name}: {error.strerror}") from None


def _expand(
    name: str, accepts: Callable[[str], bool], output: Path | None, inputs: Inputs
) -> Iterator[Found]:
    path = Path(name)
    if path.is_dir():
        yield from _walk(path, path, accepts, output, inputs)
    elif path.exists() or path.is_symlink():
        if path.suffix.lower() in ARCHIVES:
            raise UsageError(f"{name} is an archive", hint="Unpack it and give the folder.")
        yield Found(path, path.name)
    elif glob.has_magic(name):
        yield from _matches(name, accepts, output, inputs)
    else:
        raise UsageError(f"{name}: no such file or folder", hint=_guess(path))


def _guess(path: Path) -> str | None:
    """What a name that is nothing was perhaps meant to be."""
    try:
        names = [neighbour.name for neighbour in path.parent.iterdir()]
    except OSError:
        return f"There is no folder {path.parent}."
    close = difflib.get_close_matches(path.name, names, 3)
    return f"Did you mean {' or '.join(str(path.with_name(name)) for name in close)}?" if close else None


def _matches(
    name: str, accepts: Callable[[str], bool], output: Path | None, inputs: Inputs
) -> Iterator[Found]:
    """Files behind a pattern, mirrored below the pattern's fixed folders, an output below those left out."""
    parts = Path(name).parts
    fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
    base = Path(*parts[:fixed]) if fixed else Path()
    nested = output is not None and base.resolve() in output.parents

    @functools.cache
    def is_output(folder: Path) -> bool:
        place = folder.resolve()
        return nested and (place == output or output in place.parents)

    for match in sorted(glob.iglob(name, recursive=True)):  # noqa: PTH207 - a user's pattern may be absolute
        path = Path(match)
        if is_output(path.parent):
            continue
        if path.is_dir():
            if "**" not in name and not is_output(path):
                yield from _walk(path, base, accepts, output, inputs)
        elif accepts(path.name):
            yield Found(path, os.path.relpath(path, base))
        else:
            inputs.ignored += 1


def _walk(
    folder: Path, base: Path, accepts: Callable[[str], bool], output: Path | None, inputs: Inputs
) -> Iterator[Found]:
    """Depth first, names sorted; links to folders are not followed, hidden names are passed over.

    A folder that cannot be listed is yielded itself, to end as failed and not to be overlooked.
    """
    closed: list[OSError] = []
    for root, folders, files in os.walk(folder, onerror=closed.append):
        here = Path(root)
        folders[:] = sorted(f for f in folders if not f.startswith(".") and (here / f).resolve() != output)
        for file in sorted(files):
            if not file.startswith(".") and accepts(file):
                path = here / file
                yield Found(path, os.path.relpath(path, base))
            else:
                inputs.ignored += 1
    for error in closed:
        yield Found(Path(error.filename), os.path.relpath(error.filename, base))


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        status = path.stat()
    except OSError:
        return None  # dangling or forbidden: reported when the file's turn comes
    return (status.st_dev, status.st_ino) if stat.S_ISREG(status.st_mode) else None


def plan_jobs(files: Iterable[Found], target_of: Callable[[Found], Path]) -> list[Job]:
    """One job a file. Raises `UsageError` where a file would be overwritten by another, or by itself.

    Targets are compared as `NFC(name).casefold()`, so that a plan is as safe on a disk that ignores case.
    """
    jobs: list[Job] = []
    taken: dict[str, Found] = {}
    files = list(files)
    sources = {_identity(found.source) for found in files}
    for index, found in enumerate(files):
        target = target_of(found)
        key = unicodedata.normalize("NFC", os.path.normpath(target.absolute())).casefold()
        if key in taken:
            raise UsageError(
                f"{taken[key].source} and {found.source} would both write {target}",
                hint="Rename one of them, or run them into two output folders.",
            )
        taken[key] = found
        same = _identity(target)
        if same is not None and same in sources and not target.is_symlink():
            raise UsageError(
                f"{target} is itself an input; inputs are never written to",
                hint="Give another output folder.",
            )
        name = str(found.source)
        jobs.append(Job(index, name, str(target), name))
    return jobs


def input_stamp(path: Path) -> tuple[int, int]:
    """Size in bytes and mtime in ns: the identity of an input's content. `InputError` when it is gone."""
    try:
        status = path.stat()
    except FileNotFoundError:
        raise InputError("the file is gone", reason="vanished") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", reason="permission") from None
    return status.st_size, status.st_mtime_ns
