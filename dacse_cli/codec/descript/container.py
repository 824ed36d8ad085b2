"""Descript's `.dac` container: bytes <-> codes and the facts stored beside them.

A `.dac` file is `numpy.save` of one dict, that is: a pickle, which can run any code. It is read here as plain
values, of which only those below are used. Layout: `DACFile` in `dac/model/base.py` of
descript-audio-codec 1.0.0.
Independent of networks and paths.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import InputError
from dacse_cli.weights.pickles import Call, PickleError, read_pickle

DAC_VERSION = "1.0.0"
"""The only version Descript's package reads and writes."""

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER_BYTES = 4096
_MAX_CODE = 32767  # codes are int16
_MAX_WHOLE = 1 << 53
_NUMBERS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}
_RECONSTRUCT = ("numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct")  # numpy 1, 2
_SCALAR = ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar")
_ALLOWED = {*_RECONSTRUCT, *_SCALAR, "numpy.ndarray", "numpy.dtype"}


@dataclass(frozen=True)
class DacFile:
    """What a `.dac` file holds."""

    codes: NDArray[np.int16]
    """`[C, k, T]`. On the codec's frame grid only if `padding`."""
    input_db: tuple[float, ...]
    """Loudness of each item before it was set to -16 LUFS for encoding."""
    original_length: int
    """Samples per channel at `sample_rate`."""
    sample_rate: int
    """The recording's rate, not the codec's."""
    chunk_length: int
    """Frames of one window; windows overlap unless `padding`."""
    padding: bool
    """Whether the recording was encoded in one padded pass."""

    def on_grid(self) -> NDArray[np.int16]:
        """The codes, if frame t stands for samples t*hop..(t+1)*hop. Raises `InputError` 'off-grid'.

        Descript's chunked files hold windows encoded without padding that repeat 1.02 to 2.8 times the
        frames; a model of tokens cannot use them.
        """
        if not self.padding:
            raise InputError(
                f"this .dac file was encoded in windows of {self.chunk_length} frames that overlap, "
                "so its codes are not on the codec's frame grid",
                reason="off-grid",
                hint="encode the recording with dacse tokenize, or with a window as long as the recording",
            )
        return self.codes


def read_dac(data: bytes) -> DacFile:
    """The content of a `.dac` file. Raises `InputError` 'not-tokens' for everything else."""
    try:
        return _from_content(_content(data))
    except PickleError as error:
        raise _refused(str(error)) from error


def write_dac(file: DacFile) -> bytes:
    """`file` as Descript's package writes it, readable by `DACFile.load`."""
    content = {
        "codes": file.codes.astype(np.uint16),
        "metadata": {
            "input_db": np.array(file.input_db, np.float32),
            "original_length": file.original_length,
            "sample_rate": file.sample_rate,
            "chunk_length": file.chunk_length,
            "channels": len(file.codes),
            "padding": file.padding,
            "dac_version": DAC_VERSION,
        },
    }
    stream = io.BytesIO()
    np.save(stream, np.array(content, dtype=object), allow_pickle=True)
    return stream.getvalue()


def _content(data: bytes) -> object:
    """The one object that the file announces, not yet looked into."""
    if not data.startswith(_MAGIC):
        raise _refused("it has no numpy header")
    start = 10 + int.from_bytes(data[8:10], "little")
    header = data[10:start]
    if start > _HEADER_BYTES or b"'|O'" not in header or b"'shape': ()" not in header:
        raise _refused("its numpy header does not announce one object")
    shape, code, _, _, items = _array_parts(read_pickle(data[start:], _ALLOWED))
    if shape != () or code != "O8" or not isinstance(items, list) or len(items) != 1:
        raise _refused("it holds no single object")
    return items[0]


def _array_parts(value: object) -> tuple[Any, str, str, bool, Any]:
    """(shape, type, byte order, whether in Fortran's order, data) of a pickled numpy array."""
    if not (isinstance(value, Call) and value.name in _RECONSTRUCT):
        raise PickleError("it holds something else where an array belongs")
    if not (isinstance(value.state, tuple) and len(value.state) == 5):
        raise PickleError("it has an array without content")
    _, shape, dtype, fortran, data = value.state
    code, order = _dtype_parts(dtype)
    return shape, code, order, bool(fortran), data


def _dtype_parts(value: object) -> tuple[str, str]:
    """(type, byte order) of a pickled numpy dtype."""
    if isinstance(value, Call) and value.name == "numpy.dtype" and value.args:
        code = value.args[0]
        order = value.state[1] if isinstance(value.state, tuple) and len(value.state) > 1 else "<"
        if isinstance(code, str) and order in ("<", ">", "|", "="):
            return code, "<" if order == "=" else order
    raise PickleError("it has an array without a type")


def _array(value: object) -> NDArray[Any]:
    """A pickled array of numbers. Its bytes must be there, and be as many as its shape needs."""
    shape, code, order, fortran, data = _array_parts(value)
    if code not in _NUMBERS:
        raise PickleError(f"it holds values of type {code!r:.20}")
    if not (isinstance(shape, tuple) and all(isinstance(n, int) and 0 <= n < 1 << 48 for n in shape)):
        raise PickleError("it has an array of an impossible shape")
    dtype, count = np.dtype(order + code), 1
    for n in shape:
        count *= n
    if len(shape) > 8 or not isinstance(data, bytes) or len(data) != count * dtype.itemsize:
        raise PickleError("it has an array whose bytes do not fit its shape")
    axes: Literal["F", "C"] = "F" if fortran else "C"
    return np.frombuffer(data, dtype).reshape(shape, order=axes)


def _plain(value: object) -> object:
    """A number that numpy pickled as a scalar, as Python's own; anything else unchanged."""
    if not (isinstance(value, Call) and value.name in _SCALAR):
        return value
    dtype, data = value.args if len(value.args) == 2 else (None, None)
    code, order = _dtype_parts(dtype)
    if code not in _NUMBERS or not isinstance(data, bytes) or len(data) != int(code[1:]):
        raise PickleError("it has a number without a value")
    number: object = np.frombuffer(data, order + code)[0].item()
    return number


def _from_content(content: object) -> DacFile:
    facts = content.get("metadata") if isinstance(content, dict) else None
    if not isinstance(content, dict) or not isinstance(facts, dict):
        raise _refused("it holds no dict of codes and metadata")
    if facts.get("dac_version") != DAC_VERSION:
        raise _refused(f"it is not of dac_version {DAC_VERSION}")
    if not isinstance(content.get("codes"), Call):
        raise _refused("its codes are not whole numbers [channels, codebooks, frames]")
    codes = _array(content["codes"])
    if codes.ndim != 3 or codes.dtype.kind not in "iu":
        raise _refused("its codes are not whole numbers [channels, codebooks, frames]")
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) <= _MAX_CODE:
        raise _refused(f"its codes run from {codes.min()} to {codes.max()}")
    return DacFile(
        codes=codes.astype(np.int16),
        input_db=_loudness(facts.get("input_db")),
        original_length=_whole(facts, "original_length", 0),
        sample_rate=_whole(facts, "sample_rate", 1),
        chunk_length=_whole(facts, "chunk_length", 0),
        padding=_plain(facts.get("padding")) is True,
    )


def _loudness(value: object) -> tuple[float, ...]:
    if isinstance(value, Call) and value.name in _RECONSTRUCT:
        values: list[object] = _array(value).reshape(-1)[:64].tolist()
    else:
        values = [_plain(value)]
    if not all(isinstance(level, (int, float)) for level in values):
        raise _refused("its input_db is not a number")
    return tuple(float(level) for level in values if isinstance(level, (int, float)))


def _whole(facts: dict[Any, Any], name: str, least: int) -> int:
    value = _plain(facts.get(name))
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= _MAX_WHOLE:
        raise _refused(f"its {name} is not a whole number from {least} on")
    return value


def _refused(why: str) -> InputError:
    return InputError(f"not a Descript .dac file: {why}", reason="not-tokens")
