"""Networks by name as `config.json` dictionaries, and configs from files. Imports no torch.

Units are not included: they come from the codec.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeAlias

from dacse_cli.errors import CheckpointError, UsageError
from dacse_cli.files.documents import read_config
from dacse_cli.interfaces import Codes, Latents
from dacse_cli.set.shape import MODEL_TYPE, SetShape, parse_shape

Config: TypeAlias = dict[str, Any]
OF_CODES = ("embedding_width", "pooling", "head_width")
"""Keys without meaning for latents."""
_FULL = {"width": 256, "heads": 8, "feed_forward": 2048, "kernel": 31}
_SMALL = {"width": 192, "heads": 4, "feed_forward": 768, "kernel": 15}
_NARROW = {"embedding_width": 128, "joint_width": 256, "head_width": 16, "dropout": 0.0}
SIZES: dict[str, Config] = {
    # the pre-paper transducer with the paper's causal conformer as predictor; layer counts are our choice
    "set": {
        "embedding_width": 128,
        "joint_width": 640,
        "encoder": {"layers": 6, **_FULL},
        "predictor": {"kind": "conformer", "layers": 6, **_FULL},
    },
    # DASB's conformer recipe for VoiceBank enhancement
    "nar": {
        "embedding_width": 1024,
        "pooling": "attention",
        "encoder": {"layers": 6, **_FULL, "heads": 4},
    },
    # small enough to train on one core in an hour; dropout would take a quarter of each step
    "set-small": {
        **_NARROW,
        "encoder": {"layers": 4, **_SMALL},
        "predictor": {"kind": "conformer", "layers": 2, **_SMALL},
    },
    "nar-small": {**_NARROW, "encoder": {"layers": 6, **_SMALL}},
}


def sized_config(size: str) -> Config:
    """The config of a size by name. Raises `UsageError`."""
    if size not in SIZES:
        raise UsageError(f"{size!r} is not a size of SET", hint=f"They are {', '.join(SIZES)}.")
    return SIZES[size]


def shape_of(config: Config, units: Codes | Latents) -> SetShape:
    """The shape of `config` over `units`. Raises `CheckpointError` for an invalid config."""
    if isinstance(units, Latents):
        own: Config = {"latents": units.width}
        config = {key: value for key, value in config.items() if key not in OF_CODES}
    else:
        own = {"codebooks": units.books, "codebook_size": units.size}
    return parse_shape({"model_type": MODEL_TYPE} | config | own)


def config_from(path: Path) -> Config:
    """A config from a JSON file, in which units may be left out. Raises `CheckpointError`."""
    return read_config(path, CheckpointError)
