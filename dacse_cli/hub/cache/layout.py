"""The Hugging Face cache on disk: one repository's blobs, snapshots, refs and locks.

The layout is huggingface_hub's documented one, so what dacse fetches other programs find, and the reverse:
`models--org--name/{blobs/DIGEST, snapshots/COMMIT/FILE -> ../../blobs/DIGEST, refs/REVISION}`.
A blob is named by its own checksum, which is what later checks compare with.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.errors import HubError
from dacse_cli.files.places import expanded
from dacse_cli.hub.manifest import RemoteFile
from dacse_cli.hub.names import is_commit
from dacse_cli.hub.problems import TransientError

PART = ".dacse-part"
ORPHAN_SECONDS = 60.0
"""Age from which an unlocked part is an orphan: locks are unreliable on some network disks."""

_DIGEST = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")


def cache_root(cache_dir: Path | None = None) -> Path:
    """The Hub cache, from the variables huggingface_hub reads, but read now and not at import.

    Raises `HubError` where the user has no home folder and no variable names another place.
    """
    home = os.environ.get("HF_HOME")
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    named = os.environ.get("HF_HUB_CACHE") or os.environ.get("HUGGINGFACE_HUB_CACHE")
    found = cache_dir or expanded(named or os.path.join(home or os.path.join(base, "huggingface"), "hub"))
    if found is None:
        raise HubError("there is no home folder to keep models in", hint="set HF_HOME to a folder")
    return found


def blob_digest(path: Path) -> str | None:
    """The checksum a cached file must have, by the name of the blob it links to; None without a link."""
    try:
        name = path.readlink().name
    except OSError:
        return None
    return name if _DIGEST.fullmatch(name) else None


@dataclass(frozen=True)
class RepoCache:
    """The paths of one repository below the cache root."""

    root: Path
    repo: str

    @property
    def folder(self) -> Path:
        return self.root / f"models--{self.repo.replace('/', '--')}"

    @property
    def blobs(self) -> Path:
        return self.folder / "blobs"

    def snapshot(self, commit: str) -> Path:
        """The folder with the files of a commit under their own names."""
        return self.folder / "snapshots" / commit

    def part(self, file: RemoteFile) -> Path:
        """Path of a partial download; its name depends on the content, so that a later run continues it."""
        return self.blobs / f"{file.digest}{PART}"

    def commit_of(self, revision: str) -> str | None:
        """The commit that a branch or tag pointed to when it was last fetched."""
        if is_commit(revision):
            return revision
        try:
            commit = (self.folder / "refs" / revision).read_text(encoding="ascii").strip()
        except (OSError, ValueError):
            return None
        return commit if is_commit(commit) else None

    def set_commit(self, revision: str, commit: str) -> None:
        """Store the commit that a branch or tag points to."""
        if revision != commit and self.commit_of(revision) != commit:
            ref = self.folder / "refs" / revision
            ref.parent.mkdir(parents=True, exist_ok=True)
            temp = ref.with_name(f"{ref.name}.{os.getpid()}.tmp")
            temp.write_text(commit, encoding="ascii")
            temp.replace(ref)

    def place(self, file: RemoteFile, commit: str) -> None:
        """Give the part its final name; a damaged blob is replaced, not written into."""
        self.part(file).replace(self.blobs / file.digest)
        self.link(file, commit)

    def link(self, file: RemoteFile, commit: str) -> None:
        """Link the blob into the snapshot; where links are not supported, the file itself is moved there."""
        blob, pointer = self.blobs / file.digest, self.snapshot(commit) / file.path
        pointer.parent.mkdir(parents=True, exist_ok=True)
        if blob_digest(pointer) == file.digest and pointer.exists():
            return
        temp = pointer.with_name(f"{pointer.name}.{os.getpid()}.tmp")
        try:
            temp.unlink(missing_ok=True)
            temp.symlink_to(os.path.relpath(blob, pointer.parent))
        except (OSError, NotImplementedError):  # a disk without links, or a user not allowed any
            blob.replace(pointer)
        else:
            temp.replace(pointer)

    def sweep(self, keep: set[Path]) -> None:
        """Remove what killed downloads left behind, except the parts in `keep`, which will be continued."""
        if not self.blobs.is_dir():
            return
        for path in self.blobs.iterdir():
            if path.suffix not in (".incomplete", PART) or path in keep or _age(path) < ORPHAN_SECONDS:
                continue
            try:
                with self._lock(path.name.partition(".")[0], timeout=0.05):
                    path.unlink(missing_ok=True)
            except TimeoutError:
                continue  # another process is writing it

    @contextmanager
    def exclusive(self, file: RemoteFile, seconds: float, watch: Callable[[int], None]) -> Iterator[None]:
        """Hold the lock on a file's content, which huggingface_hub honours too.

        Waits while another process fetches it (`watch` gets the bytes there), and gives up when nothing has
        grown for `seconds`.
        """
        size, since = -1, time.monotonic()
        with ExitStack() as held:
            while True:
                try:
                    held.enter_context(self._lock(file.digest, timeout=0.5))
                    break
                except TimeoutError:
                    now = sum(path.stat().st_size for path in self.blobs.glob(f"{file.digest}*"))
                    if now != size:
                        size, since = now, time.monotonic()
                        watch(min(now, file.size))
                    elif time.monotonic() - since > seconds:
                        raise _stuck(file, self._lock_path(file.digest)) from None
            yield

    def _lock_path(self, digest: str) -> Path:
        return self.root / ".locks" / self.folder.name / f"{digest}.lock"

    @contextmanager
    def _lock(self, digest: str, timeout: float) -> Iterator[None]:
        from huggingface_hub.utils import WeakFileLock  # type: ignore[attr-defined]

        path = self._lock_path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        with WeakFileLock(path, timeout=timeout):
            yield


def _age(path: Path) -> float:
    try:
        return time.time() - path.stat().st_mtime
    except OSError:
        return 0.0


def _stuck(file: RemoteFile, lock: Path) -> TransientError:
    message = f"another process holds the download of {file.path}, and nothing arrives"
    return TransientError(message, hint=f"stop that process; its lock is {lock}")
