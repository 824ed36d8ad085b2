"""The uploaded recordings and their progress: data shared by the web server and the worker thread."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacse_cli.serve.problems import ApiError

MOST = 200
"""Recordings kept at once."""
KEPT_SECONDS = 6 * 3600.0
"""Seconds after its end or the last request for it, also in the list, until a recording is removed."""


@dataclass(eq=False)
class Recording:
    """One recording. Its private folder is removed with it."""

    folder: Path
    source: Path
    name: str
    """The name that the client sent: untrusted text."""
    wants_preview: bool = True
    id: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    state: str = "waiting"
    """`waiting`, `working`, `done` or `failed`."""
    done_seconds: float = 0.0
    sample_rate: int = 0
    channels: int = 0
    frames: int = 0
    preview: dict[str, Any] | None = None
    problem: ApiError | None = None
    notes: list[str] = field(default_factory=list)
    removed: bool = False
    touched: float = field(default_factory=time.monotonic)
    """When it was last asked for, or its work ended."""
    renderings: list[Path] = field(default_factory=list)
    """Files made for downloads, the one asked for last at the end."""
    rendering: threading.Lock = field(default_factory=threading.Lock)

    @property
    def enhanced_path(self) -> Path:
        """File of the enhanced samples so far, float32, channels interleaved."""
        return self.folder / "enhanced"

    @property
    def enhanced(self) -> NDArray[np.float32]:
        """All enhanced samples, `[C, S]`, memory-mapped."""
        return np.memmap(self.enhanced_path, np.float32, "r", shape=(self.frames, self.channels)).T

    @property
    def sample_bytes(self) -> int:
        """Bytes of all samples as float32; an estimate until it is done."""
        return 4 * self.frames * self.channels

    @property
    def seconds(self) -> float:
        """Length; 0 while it is unknown."""
        return self.frames / self.sample_rate if self.sample_rate else 0.0

    @property
    def unfinished(self) -> bool:
        """Whether the worker has not finished it."""
        return not self.removed and self.state in ("waiting", "working")

    def end(self, state: str) -> None:
        """End the work on it; it is kept from now on, however long the work took."""
        self.touched, self.state = time.monotonic(), state

    def erase(self) -> None:
        """Remove its files; again by whoever was writing one when it was removed."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def to_json(self) -> dict[str, Any]:
        """The state for clients."""
        return {
            "id": self.id,
            "object": "recording",
            "name": self.name,
            "state": self.state,
            "seconds": round(self.seconds, 3),
            "done_seconds": round(self.done_seconds, 3),
            "preview": self.preview is not None,
            "notes": self.notes,
            "error": self.problem.to_json()["error"] if self.problem else None,
        }


class Shelf:
    """All recordings. Safe to use from several threads."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._all: dict[str, Recording] = {}
        self._changed = threading.Condition()
        self._closed = False

    def new_folder(self) -> Path:
        """A folder for one more recording. Raises `ApiError` when there are too many."""
        self.expire()
        with self._changed:
            if len(self._all) >= MOST:
                raise ApiError(429, "too_many", f"the server holds {MOST} recordings already: remove some")
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir(mode=0o700)
        return folder

    def add(self, recording: Recording) -> None:
        """Add a recording for the worker."""
        with self._changed:
            self._all[recording.id] = recording
            self._changed.notify_all()

    def all(self) -> list[Recording]:
        """The recordings of the page, in order of arrival. A page that lists them keeps them."""
        with self._changed:
            listed = [one for one in self._all.values() if one.wants_preview]
            for one in listed:
                one.touched = time.monotonic()
        return listed

    def unfinished(self) -> list[Recording]:
        """The recordings that the worker has not finished."""
        with self._changed:
            return [one for one in self._all.values() if one.unfinished]

    def get(self, key: str) -> Recording:
        """One recording. Raises `ApiError` if it does not exist."""
        with self._changed:
            found = self._all.get(key)
            if found is not None:
                found.touched = time.monotonic()
        if found is None:
            raise ApiError(404, "no_such_recording", "there is no such recording, or it was removed")
        return found

    def remove(self, key: str) -> None:
        """Remove a recording and its files; the worker stops working on it after the current piece."""
        with self._changed:
            found = self._all.pop(key, None)
            self._changed.notify_all()
        if found is not None:
            found.removed = True
            found.erase()

    def expire(self, now: float | None = None) -> None:
        """Remove finished recordings that nobody has asked for in a long time."""
        limit = (time.monotonic() if now is None else now) - KEPT_SECONDS
        with self._changed:
            old = [one.id for one in self._all.values() if not one.unfinished and one.touched < limit]
        for key in old:
            self.remove(key)

    def next(self, order: Callable[[list[Recording]], Recording]) -> Recording | None:
        """The worker's next recording, chosen by `order`; waits for one. None after `close`."""
        with self._changed:
            while not self._closed:
                if todo := [one for one in self._all.values() if one.unfinished]:
                    return order(todo)
                self._changed.wait()
        return None

    def close(self) -> None:
        """Make the worker stop: `next` returns None from now on."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
