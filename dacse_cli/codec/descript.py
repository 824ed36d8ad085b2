"""Descript's `.dac` container: bytes <-> codes and the facts stored beside them.

A `.dac` file is `numpy.save` of one dict, that is: a pickle, which can run any code. It is read here by an
unpickler that knows four names of numpy and turns them into stand-ins. Layout: `DACFile` in
`dac/model/base.py` of descript-audio-codec 1.0.0.
Knows no networks and no paths.
"""

from __future__ import annotations

import io
import pickle
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dacse_cli.errors import InputError

DAC_VERSION = "1.0.0"
"""The only version Descript's package reads and writes."""

_MAGIC = b"\x93NUMPY\x01\x00"
_HEADER_BYTES = 4096
_MAX_CODE = 32767  # codes are int16

_GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"),  # numpy 1
    ("numpy._core.multiarray", "_reconstruct"),  # numpy 2
    ("numpy.core.multiarray", "scalar"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
}
"""All names a `.dac` file may use. Even these only become the plain stand-ins below, never numpy's own."""

_NUMBERS = {"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"}


@dataclass(frozen=True)
class DacFile:
    """What a `.dac` file holds."""

    codes: NDArray[np.int16]
    """[C, k, T]. On the codec's frame grid only if `padding`."""
    input_db: tuple[float, ...]
    """Loudness of each item before it was set to -16 LUFS for encoding."""
    original_length: int
    """Samples a channel at `sample_rate`."""
    sample_rate: int
    """The recording's rate, not the codec's."""
    chunk_length: int
    """Frames of one window; windows overlap unless `padding`."""
    padding: bool
    """Whether the recording was encoded in one padded pass."""

    def on_grid(self) -> NDArray[np.int16]:
        """The codes, if frame t stands for samples t*hop..(t+1)*hop. Raises `InputError` 'off-grid'.

        Descript's chunked files hold windows encoded without padding that repeat 1.02 to 2.8 times the
        frames; they mean nothing to a model of tokens.
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
        content = _unpickle(data)
        return _from_content(content)
    except InputError:
        raise
    except Exception as error:  # a hostile pickle can make the unpickler raise anything
        raise _refused(f"{type(error).__name__}: {error}") from error


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


class _Dtype:
    """Stand-in for `numpy.dtype`."""

    def __init__(self, code: str) -> None:
        self.code = code
        self.order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.order = {"<": "<", ">": ">", "|": "|", "=": "<"}[state[1]]

    def resolve(self) -> np.dtype[Any]:
        if self.code not in _NUMBERS:
            raise _refused(f"it holds values of type {self.code!r}")
        return np.dtype(self.order + self.code)


class _Array:
    """Stand-in for `numpy.ndarray`: its shape, type and bytes."""

    shape: tuple[int, ...]
    dtype: _Dtype
    fortran: bool
    data: Any

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.fortran, self.data = state

    def resolve(self) -> NDArray[Any]:
        order: Literal["F", "C"] = "F" if self.fortran else "C"
        return np.ndarray(self.shape, self.dtype.resolve(), self.data, order=order)


class _Name:
    """What a global name becomes: a fresh object, so that nothing shared can be tampered with."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, *args: Any) -> object:
        if self.name == "_reconstruct":
            return _Array()
        if self.name == "dtype":
            return _Dtype(args[0])
        if self.name == "scalar":
            dtype, data = args
            return np.frombuffer(data, dtype.resolve(), count=1)[0].item()
        raise _refused(f"it calls numpy.{self.name}")


class _Unpickler(pickle._Unpickler):
    """Python's own unpickler, but `find_class` knows `_GLOBALS` alone.

    The one written in Python: a memo index in the file makes the C one allocate that many entries.
    """

    def find_class(self, module: str, name: str) -> _Name:
        if (module, name) not in _GLOBALS:
            raise _refused(f"it names {module}.{name}")
        return _Name(name)


def _unpickle(data: bytes) -> object:
    if not data.startswith(_MAGIC):
        raise _refused("it has no numpy header")
    start = 10 + int.from_bytes(data[8:10], "little")
    header = data[10:start]
    if start > _HEADER_BYTES or b"'|O'" not in header or b"'shape': ()" not in header:
        raise _refused("its numpy header does not announce one object")
    array = _Unpickler(io.BytesIO(data[start:])).load()
    if not isinstance(array, _Array) or array.shape != () or array.dtype.code != "O8":
        raise _refused("it holds no single object")
    (content,) = array.data
    return content


def _from_content(content: object) -> DacFile:
    if not isinstance(content, dict) or not isinstance(content.get("metadata"), dict):
        raise _refused("it holds no dict of codes and metadata")
    codes, facts = content.get("codes"), content["metadata"]
    if facts.get("dac_version") != DAC_VERSION:
        raise _refused(f"its dac_version is {facts.get('dac_version')!r}, not {DAC_VERSION}")
    codes = codes.resolve() if isinstance(codes, _Array) else None
    if codes is None or codes.ndim != 3 or codes.dtype.kind not in "iu":
        raise _refused("its codes are not whole numbers [channels, codebooks, frames]")
    if codes.size and not 0 <= int(codes.min()) <= int(codes.max()) <= _MAX_CODE:
        raise _refused(f"its codes run from {codes.min()} to {codes.max()}")
    loudness = facts.get("input_db")
    loudness = loudness.resolve().reshape(-1) if isinstance(loudness, _Array) else [loudness]
    return DacFile(
        codes=codes.astype(np.int16),
        input_db=tuple(float(value) for value in loudness),
        original_length=_whole(facts, "original_length", 0),
        sample_rate=_whole(facts, "sample_rate", 1),
        chunk_length=_whole(facts, "chunk_length", 0),
        padding=bool(facts.get("padding")),
    )


def _whole(facts: dict[Any, Any], name: str, least: int) -> int:
    value = facts.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise _refused(f"its {name} is {value!r}")
    return value


def _refused(why: str) -> InputError:
    return InputError(f"not a Descript .dac file: {why}", reason="not-tokens")
