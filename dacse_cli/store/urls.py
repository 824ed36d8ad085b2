"""Which names are URLs, and of what. Opens nothing."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")


def is_url(name: str) -> bool:
    """Whether `name` is a URL (`s3://bucket/folder`); a drive letter is none."""
    return _URL.match(name) is not None


def as_local(name: str) -> str:
    """The path behind a `file://` or `local://` URL; every other name unchanged."""
    if name.lower().startswith("local://"):  # of fsspec, which decodes nothing in it
        return name[len("local://") :]
    if not name.lower().startswith("file://"):
        return name
    return unquote(urlsplit(name).path)
