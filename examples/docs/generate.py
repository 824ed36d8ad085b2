"""Write what the documentation takes from the code: references of commands and library, the table
of rooms, pictures, numbers.

    python examples/docs/generate.py           writes them
    python examples/docs/generate.py --check   says which are not up to date, and exits with 1

Everything is computed from the package, so that no page can say what the code does not.
"""

from __future__ import annotations

import sys
from pathlib import Path

import floorplan
import library
import pictures
import reference

PAGES = Path(__file__).parent / "pages"
OUTPUTS = {
    "commands.md": reference.commands,
    "library.md": library.library,
    "architecture.md": floorplan.page,
    "img/rooms.svg": floorplan.rooms_picture,
    "img/layout.svg": pictures.layout_picture,
    "img/chunks.svg": pictures.chunks_picture,
    "numbers.inc": pictures.numbers,
}


def stale() -> list[str]:
    """Generated files that are not what the code gives now."""
    return [
        name
        for name, make in OUTPUTS.items()
        if not (PAGES / name).exists() or (PAGES / name).read_text(encoding="utf-8") != make()
    ]


def main() -> None:
    if "--check" in sys.argv[1:]:
        old = stale()
        if old:
            sys.exit(f"not up to date: {', '.join(old)}; run python examples/docs/generate.py")
        return
    for name, make in OUTPUTS.items():
        (PAGES / name).parent.mkdir(parents=True, exist_ok=True)
        (PAGES / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
