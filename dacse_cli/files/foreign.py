"""Files that should be a recording or weights but are a web page, or a placeholder of Git.

Downloads end as web pages where a login was asked for; git-lfs and git-annex put small texts in place of
large files.
"""

from __future__ import annotations

import os
from pathlib import Path

_TEXTS = (
    ((b"<html", b"<!doctype", b"<?xml"), "a web page, not the file itself", "download it again"),
    (
        (b"version https://git-lfs", b"version https://hawser"),
        "a Git LFS pointer, not the content",
        "run `git lfs pull` there",
    ),
    ((b"/annex/objects/",), "a git-annex pointer, not the content", "run `git annex get` there"),
)


def foreign_content(head: bytes) -> tuple[str, str] | None:
    """What a file is, by its first bytes, and what to do about it; None if unknown."""
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")[:64].lower()
    return next(((what, help_) for marks, what, help_ in _TEXTS if start.startswith(marks)), None)


def missing_content(path: str | os.PathLike[str]) -> tuple[str, str] | None:
    """Why a symbolic link is broken and what to do about it; None for all other paths."""
    try:
        target = Path(path).readlink().as_posix()
    except OSError:
        return None
    if ".git/annex/objects/" in target:
        return "a git-annex link whose content is not here", "run `git annex get` there"
    return "a symbolic link to a missing file", "repair or remove it"
