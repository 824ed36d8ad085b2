"""All recordings of a training: those to train on, those held out, and noises, each with what reads them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from dacse_cli.errors import NoInputError
from dacse_cli.training.sound.decoded import decode
from dacse_cli.training.sound.recordings import Files, FromFiles, Reader, look
from dacse_cli.training.sound.splits import divide

if TYPE_CHECKING:
    from dacse_cli.training.runs.loop import Listener

SOUND = "sound"
"""Folder inside OUT for the decoded recordings."""


@dataclass(frozen=True)
class Material:
    """Readers of recordings; without any recordings where there are none."""

    train: Reader
    valid: Reader
    noises: Reader


@dataclass(frozen=True)
class Use:
    """How recordings are used."""

    rate: int
    shortest: float
    """Seconds of the shortest recording of speech."""
    held_out: float
    """Share of the speech that is held out: see `divide`."""
    speeds: tuple[float, ...] = (1.0,)
    """Of the speech to train on, where it is decoded: see `decode`."""
    decoded: bool = True
    """Decode everything once, into OUT/sound."""


def find_material(
    speech: Files, noise: Files, use: Use, out: Path, jobs: int, listener: Listener
) -> Material:
    """Read all headers, and decode if so wished. Raises `NoInputError`, `InputError`, `OutputError`."""
    found = divide(speech, use.rate, use.shortest, use.held_out)
    noises, unusable = look(noise)
    for refused in (*found.refused, *unusable):
        listener.remark(str(refused))
    if noise and not noises:
        raise NoInputError(f"none of the {len(noise)} recordings of noise can be read: {unusable[0]}")
    train, *others = (FromFiles(use.rate, each) for each in (found.train, found.valid, noises))
    if not use.decoded:
        return Material(train, *others)
    progress = partial(listener.prepared, "decoding recordings")
    decoded = partial(decode, folder=out / SOUND, rate=use.rate, jobs=jobs, progress=progress)
    return Material(
        decoded(train.recordings, speeds=use.speeds),
        *(decoded(each.recordings) if each.recordings else each for each in others),
    )
