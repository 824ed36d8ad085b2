"""From a report to the files it is about, as relative addresses, so that both can move together."""

from __future__ import annotations

import os
from pathlib import Path
from urllib.parse import quote


def link(target: Path, folder: Path) -> str:
    """The address of `target` in a page that lies in `folder`; bytes that are no UTF-8 survive."""
    try:
        relative = os.path.relpath(target.absolute(), folder.absolute())
    except ValueError:  # another drive
        return target.absolute().as_uri()
    address = quote(os.fsencode(relative.replace(os.sep, "/")))
    # a first part with a colon would be read as a scheme
    return address if address.startswith((".", "/")) else f"./{address}"
