"""The header of a safetensors token file, without its codes."""

from __future__ import annotations

from pathlib import Path

from dacse_cli.files.documents import DocumentError, parse_json
from dacse_cli.files.regular import open_regular

_HEADER_BYTES = 1 << 16
"""Longest header of a token file: one tensor and a dozen short texts."""


def codec_of(path: Path) -> str | None:
    """The codec named by a safetensors token file; None for other files and those that cannot be read."""
    try:
        with open_regular(path) as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length) if length <= _HEADER_BYTES else b""
        codec = parse_json(header)["__metadata__"]["codec"]
    except (OSError, DocumentError, LookupError, TypeError):
        return None
    return codec if isinstance(codec, str) and codec else None
