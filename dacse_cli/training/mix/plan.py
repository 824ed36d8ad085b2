"""The plan of `mix`: options and recordings -> the rows of every split. Reads headers, writes nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from dacse_cli.errors import NoInputError, UsageError
from dacse_cli.training.mix.pairs import PairPlan
from dacse_cli.training.mix.rooms import choose_model
from dacse_cli.training.mix.tasks import NEED_NOISE, parse_recipe
from dacse_cli.training.sound.recordings import Files, Recording, Refused, digest, look
from dacse_cli.training.sound.segments import Segmenting, cut
from dacse_cli.training.sound.splits import WHOLE, Split, assign, shared_out

CONTAINERS = {"flac": "FLAC", "wav": "WAV"}


@dataclass(frozen=True)
class MixOptions:
    """The options that, with the recordings, determine every sample of a data set (all but `count`)."""

    recipe: str = "general"
    """A distribution, a task, or `task=weight,...`; see `tasks`."""
    rate: int = 44_100
    lengths: Segmenting = field(default_factory=Segmenting)
    splits: tuple[Split, ...] = WHOLE
    split_by: str = "speaker"
    """`speaker` (the first folder of a name) or `file`."""
    seed: int = 0
    room: str = "auto"
    """Model of simulated rooms: `image` (pyroomacoustics), `decay`, or `auto`: `image` if installed."""
    format: str = "flac"
    count: int | None = None
    """Pairs over all splits; None: one for every clean recording."""

    def check(self) -> MixOptions:
        """Return self; raises `UsageError` for invalid values."""
        if not 8000 <= self.rate <= 192_000:
            raise UsageError(f"`rate` {self.rate} is outside 8,000 to 192,000 Hz")
        if self.format not in CONTAINERS:
            raise UsageError(f"`format` {self.format}: choose one of {', '.join(CONTAINERS)}")
        if self.split_by not in ("speaker", "file"):
            raise UsageError(f"`split_by` {self.split_by}: choose speaker or file")
        if self.seed < 0 or (self.count is not None and self.count < 1):
            raise UsageError("`seed` must be at least 0 and `count` at least 1")
        self.lengths.check()
        return self


@dataclass(frozen=True)
class SplitWork:
    """Rows 0 to `count` - 1 of `plan`, to be written to `folder`."""

    plan: PairPlan
    count: int
    folder: Path
    format: str


@dataclass(frozen=True)
class Mix:
    """A planned data set: nothing is written yet."""

    out: Path
    works: tuple[SplitWork, ...]
    settings: dict[str, Any]
    refused: tuple[Refused, ...]
    """Files that cannot be read."""
    too_short: int
    """Clean recordings shorter than the shortest part."""

    @property
    def count(self) -> int:
        """Pairs in all splits."""
        return sum(work.count for work in self.works)


def plan_mix(clean: Files, noise: Files, rooms: Files, out: Path, options: MixOptions) -> Mix:
    """Read every header and decide which recording belongs to which split.

    Raises `UsageError`, and `NoInputError` where no clean recording can be used.
    """
    shares = _checked_shares(options.check(), noise)
    model = "file" if rooms else choose_model(options.room)
    files = {"clean": clean, "noise": noise, "room": rooms}
    looked = {kind: look(listed) for kind, listed in files.items()}
    found = {kind: recordings for kind, (recordings, _) in looked.items()}
    readable = len(found["clean"])
    found["clean"] = tuple(r for r in found["clean"] if _is_long_enough(r, options))
    for kind, listed in files.items():
        if not found[kind] and (listed or kind == "clean"):
            raise NoInputError(f"none of the {len(listed)} {kind} files can be used")
    divided = {kind: _divided(recordings, kind, options) for kind, recordings in found.items()}
    counts = shared_out(options.count or len(found["clean"]), options.splits)
    works = []
    for split, count in zip(options.splits, counts, strict=True):
        speech, noises, responses = (divided[kind][split.name] for kind in files)
        plan = PairPlan(
            split.name, options.seed, options.rate, shares, options.lengths, speech, noises, responses, model
        )
        works.append(SplitWork(plan, count, out / split.name, options.format))
    settings = {key: value for key, value in asdict(options).items() if key not in ("count", "room")}
    settings |= {f"{kind}_files": digest(recordings) for kind, recordings in found.items()}
    refused = tuple(bad for _, bads in looked.values() for bad in bads)
    too_short = readable - len(found["clean"])
    return Mix(out, tuple(works), settings | {"room_model": model}, refused, too_short)


def _checked_shares(options: MixOptions, noise: Files) -> dict[str, float]:
    """Share of each task; `UsageError` where one of them needs noise and there is none."""
    shares = parse_recipe(options.recipe)
    need_noise = sorted(NEED_NOISE & shares.keys())
    if need_noise and not noise:
        raise UsageError(
            f"the recipe {options.recipe} mixes in noise ({', '.join(need_noise)})",
            hint="Name recordings with `noise`, or choose a `recipe` without noise.",
        )
    return shares


def _is_long_enough(recording: Recording, options: MixOptions) -> bool:
    return bool(cut(recording.samples_at(options.rate), options.rate, options.lengths))


def _divided(
    recordings: tuple[Recording, ...], kind: str, options: MixOptions
) -> dict[str, tuple[Recording, ...]]:
    """Recordings by split. Only clean ones have speakers; others are assigned file by file."""
    if len(options.splits) == 1 or not recordings:
        return dict.fromkeys((split.name for split in options.splits), recordings)
    by_speaker = kind == "clean" and options.split_by == "speaker"
    group = {r.name: r.speaker if by_speaker else r.name for r in recordings}
    what = "speakers (folders of clean recordings)" if by_speaker else f"{kind} files"
    splits = assign(set(group.values()), options.splits, what)
    return {
        split.name: tuple(r for r in recordings if splits[group[r.name]] == split.name)
        for split in options.splits
    }
