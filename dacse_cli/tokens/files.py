"""Token files, version 1: codes `[C, K, T]` and what it takes to turn them back into sound.

Knows bytes, not paths' meaning: names never come from what a file says about itself. A file from outside
is hostile: nothing is unpickled, and memory stays within a small multiple of the file's own size.
"""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import InputError
from dacse_cli.tokens.text import from_text, to_text

FORMAT, VERSION = "dacse-tokens", 1
SUFFIX = ".tokens"
TOKEN_FORMATS = ("safetensors", "npz", "txt")
_NUMBERS = ("sample_rate", "hop_length", "codebook_size", "original_sample_rate", "original_length")


@dataclass(frozen=True)
class TokenFile:
    """Codes of one recording. `sample_rate` is the codec's; `original_length` counts original samples."""

    codes: NDArray[np.int16]
    codec: str
    sample_rate: int
    hop_length: int
    codebook_size: int
    original_sample_rate: int
    original_length: int
    source: str

    def metadata(self) -> dict[str, str]:
        """The header's strings."""
        numbers = {name: str(getattr(self, name)) for name in _NUMBERS}
        # a name need not be UTF-8, a header must be
        source = os.fsencode(self.source).decode("utf-8", "backslashreplace")
        return {
            "format": FORMAT,
            "version": str(VERSION),
            "codec": self.codec,
            "source": source,
            **numbers,
        }

    def with_codes(self, codes: NDArray[np.int16]) -> TokenFile:
        """The same recording with other codes `[C, K, T]`."""
        return replace(self, codes=codes)


def refuse(why: str, *, reason: str = "not-tokens") -> InputError:
    """The one error a bad token file gives."""
    return InputError(why, reason=reason, hint="Token files are written by `dacse tokenize`.")


def is_token_name(name: str) -> bool:
    """Whether a file found in a folder is a token file (`x.tokens.npz`, ..., or Descript's `.dac`)."""
    lower = name.lower()
    return lower.endswith((*(f"{SUFFIX}.{form}" for form in TOKEN_FORMATS), ".dac"))


def has_token_suffix(name: str) -> bool:
    """Whether a file named by the user can only be a token file (`codes.safetensors`)."""
    return token_form(name) in (*TOKEN_FORMATS, "dac")


def token_form(name: str) -> str:
    """The form a token file's name says: one of `TOKEN_FORMATS`, or `dac`."""
    return name.lower().rsplit(".", 1)[-1]


def dump(tokens: TokenFile, form: str) -> bytes:
    """The bytes of a token file in `form` (safetensors, npz, txt). txt takes one channel."""
    if form == "safetensors":
        from safetensors.numpy import save

        return save({"codes": np.ascontiguousarray(tokens.codes)}, metadata=tokens.metadata())
    if form == "npz":
        out = io.BytesIO()
        np.savez(out, codes=tokens.codes, metadata=np.array(json.dumps(tokens.metadata())))
        return out.getvalue()
    if form == "txt":
        (channel,) = tokens.codes
        return (to_text(channel) + "\n").encode()
    raise ValueError(f"unknown token format {form}")


def load(data: bytes, form: str) -> TokenFile:
    """Inverse of `dump`, checked to the last number; `InputError` where anything is off.

    A txt file says nothing about its codec: `codec` is empty there and the numbers are 0.
    """
    if form == "safetensors":
        return _load_safetensors(data)
    if form == "npz":
        return _load_npz(data)
    if form == "txt":
        return _load_txt(data)
    raise ValueError(f"unknown token format {form}")


def _load_safetensors(data: bytes) -> TokenFile:
    from safetensors import SafetensorError
    from safetensors.numpy import load as parse

    try:
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
        tensors = parse(data)
    except (SafetensorError, ValueError, KeyError, RecursionError) as error:
        raise refuse(f"not a safetensors file ({_first_line(error)})") from None
    if set(tensors) != {"codes"} or not isinstance(header, dict):
        raise refuse("not a dacse token file: it does not hold one tensor named codes")
    return _build(tensors["codes"], header.get("__metadata__") or {})


def _load_npz(data: bytes) -> TokenFile:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sorted(archive.namelist()) != ["codes.npy", "metadata.npy"]:
                raise refuse("not a dacse token file: it does not hold codes and metadata")
            if sum(member.file_size for member in archive.infolist()) > 2 * len(data) + 65536:
                raise refuse("the archive unpacks to far more than its size")
            codes = _parse_npy(archive.read("codes.npy"))
            metadata = json.loads(str(_parse_npy(archive.read("metadata.npy"))))
    except InputError:
        raise
    except Exception as error:  # numpy's and zipfile's parsers leak a dozen types on hostile bytes
        raise refuse(f"not a dacse token file ({_first_line(error)})") from None
    return _build(codes, metadata)


def _parse_npy(data: bytes) -> NDArray[np.generic]:
    """A `.npy` whose header is believed only as far as its bytes reach."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("unknown npy version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    count = 1
    for n in shape:
        count *= n
    body = data[stream.tell() :]
    if dtype.hasobject or count * dtype.itemsize != len(body):
        raise ValueError("the header does not fit the data")
    return np.frombuffer(body, dtype).reshape(shape, order="F" if fortran else "C")


def _load_txt(data: bytes) -> TokenFile:
    try:
        codes = from_text(data.decode("ascii").rstrip("\r\n"))
    except ValueError as error:
        raise refuse(f"not a token text ({_first_line(error)})") from None
    return TokenFile(codes[None], "", 0, 0, 0, 0, 0, "")


def _build(codes: NDArray[np.generic], metadata: object) -> TokenFile:
    if not isinstance(metadata, Mapping) or metadata.get("format") != FORMAT:
        raise refuse("not a dacse token file: its metadata does not say dacse-tokens")
    if metadata.get("version") != str(VERSION):
        raise refuse(f"token file version {metadata.get('version')!r}; this dacse reads {VERSION}")
    try:
        numbers = {name: int(metadata[name]) for name in _NUMBERS}
        texts = {name: str(metadata[name]) for name in ("codec", "source")}
    except (KeyError, ValueError, TypeError, OverflowError) as error:  # the last for an infinite number
        raise refuse(f"metadata missing or not a number: {_first_line(error)}") from None
    tokens = TokenFile(codes=_as_int16(codes), **texts, **numbers)  # type: ignore[arg-type]
    check(tokens)
    return tokens


def _as_int16(codes: NDArray[np.generic]) -> NDArray[np.int16]:
    """Any integer array that fits, as native int16."""
    if codes.dtype.kind not in "iu":
        raise refuse(f"codes are {codes.dtype}, not whole numbers")
    if codes.size and (codes.min() < 0 or codes.max() > np.iinfo(np.int16).max):
        raise refuse("codes lie outside 0..32767")
    return np.ascontiguousarray(codes.astype(np.int16))


def check(tokens: TokenFile) -> None:
    """`InputError` unless shape, range and lengths of `tokens` can be true together."""
    codes = tokens.codes
    if codes.ndim != 3 or 0 in codes.shape:
        raise refuse(f"codes have shape {list(codes.shape)}, expected [channels, codebooks, frames]")
    if codes.shape[0] > 64 or codes.shape[1] > 64:
        raise refuse(f"{codes.shape[0]} channels of {codes.shape[1]} codebooks are more than dacse handles")
    if min(tokens.sample_rate, tokens.hop_length, tokens.codebook_size) < 1:
        raise refuse("sample rate, hop length and codebook size must be positive")
    if codes.max() >= tokens.codebook_size:
        channel, book, frame = (int(i) for i in np.argwhere(codes >= tokens.codebook_size)[0])
        code = int(codes[channel, book, frame])
        raise refuse(f"code {code} at frame {frame}, codebook {book + 1} is not below {tokens.codebook_size}")
    if not 1000 <= tokens.original_sample_rate <= 768_000:
        raise refuse(f"impossible original sample rate {tokens.original_sample_rate}")
    spoken = codes.shape[2] * tokens.hop_length / tokens.sample_rate
    claimed = tokens.original_length / tokens.original_sample_rate
    if not spoken - 2 * tokens.hop_length / tokens.sample_rate < claimed <= spoken + 1e-3:
        raise refuse(f"{claimed:.3f} s of sound cannot be {codes.shape[2]} frames ({spoken:.3f} s)")


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:120]
