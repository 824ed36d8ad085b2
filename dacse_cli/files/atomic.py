"""Atomic files: complete under their final name, or absent.

A part file lies in the folder of its target, is locked while its writer lives, and its name follows from the
target's name: a rerun takes over what a killed run left behind. Imports neither numpy nor soundfile, so that
the process which renames and cleans up needs neither.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from dacse_cli.errors import InputError, LockedError, OutputError
from dacse_cli.files.digest import descriptor_sha256
from dacse_cli.files.locks import lock
from dacse_cli.files.problems import file_error, name_too_long
from dacse_cli.files.regular import open_own

_PART_SUFFIX = ".dacse-part"
_PART_NAME = re.compile(r"\..*\.[0-9a-f]{8,16}\.dacse-part", re.DOTALL)
_MAX_NAME_BYTES = 255


@dataclass(frozen=True)
class Written:
    """A finished part file: verified and on the disk, still to be renamed by `commit`."""

    temp: Path
    size: int
    sha256: str
    clipped: int = 0
    """Samples, over all channels, that lay outside [-1, 1] and were cut."""


class PartFile:
    """An empty, locked file beside `target`: `descriptor` to write to, `path` to read it back.

    Folders are created as needed and the mode follows the umask. `seal` keeps the file, `discard` removes
    it. Raises `OutputError`, `LockedError` if another process writes the same target, and `InputError` where
    only this one target cannot be written: reason `name-too-long`, `name-refused` or `in-the-way`.
    """

    def __init__(self, target: Path) -> None:
        if len(os.fsencode(target.name)) > _MAX_NAME_BYTES:
            raise name_too_long(target)
        self.target = target
        self.path = part_path(target)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            self.descriptor = _open_locked(self.path)
        except OSError as error:
            raise file_error(error, target) from error

    def seal(self) -> Written:
        """Hash the file, sync it to disk and close it; on failure remove it and raise."""
        try:
            size = os.fstat(self.descriptor).st_size
            sha256 = descriptor_sha256(self.descriptor)
            os.fsync(self.descriptor)
            descriptor, self.descriptor = self.descriptor, -1
            os.close(descriptor)
        except OSError as error:
            self.fail(error)
        return Written(self.path, size, sha256)

    def discard(self) -> None:
        """Remove the file; may be called at any time and twice."""
        with contextlib.suppress(OSError):
            self.path.unlink()
        if self.descriptor >= 0:
            descriptor, self.descriptor = self.descriptor, -1
            with contextlib.suppress(OSError):
                os.close(descriptor)

    def fail(self, error: OSError) -> NoReturn:
        """Remove the file and raise the error for `error`."""
        failure = file_error(error, self.target)
        self.discard()
        raise failure from error


def stage_bytes(target: Path, data: bytes) -> Written:
    """Write `data` to a part file beside `target`; errors as in `PartFile`."""
    part = PartFile(target)
    try:
        _write_all(part.descriptor, data)
        return part.seal()
    except OSError as error:
        part.fail(error)
    except BaseException:
        part.discard()
        raise


def write_bytes_atomically(target: Path, data: bytes) -> None:
    """Write `data` to `target` so that it is never seen in part. Raises `OutputError`, `LockedError`."""
    try:
        commit(stage_bytes(target, data).temp, target)
    except InputError as error:  # no other file could still be written
        raise OutputError(error.message) from error


def commit(temp: Path, target: Path) -> None:
    """Give `temp` its final name and sync the folder to disk.

    A symbolic link at `target` is replaced, not followed. On failure `temp` is removed; raises `OutputError`,
    or `InputError` with reason `in-the-way` for a folder of that name.
    """
    try:
        temp.replace(target)
        _sync_folder(target.parent)
    except OSError as error:
        failure = file_error(error, target)
        with contextlib.suppress(OSError):
            temp.unlink()
        raise failure from error


def sweep(folder: Path, spare: Callable[[Path], bool] = lambda folder: False) -> int:
    """Remove part files below `folder` whose writer is gone and return how many; follows no links.

    A folder for which `spare` is true is skipped with all that is in it.
    """
    removed = 0
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not spare(Path(parent, name))]
        removed += sum(remove_if_stale(Path(parent, name)) for name in names if _PART_NAME.fullmatch(name))
    return removed


def discard_part(target: Path) -> bool:
    """Remove the part file of `target` if its writer is gone; whether there was one."""
    return remove_if_stale(part_path(target))


def part_path(target: Path) -> Path:
    """Where `target` is written first: at most 110 bytes of name, the same for the same target."""
    name = target.name.encode("utf-8", "surrogateescape")
    # "ignore" drops a character that the cut has halved and bytes that are not UTF-8: the checksum has them
    start = name[:80].decode("utf-8", "ignore")
    return target.with_name(f".{start}.{hashlib.sha256(name).hexdigest()[:16]}{_PART_SUFFIX}")


def _open_locked(path: Path) -> int:
    """An empty file at `path` that this process has locked."""
    while True:
        descriptor = open_own(path, os.O_RDWR | os.O_CREAT)
        try:
            if not lock(descriptor):
                raise LockedError(f"another run is writing {path}")
            # a sweep may have removed the name between opening and locking
            if _is_at(descriptor, path):
                os.ftruncate(descriptor, 0)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.lstat(path))
    except FileNotFoundError:
        return False


def remove_if_stale(path: Path) -> bool:
    """Remove a file unless a writer holds its lock; whether it is gone."""
    try:
        descriptor = open_own(path, os.O_RDWR)
    except OSError:
        return False
    try:
        if not lock(descriptor):
            return False
        path.unlink()
        return True
    except OSError:
        return False
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)
