"""Token files as values: the units of one recording, and the facts needed to decode them.

Version 2 holds codes `[C, K, T]` or latents `[C, W, T]`; version 1 held codes only and can still be read.
Bytes are handled in `formats.py`. File names are never taken from the content of a file.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import InputError
from dacse_cli.interfaces import Codes, Latents, Units
from dacse_cli.tokens.names import MAX_CHANNELS

FORMAT, VERSION = "dacse-tokens", 2
MAX_WIDTH = 65536
_NUMBERS = ("sample_rate", "hop_length", "codebook_size", "original_sample_rate", "original_length")
_WHOLE = re.compile(r"\d{1,15}", re.ASCII)
_MAX_TEXT = 4096


@dataclass(frozen=True)
class TokenFile:
    """Units of one recording. `sample_rate` is the codec's; `original_length` is in original samples."""

    units: Units
    """Codes `[C, K, T]`, int16; or latents `[C, W, T]`, float32 or float16."""
    codec: str
    """The codec's name or hash; empty if the file does not contain it."""
    sample_rate: int
    hop_length: int
    codebook_size: int
    """0 for latents."""
    original_sample_rate: int
    original_length: int
    source: str
    quantised: bool = False
    """Of latents: whether they are taken after quantisation, as sums of codebook vectors."""

    @property
    def kind(self) -> Codes | Latents:
        """The kind of the units, from their type and shape."""
        width = self.units.shape[1]
        return Codes(width, self.codebook_size) if self.holds_codes else Latents(width, self.quantised)

    @property
    def holds_codes(self) -> bool:
        """Whether the units are codes."""
        return bool(self.units.dtype.kind == "i")

    @property
    def codes(self) -> NDArray[np.int16]:
        """The units of a file of codes. Raises `InputError` 'other-units' for one of latents."""
        if not self.holds_codes:
            raise InputError("this file holds latents, where codes are needed", reason="other-units")
        return self.units

    def metadata(self) -> dict[str, str]:
        """The header's strings."""
        # the codec's name may not be valid UTF-8, but the header must be
        source = os.fsencode(self.source).decode("utf-8", "backslashreplace")
        numbers = {name: str(getattr(self, name)) for name in _NUMBERS}
        if not self.holds_codes:
            del numbers["codebook_size"]
        units = {"units": "codes" if self.holds_codes else "latents"}
        if self.quantised:
            units["quantised"] = "true"
        return {
            "format": FORMAT,
            "version": str(VERSION),
            "codec": self.codec,
            "source": source,
            **units,
            **numbers,
        }

    def with_units(self, units: Units) -> TokenFile:
        """The same recording with other units `[C, U, T]`."""
        return replace(self, units=units)


def refuse(why: str, *, reason: str = "not-tokens") -> InputError:
    """The `InputError` of a bad token file."""
    return InputError(why, reason=reason, hint="Token files are written by `dacse tokenize`.")


def build(units: NDArray[Any], metadata: object) -> TokenFile:
    """A token file from what was read, with every value checked. Raises `InputError`."""
    if not isinstance(metadata, Mapping) or metadata.get("format") != FORMAT:
        raise refuse("not a dacse token file: its metadata does not say dacse-tokens")
    version = metadata.get("version")
    if version not in ("1", str(VERSION)):
        shown = version if isinstance(version, str) else "unknown"
        raise refuse(f"token file version {shown:.20}; this dacse reads 1 and {VERSION}")
    latents = version != "1" and metadata.get("units") == "latents"
    if version != "1" and metadata.get("units") not in ("codes", "latents"):
        raise refuse("the metadata does not say whether the units are codes or latents")
    numbers = {name: _whole(metadata, name) for name in _NUMBERS if not (latents and name == "codebook_size")}
    tokens = TokenFile(
        units=_as_latents(units) if latents else _as_int16(units),
        codec=_text(metadata, "codec"),
        source=_text(metadata, "source"),
        quantised=latents and metadata.get("quantised") == "true",
        **{"codebook_size": 0, **numbers},
    )
    check(tokens)
    return tokens


def _whole(metadata: Mapping[Any, Any], name: str) -> int:
    value = metadata.get(name)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**15:
        return value
    if not isinstance(value, str) or not _WHOLE.fullmatch(value):
        raise refuse(f"metadata: {name} is missing or not a whole number of at most 15 digits")
    return int(value)


def _text(metadata: Mapping[Any, Any], name: str) -> str:
    value = metadata.get(name)
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise refuse(f"metadata: {name} is missing or not a text of at most {_MAX_TEXT} characters")
    return value


def _as_int16(codes: NDArray[Any]) -> NDArray[np.int16]:
    """Any integer array that fits, as native int16."""
    if codes.dtype.kind not in "iu":
        raise refuse(f"codes are {codes.dtype}, not whole numbers")
    if codes.size and (codes.min() < 0 or codes.max() > np.iinfo(np.int16).max):
        raise refuse("codes lie outside 0..32767")
    return np.ascontiguousarray(codes, np.int16)


def _as_latents(latents: NDArray[Any]) -> NDArray[Any]:
    """float32 or float16 in native byte order, all finite."""
    if latents.dtype.kind != "f" or latents.dtype.itemsize not in (2, 4):
        raise refuse(f"latents are {latents.dtype}, not float32 or float16")
    native = np.ascontiguousarray(latents, latents.dtype.newbyteorder("="))
    if not np.isfinite(native).all():
        raise refuse("latents hold NaN or infinite values")
    return native


def check(tokens: TokenFile) -> None:
    """Raise `InputError` if shape, values or lengths of `tokens` are out of range or contradictory."""
    units, kind = tokens.units, "codes" if tokens.holds_codes else "latents"
    if units.ndim != 3 or 0 in units.shape:
        raise refuse(f"{kind} have shape {list(units.shape)}, expected [channels, {kind}, frames]")
    C, U, T = units.shape
    if C > MAX_CHANNELS or (MAX_CHANNELS if tokens.holds_codes else MAX_WIDTH) < U:
        raise refuse(f"{C} channels of {U} {kind} per frame are more than dacse handles")
    if min(tokens.sample_rate, tokens.hop_length) < 1:
        raise refuse("sample rate and hop length must be positive")
    if tokens.holds_codes:
        _check_codes(units, tokens.codebook_size)
    if not 1000 <= tokens.original_sample_rate <= 768_000:
        raise refuse(f"impossible original sample rate {tokens.original_sample_rate}")
    frame = tokens.hop_length / tokens.sample_rate
    spoken, claimed = T * frame, tokens.original_length / tokens.original_sample_rate
    if not spoken - 2 * frame < claimed <= spoken + 1e-3:
        raise refuse(f"{claimed:.3f} s of sound cannot be {T} frames ({spoken:.3f} s)")


def _check_codes(codes: NDArray[np.int16], size: int) -> None:
    if int(codes.max()) >= size:
        channel, book, frame = (int(i) for i in np.argwhere(codes >= size)[0])
        code = int(codes[channel, book, frame])
        raise refuse(f"code {code} at frame {frame}, codebook {book + 1} is not below {size}")
