"""`dacse.json`, the card beside a model: its codec and what it was trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from dacse_cli.config import METHODS
from dacse_cli.errors import CheckpointError, did_you_mean
from dacse_cli.files.documents import DocumentError, read_json
from dacse_cli.files.names import quoted
from dacse_cli.hub.manifest import CARD


@dataclass(frozen=True)
class ModelCard:
    """The fields of a model's card; None where a field is missing, which means the released model's value."""

    codec: str | None = None
    """A Hub id, or a folder inside the model's own."""
    chunk_seconds: float | None = None
    fixed_chunk: bool | None = None
    """True where the model was trained on chunks of exactly `chunk_seconds` and supports no other length."""
    method: str | None = None
    """The default method for this model: `generate`, `filter` or `mask` (see `config.SoundOptions`)."""
    filter: str | None = None
    """A folder inside the model's own, with the filter for the methods `filter` or `mask`."""
    training: str | None = None
    licence: str | None = None


def read_card(folder: Path) -> ModelCard:
    """The card of the model in `folder`, all None where there is none.

    Raises `CheckpointError` for a card that is not JSON, has unknown keys or values of another kind.
    """
    path = folder / CARD
    try:
        return _card(read_json(path), path)
    except FileNotFoundError:
        return ModelCard()
    except DocumentError as error:
        raise CheckpointError(f"{path} {error}") from error


def _card(data: Any, path: Path) -> ModelCard:
    known = [field.name for field in fields(ModelCard)]
    if not isinstance(data, dict):
        raise CheckpointError(f"{path} must hold one JSON object")
    unknown = sorted(data.keys() - set(known))
    if unknown:
        hint = did_you_mean(unknown[0], known, f"known keys: {', '.join(known)}; a newer dacse may know more")
        raise CheckpointError(f"{path} has unknown keys: {', '.join(map(quoted, unknown[:5]))}", hint=hint)
    for key in ("codec", "filter", "training", "licence"):
        value = data.get(key)
        if value is not None and (not isinstance(value, str) or not value):
            raise CheckpointError(f"{path}: {key} must be text")
    seconds = data.get("chunk_seconds")
    if seconds is not None and (isinstance(seconds, bool) or not isinstance(seconds, (int, float))):
        raise CheckpointError(f"{path}: chunk_seconds must be a number")
    if seconds is not None and not (math.isfinite(seconds) and seconds > 0):
        raise CheckpointError(f"{path}: chunk_seconds must be a positive number of seconds, not {seconds}")
    if data.get("method") not in (None, *METHODS):
        raise CheckpointError(f"{path}: method must be one of {', '.join(METHODS)}")
    fixed = data.get("fixed_chunk")
    if fixed is not None and not isinstance(fixed, bool):
        raise CheckpointError(f"{path}: fixed_chunk must be true or false")
    if fixed and seconds is None:
        raise CheckpointError(f"{path}: fixed_chunk needs chunk_seconds")
    return ModelCard(**data)
