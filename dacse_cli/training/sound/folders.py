"""A folder of noisy/clean pairs -> those to train on and those held out, by manifests and headers.

DATA/manifest.jsonl                  as `dacse mix` writes it; with --split the folders below
DATA/train/..., DATA/valid/...       have one each, and `valid` is what is held out
DATA/noisy/..., DATA/clean/...       without a manifest: recordings of one name, whatever the suffix
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from dacse_cli.audio.formats import AUDIO_SUFFIXES
from dacse_cli.errors import InputError, NoInputError
from dacse_cli.training.sound.level import Samples
from dacse_cli.training.sound.manifest import MANIFEST, SETTINGS, Record, read_manifest
from dacse_cli.training.sound.recordings import Recording, Refused, fingerprint, look, read_part
from dacse_cli.training.sound.splits import Split, assign, by_speakers

TRAIN, VALID = "train", "valid"
WANTED = ("noisy", "clean", "sample_rate", "samples")


@dataclass(frozen=True)
class PairFiles:
    """Two recordings of the same speech, equally long."""

    noisy: Recording
    clean: Recording
    task: str | None
    """The task by which `dacse mix` made it; None where there is no manifest."""
    speaker: str
    mark: str
    """A digest of the contents, which differs even for pairs of equal names and lengths."""
    source: str
    """The recording of speech it was made from: pairs of one are held out together."""


@dataclass(frozen=True)
class PairSet:
    """Training pairs, held-out pairs, and files that could not be used."""

    train: tuple[PairFiles, ...]
    valid: tuple[PairFiles, ...]
    refused: tuple[Refused, ...] = ()


def find_pairs(data: Path, held_out: float) -> PairSet:
    """The pairs of `data`. A share `held_out` of the speakers is kept for validation where it has no split.

    Raises `NoInputError` where there are none, `InputError` for a damaged manifest.
    """
    if (data / TRAIN / MANIFEST).exists():
        valid = _of_manifest(data / VALID) if (data / VALID / MANIFEST).exists() else ()
        return PairSet(_some(_of_manifest(data / TRAIN), data), valid)
    refused: tuple[Refused, ...] = ()
    if (data / MANIFEST).exists():
        pairs = _of_manifest(data)
    else:
        pairs, refused = _of_folders(data)
    train, valid = _hold_out(_some(pairs, data), held_out)
    return PairSet(train, valid, refused)


def clean_side(data: Path) -> Path:
    """The folder of the clean speech of `data`: the clean side of pairs, else `data` itself."""
    for folder in (data / TRAIN, data):
        if (folder / "clean").is_dir() and (folder / "noisy").is_dir():
            return folder / "clean"
    return data


def digest(pairs: Iterable[PairFiles]) -> str:
    """A digest of the names, headers and contents of `pairs`, independent of their location."""
    sha = hashlib.sha256()
    for pair in pairs:
        sides = ((side.name, side.frames, side.sample_rate) for side in (pair.noisy, pair.clean))
        sha.update(json.dumps([*sides, pair.task, pair.mark]).encode())
    return sha.hexdigest()[:16]


def read_pair(fixed: tuple[Sequence[PairFiles], int], row: int) -> tuple[Samples, Samples]:
    """Both sides [S] of pair `row`; `fixed` is all pairs and the rate wanted. Raises `InputError`."""
    pair, rate = fixed[0][row], fixed[1]
    noisy, clean = (read_part(side, 0, side.samples_at(rate), rate) for side in (pair.noisy, pair.clean))
    if len(noisy) != len(clean):
        raise InputError(f"{pair.noisy.path} is not as long as {pair.clean.path}", reason="not-aligned")
    return noisy, clean


def of_tasks(pairs: Sequence[PairFiles], tasks: Sequence[str]) -> tuple[int, ...]:
    """Rows of the pairs that belong to `tasks`; all if there are none."""
    return tuple(row for row, pair in enumerate(pairs) if not tasks or pair.task in tasks)


def _of_manifest(folder: Path) -> tuple[PairFiles, ...]:
    """Pairs of a manifest. Headers are not read, because the manifest holds their contents."""
    try:
        settings = (folder / SETTINGS).read_bytes()
    except OSError:  # with splits they lie one folder up; a manifest may also have come without any
        settings = (folder.parent / SETTINGS).read_bytes() if (folder.parent / SETTINGS).is_file() else b""
    return tuple(_pair(folder, record, settings) for record in read_manifest(folder))


def _pair(folder: Path, record: Record, settings: bytes) -> PairFiles:
    missing = [key for key in WANTED if key not in record]
    if missing:
        raise InputError(f"{folder / MANIFEST} has no {missing[0]} in row {record['row']}", reason="manifest")
    noisy, clean = (
        Recording(record[side], folder / record[side], record["samples"], record["sample_rate"], 1)
        for side in ("noisy", "clean")
    )
    # what was drawn, and from which recordings, decides what the files hold
    mark = hashlib.sha256(settings + json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]
    source = str(record.get("speech", clean.name))
    return PairFiles(
        noisy, clean, record.get("task"), str(record.get("speaker", record["row"])), mark, source
    )


def _of_folders(data: Path) -> tuple[tuple[PairFiles, ...], tuple[Refused, ...]]:
    sides = {}
    refused: list[Refused] = []
    for side in ("noisy", "clean"):
        found, bad = look(_audio_below(data / side))
        refused += bad
        sides[side] = {Path(recording.name).with_suffix("").as_posix(): recording for recording in found}
    pairs = []
    for name in sorted(sides["noisy"].keys() | sides["clean"].keys()):
        noisy, clean = sides["noisy"].get(name), sides["clean"].get(name)
        if noisy is None or clean is None:
            alone = noisy or clean
            assert alone is not None
            refused.append(Refused(alone.path, "has no recording of its name on the other side"))
        elif noisy.frames * clean.sample_rate != clean.frames * noisy.sample_rate:
            refused.append(Refused(noisy.path, f"is not as long as {clean.path}"))
        else:
            mark = f"{fingerprint(noisy.path)} {fingerprint(clean.path)}"
            pairs.append(PairFiles(noisy, clean, None, clean.speaker, mark, clean.name))
    return tuple(pairs), tuple(refused)


def _audio_below(folder: Path) -> list[tuple[str, Path]]:
    return [
        (path.relative_to(folder).as_posix(), path)
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in AUDIO_SUFFIXES and not path.name.startswith(".")
    ]


def _some(pairs: tuple[PairFiles, ...], data: Path) -> tuple[PairFiles, ...]:
    if not pairs:
        raise NoInputError(
            f"{data} holds no pairs of recordings",
            hint="It needs noisy/ and clean/ with equal names, as `dacse mix` makes them; with `noise` it "
            "may be clean speech.",
        )
    return pairs


def _hold_out(
    pairs: tuple[PairFiles, ...], share: float
) -> tuple[tuple[PairFiles, ...], tuple[PairFiles, ...]]:
    """Hold out a share of the speakers; of the recordings of speech where that is less than one speaker."""
    by_speaker = by_speakers({pair.speaker for pair in pairs}, share)
    group = {pair: pair.speaker if by_speaker else pair.source for pair in pairs}
    if share == 0 or len(set(group.values())) < 2:
        return pairs, ()
    splits = assign(set(group.values()), (Split(TRAIN, 1 - share), Split(VALID, share)), "recordings")
    train = tuple(pair for pair in pairs if splits[group[pair]] == TRAIN)
    return train, tuple(pair for pair in pairs if splits[group[pair]] == VALID)
