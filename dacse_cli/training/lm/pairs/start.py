"""The start of a training on pairs, for any network: its request, codec and data.

The runs of the language model and of SET add their networks.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from dacse_cli.config import DEFAULT_CODEC
from dacse_cli.hub import Resolved, resolve, resolve_codec
from dacse_cli.training.lm.pairs.data import CachedData, Data, MixedData, Surroundings
from dacse_cli.training.lm.pairs.recipe import DataPart
from dacse_cli.training.runs.loop import Listener
from dacse_cli.training.runs.recipe import Origin
from dacse_cli.training.runs.start import RunRequest
from dacse_cli.training.sound.recordings import Files

TOKENS = "tokens"
"""Folder inside OUT for the units of recordings."""


@dataclass(frozen=True, kw_only=True)
class PairRequest(RunRequest):
    """The request for a training on pairs."""

    data: Path
    """A folder of pairs; with `noise`, only the folder in which `clean` was found."""
    codec: str | None = None
    """None: the codec of the model to start from, else the released one."""
    clean: Files = ()
    noise: Files = ()
    """If given, noise is mixed into `clean` during training."""
    rooms: Files = ()
    jobs: int = 1
    cache: Path | None = None
    """Where encoded units are cached; None: in `out`."""


def find_networks(request: PairRequest, listener: Listener) -> tuple[Resolved | None, Resolved]:
    """The model to start from, if any, and the codec. Raises `ModelError`."""
    access: dict[str, Any] = {"offline": request.offline, "progress": listener.download}
    if request.recipe.model.start is None:
        return None, resolve(request.codec or DEFAULT_CODEC, kind="codec", **access)
    start = resolve(request.recipe.model.start, kind="model", **access)
    return start, resolve_codec(start, request.codec, **access)


def open_data(request: PairRequest, around: Surroundings, listener: Listener) -> Data:
    """The data: pairs encoded now and cached, or mixed at every step. Raises `InputError`, `UsageError`."""
    if request.noise:
        data: Data = MixedData(request.clean, request.noise, request.rooms, around, request.jobs)
    else:
        cache = request.cache or request.out / TOKENS
        encoded = partial(listener.prepared, "encoding pairs")
        data = CachedData(request.data, around, cache, encoded, request.jobs)
    for refused in data.refused:
        listener.remark(str(refused))
    return data


def settings_of(
    kind: str, model: Origin, part: DataPart, data: Data, codec: Resolved, start: Resolved | None
) -> dict[str, Any]:
    """Settings that must be the same when a run is continued: `model` and `data` of the recipe."""
    return {
        "kind": kind,
        "model": asdict(model),
        "start": start and start.sha256,
        "codec": codec.sha256,
        "data": asdict(part),
        "pairs": dict(data.identity),
    }
