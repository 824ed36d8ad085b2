"""How a training on pairs begins, whatever network it trains: what it is asked for, its codec, its data.

Knows no network: the language model's run and SET's add theirs.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dacse_cli.config import DEFAULT_CODEC
from dacse_cli.hub import Resolved, resolve, resolve_codec
from dacse_cli.training.lm.data import CachedData, Data, MixedData, Surroundings
from dacse_cli.training.lm.recipe import DataPart
from dacse_cli.training.runs.loop import Listener
from dacse_cli.training.runs.recipe import Origin
from dacse_cli.training.runs.start import RunRequest
from dacse_cli.training.sound.recordings import Files

TOKENS = "tokens"
"""Folder inside OUT for the units of recordings."""


@dataclass(frozen=True, kw_only=True)
class PairRequest(RunRequest):
    """What a training on pairs is asked for."""

    data: Path
    """A folder of pairs; with `noise` it has only been searched for `clean`."""
    codec: str | None = None
    """None: what the model to start from names, else the released one."""
    clean: Files = ()
    noise: Files = ()
    """Given: noise is mixed into `clean` while training."""
    rooms: Files = ()
    jobs: int = 1
    cache: Path | None = None
    """Where units are kept; None: in `out`."""


def find_networks(request: PairRequest, listener: Listener) -> tuple[Resolved | None, Resolved]:
    """The model to start from, if any, and the codec. Raises `ModelError`."""
    access: dict[str, Any] = {"offline": request.offline, "progress": listener.download}
    if request.recipe.model.start is None:
        return None, resolve(request.codec or DEFAULT_CODEC, kind="codec", **access)
    start = resolve(request.recipe.model.start, kind="model", **access)
    return start, resolve_codec(start, request.codec, **access)


def open_data(request: PairRequest, around: Surroundings, listener: Listener) -> Data:
    """Pairs that are encoded now and kept, or mixed at every step. Raises `InputError`, `UsageError`."""
    if request.noise:
        data: Data = MixedData(request.clean, request.noise, request.rooms, around, request.jobs)
    else:
        cache = request.cache or request.out / TOKENS

        def encoded(done: int, total: int) -> None:
            listener.stage(f"encoding, pair {done:,} of {total:,}")

        data = CachedData(request.data, around, cache, encoded, request.jobs)
    for refused in data.refused:
        listener.remark(str(refused))
    return data


def settings_of(
    kind: str, model: Origin, part: DataPart, data: Data, codec: Resolved, start: Resolved | None
) -> dict[str, Any]:
    """What must be the same when a run is continued: of the recipe its `model` and its `data`."""
    return {
        "kind": kind,
        "model": asdict(model),
        "start": start and start.sha256,
        "codec": codec.sha256,
        "data": asdict(part),
        "pairs": dict(data.identity),
    }
