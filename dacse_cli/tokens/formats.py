"""Token files as bytes: safetensors, npz and text.

Files are not trusted: nothing is unpickled, and memory stays within twice the file's own size and
64 MB.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import InputError
from dacse_cli.files.documents import parse_json
from dacse_cli.files.names import LONGEST_QUOTED, shown
from dacse_cli.tokens.files import TokenFile, build, refuse
from dacse_cli.tokens.names import LATENT_FORMATS
from dacse_cli.tokens.text import from_text, to_text


def dump(tokens: TokenFile, form: str) -> bytes:
    """The bytes of a token file in `form` (safetensors, npz, txt). txt takes one channel of codes.

    Raises `InputError` 'format' for latents as text.
    """
    name = "codes" if tokens.holds_codes else "latents"
    if not tokens.holds_codes and form not in LATENT_FORMATS:
        raise InputError(f"latents cannot be written as {form}", reason="format", hint="Use safetensors.")
    if form == "safetensors":
        from safetensors.numpy import save

        return save({name: np.ascontiguousarray(tokens.units)}, metadata=tokens.metadata())
    if form == "npz":
        out = io.BytesIO()
        arrays: dict[str, Any] = {name: tokens.units, "metadata": np.array(json.dumps(tokens.metadata()))}
        np.savez(out, **arrays)
        return out.getvalue()
    if form == "txt":
        (channel,) = tokens.codes
        return (to_text(channel) + "\n").encode()
    raise ValueError(f"unknown token format {form}")


def load(data: bytes, form: str) -> TokenFile:
    """Inverse of `dump`, with every value checked; raises `InputError` if anything is wrong.

    A txt file has no data about its codec: `codec` is empty there and the codec's numbers are 0.
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

    length = int.from_bytes(data[:8], "little")
    try:
        header = parse_json(data[8 : 8 + length])
        tensors = parse(data)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise refuse(f"not a safetensors file ({_first_line(error)})") from None
    if not isinstance(header, dict):
        raise refuse("not a safetensors file (its header is not an object)")
    metadata = header.get("__metadata__") or {}
    return build(_only(tensors, metadata), metadata)


def _load_npz(data: bytes) -> TokenFile:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = archive.namelist()
            if len(names) != 2 or "metadata.npy" not in names:
                raise refuse("not a dacse token file: it does not hold units and metadata")
            if sum(member.file_size for member in archive.infolist()) > 2 * len(data) + 65536:
                raise refuse("the archive unpacks to far more than its size")
            metadata = parse_json(str(_parse_npy(archive.read("metadata.npy"))))
            (name,) = set(names) - {"metadata.npy"}
            units = _parse_npy(archive.read(name))
    except InputError:
        raise
    except Exception as error:  # numpy and zipfile raise a dozen types for malformed bytes
        raise refuse(f"not a dacse token file ({_first_line(error)})") from None
    return build(_only({name.removesuffix(".npy"): units}, metadata), metadata)


def _only(tensors: dict[str, Any], metadata: object) -> NDArray[Any]:
    """The only tensor of a token file, which must have the name that fits its metadata."""
    latents = isinstance(metadata, dict) and metadata.get("units") == "latents"
    name = "latents" if latents else "codes"
    if tensors.keys() != {name}:
        raise refuse(f"not a dacse token file: it does not hold one tensor named {name}")
    units: NDArray[Any] = tensors[name]
    return units


def _parse_npy(data: bytes) -> NDArray[Any]:
    """The array of a `.npy`; raises `ValueError` if its header does not fit its length."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError("unknown npy version")
    shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
    count, start = 1, stream.tell()
    for n in shape:
        count *= n
    if dtype.hasobject or count * dtype.itemsize != len(data) - start:
        raise ValueError("the header does not fit the data")
    return np.frombuffer(data, dtype, offset=start).reshape(shape, order="F" if fortran else "C")


def _load_txt(data: bytes) -> TokenFile:
    try:
        codes = from_text(data.rstrip(b"\r\n"))
    except ValueError as error:
        raise refuse(f"not a token text ({_first_line(error)})") from None
    return TokenFile(codes[None], "", 0, 0, 0, 0, 0, "")


def _first_line(error: BaseException) -> str:
    return shown((str(error) or type(error).__name__).splitlines()[0], LONGEST_QUOTED)
