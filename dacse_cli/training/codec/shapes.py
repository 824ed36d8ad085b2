"""The released codecs' configs, and configs from files. Imports no torch."""

from __future__ import annotations

import json
from pathlib import Path

from dacse_cli.codec.dac.shape import DacShape, shape_from_config
from dacse_cli.errors import UsageError

SIZES: dict[str, DacShape] = {
    "16khz": DacShape(64, 1536, 1024, (2, 4, 5, 8), 12, 1024, 8, 16_000),
    "24khz": DacShape(64, 1536, 1024, (2, 4, 5, 8), 32, 1024, 8, 24_000),
    "44khz": DacShape(64, 1536, 1024, (2, 4, 8, 8), 9, 1024, 8, 44_100),
}
"""Descript's 8 kbit/s models."""


def shape_of(size: str) -> DacShape:
    """A released shape. Raises `UsageError`."""
    if size not in SIZES:
        raise UsageError(f"{size!r} is not a released codec", hint=f"They are {', '.join(SIZES)}.")
    return SIZES[size]


def shape_from(path: Path) -> DacShape:
    """The shape of a config.json; `model_type` may be left out. Raises `UsageError`, `CodecError`."""
    try:
        config = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise UsageError(f"{path} is not a codec's config")
    return shape_from_config({"model_type": "dac"} | config, source=str(path))
