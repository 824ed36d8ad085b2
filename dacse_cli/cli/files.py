"""File and folder names -> recordings, for the commands that make or use training data."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


def recordings(names: Sequence[str], output: Path) -> list[tuple[str, Path]]:
    """(path below the given folder, full path) of every audio file in `names`, except those in `output`."""
    from dacse_cli.audio.formats import AUDIO_SUFFIXES
    from dacse_cli.pipeline.request.inputs import find_inputs

    if not names:
        return []
    found = find_inputs(names, lambda name: Path(name).suffix.lower() in AUDIO_SUFFIXES, output)
    return [(Path(file.relative).as_posix(), file.source) for file in found.files]
