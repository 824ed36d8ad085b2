"""Names that a user gives -> the input files on this disk. Opens nothing.

Folders are walked depth first, names sorted, without hidden files, links to folders and the output folder. A
pattern finds the same: `**` follows no links either.
"""

from __future__ import annotations

import fnmatch
import functools
import glob
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dacse_cli.errors import NoInputError, UsageError, did_you_mean
from dacse_cli.files.problems import reason
from dacse_cli.pipeline.request.jobs import Found

ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar")
Accepts = Callable[[str], bool]
"""Whether a file of this name, found in a folder, is taken."""


@dataclass
class Inputs:
    """Input files; `ignored` counts files left out because of their names."""

    files: list[Found] = field(default_factory=list)
    ignored: int = 0


def find_inputs(names: Sequence[str], accepts: Accepts, leave_out: Path | None = None) -> Inputs:
    """Every input file that `names` mean (files, folders, patterns), each path once, in a stable order.

    A file named by the user is taken whatever its name is. Two links to one file are two inputs. Raises
    `UsageError` for a name that does not exist and for archives, `NoInputError` when nothing is found.
    """
    finder = _Finder(accepts, leave_out.resolve() if leave_out else None)
    for name in names:
        if len(names) > 1 and finder.is_output(Path(name)):
            continue  # of `takes/* takes/out`, the second
        try:
            for found in finder.expand(name):
                finder.take(found)
        except OSError as error:  # the name is too long, or a parent folder cannot be read
            raise UsageError(f"{name}: {reason(error)}") from None
    inputs = finder.inputs
    if not inputs.files:
        raise NoInputError(
            f"no audio files in {', '.join(names)}",
            hint=f"{inputs.ignored} other files were ignored." if inputs.ignored else None,
        )
    return inputs


def matches_any(found: Found, patterns: Sequence[str]) -> bool:
    """Whether an input's path below its folder, or its name, matches a pattern; case does not count."""
    names = (found.relative.casefold(), found.source.name.casefold())
    return any(fnmatch.fnmatchcase(name, pattern.casefold()) for name in names for pattern in patterns)


class _Finder:
    """One search; `output` is resolved and left out."""

    def __init__(self, accepts: Accepts, output: Path | None) -> None:
        self.inputs = Inputs()
        self._accepts, self._output = accepts, output
        self._seen: set[str] = set()
        self._resolved = functools.cache(os.path.realpath)

    def take(self, found: Found) -> None:
        """Keep an input unless the same path was found before."""
        folder, name = os.path.split(found.source)
        path = os.path.join(self._resolved(folder), name)
        if path not in self._seen:
            self._seen.add(path)
            self.inputs.files.append(found)

    def is_output(self, folder: Path) -> bool:
        """Whether `folder` is the output folder."""
        return self._output is not None and Path(self._resolved(folder)) == self._output

    def _is_below_output(self, folder: Path) -> bool:
        place = Path(self._resolved(folder))
        return self._output is not None and (place == self._output or self._output in place.parents)

    def expand(self, name: str) -> Iterator[Found]:
        """The inputs that one name means."""
        path = Path(name)
        if path.is_dir():
            yield from self._walk(path, path)
        elif path.exists() or path.is_symlink():
            if path.suffix.lower() in ARCHIVES:
                raise UsageError(f"{name} is an archive", hint="Unpack it and give the folder.")
            yield Found(path, path.name)
        elif glob.has_magic(name):
            yield from self._pattern(name)
        else:
            raise UsageError(f"{name}: no such file or folder", hint=_guess(path))

    def _pattern(self, name: str) -> Iterator[Found]:
        """Files behind a pattern, mirrored below its fixed folders."""
        base, parts = Path(), list(Path(name).parts)
        while len(parts) > 1 and (not glob.has_magic(parts[0]) or (base / parts[0]).is_dir()):
            base /= parts.pop(0)  # a folder may have brackets in its name
        nested = self._output is not None and Path(self._resolved(base)) in self._output.parents
        for path in _matches(base, tuple(parts)):
            if nested and self._is_below_output(path.parent):
                continue
            if path.is_dir():
                if "**" not in parts and not (nested and self._is_below_output(path)):
                    yield from self._walk(path, base)
            elif self._accepts(path.name):
                yield Found(path, _relative(path, base))
            else:
                self.inputs.ignored += 1

    def _walk(self, folder: Path, base: Path) -> Iterator[Found]:
        """Files below a folder; yields a folder that cannot be listed itself, so that it counts as failed."""
        closed: list[OSError] = []
        for root, folders, files in os.walk(folder, onerror=closed.append):
            here = Path(root)
            folders[:] = sorted(f for f in folders if not f.startswith(".") and not self.is_output(here / f))
            for file in sorted(files):
                if not file.startswith(".") and self._accepts(file):
                    yield Found(here / file, _relative(here / file, base))
                else:
                    self.inputs.ignored += 1
        for error in closed:
            yield Found(Path(error.filename), _relative(Path(error.filename), base))


def _matches(base: Path, parts: tuple[str, ...]) -> Iterator[Path]:
    """Paths below `base` that match a pattern's `parts`, depth first, names sorted."""
    head, rest = parts[0], parts[1:]
    if head == "**":
        yield from _matches(base, rest or ("*",))
        for name in _names(base):
            if not name.startswith(".") and (base / name).is_dir() and not (base / name).is_symlink():
                yield from _matches(base / name, parts)
        return
    for name in _names(base) if glob.has_magic(head) else [head]:
        if glob.has_magic(head):
            hidden = name.startswith(".") and not head.startswith(".")
            if hidden or not fnmatch.fnmatch(name, head):
                continue
        path = base / name
        if not rest and os.path.lexists(path):
            yield path
        elif rest and path.is_dir():
            yield from _matches(path, rest)


def _names(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names, a million of which are not paths yet
    except OSError:
        return []


def _relative(path: Path, base: Path) -> str:
    return Path(os.path.relpath(path, base)).as_posix()


def _guess(path: Path) -> str | None:
    """A suggestion for a name that does not exist."""
    try:
        names = [neighbour.name for neighbour in path.parent.iterdir()]
    except OSError:
        return f"There is no folder {path.parent}."
    return did_you_mean(str(path), [str(path.with_name(name)) for name in names])
