"""The user's folders that programs write to. A user without a home folder has none of them."""

from __future__ import annotations

import os
from pathlib import Path


def expanded(text: str) -> Path | None:
    """`text` as a path, with `~` and variables replaced; None where `~` has no home folder."""
    # not Path.expanduser, which raises without a home; os.path's leaves the ~, which would become a folder
    found = os.path.expandvars(os.path.expanduser(text))  # noqa: PTH111
    return None if found == "~" or found.startswith("~/") else Path(found)


def cache_folder() -> Path | None:
    """The folder for data that can be made again: `$DACSE_CACHE`, else `dacse` in the user's cache folder."""
    own = os.environ.get("DACSE_CACHE")
    if own:
        return Path(own)
    base = expanded(os.environ.get("XDG_CACHE_HOME") or "~/.cache")
    return None if base is None else base / "dacse"
