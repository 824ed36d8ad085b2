"""What a file of audio or tokens contains: the library call behind `dacse inspect`."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from dacse_cli.tokens.names import has_token_suffix


def inspect(path: Path) -> dict[str, Any]:
    """Facts by name, in a fixed order. Every sample of a recording is read. Raises `InputError`."""
    return _tokens(path) if has_token_suffix(path.name) else _audio(path)


def _audio(path: Path) -> dict[str, Any]:
    from dacse_cli.audio.probe import scan

    found = scan(path)
    info = found.info
    distinct = len(set(found.duplicates))
    return {
        "kind": "audio",
        "format": f"{info.container} {info.subtype}",
        "sample_rate": info.sample_rate,
        "channels": info.channels,
        "distinct_channels": distinct,
        "silent_channels": sum(found.silent),
        "samples": found.frames,
        "seconds": round(found.frames / info.sample_rate, 6),
        "peak_dbfs": round(20 * math.log10(found.peak), 2) if found.peak else None,
        "bad_samples": found.bad_samples,
        "bytes": info.size_bytes,
        "damage": found.warning,
    }


def _tokens(path: Path) -> dict[str, Any]:
    from dacse_cli.pipeline.task.token_files import read_tokens

    tokens = read_tokens(path)
    C, U, T = tokens.units.shape
    units: dict[str, Any] = {"codebooks": U}
    if not tokens.holds_codes:
        units = {"width": U, "dtype": str(tokens.units.dtype), "quantised": tokens.quantised}
    facts = {"kind": "tokens" if tokens.holds_codes else "latents", "channels": C, **units, "frames": T}
    if not tokens.codec:  # text and Descript's container hold no more facts
        return {**facts, "largest_code": int(tokens.codes.max())}
    return {
        **facts,
        "codec": tokens.codec,
        **({"codebook_size": tokens.codebook_size} if tokens.holds_codes else {}),
        "sample_rate": tokens.sample_rate,
        "hop_length": tokens.hop_length,
        "original_sample_rate": tokens.original_sample_rate,
        "original_samples": tokens.original_length,
        "seconds": round(tokens.original_length / tokens.original_sample_rate, 6),
        "source": tokens.source,
    }
