"""Files of `torch.save` (`.pt`, `.pth`): plain values and tensors, without unpickling.

Supports the zip layout torch has written since 1.6: `NAME/data.pkl` beside `NAME/data/KEY`, one uncompressed
member for each storage. Tensors stay in the file until they are asked for.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dacse_cli.errors import ModelError
from dacse_cli.weights.pickles import Call, Global, PickleError, Reference, read_pickle
from dacse_cli.weights.stored import Shape

if TYPE_CHECKING:
    from torch import Tensor

_TYPES = {
    "FloatStorage": "F32", "HalfStorage": "F16", "BFloat16Storage": "BF16", "DoubleStorage": "F64",
    "LongStorage": "I64", "IntStorage": "I32", "ShortStorage": "I16", "CharStorage": "I8",
    "ByteStorage": "U8", "BoolStorage": "BOOL",
}  # fmt: skip
_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F64": 8, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
_ALLOWED = {f"torch.{name}" for name in _TYPES} | {
    "collections.OrderedDict",
    "torch._utils._rebuild_tensor_v2",
    "torch._utils._rebuild_parameter",
}
_PICKLE_BYTES = 16 << 20
_DIRECTORY_BYTES = 8 << 20
_MAX_DEPTH = 20
_MAX_VALUES = 200_000
_LOCAL_HEADER = 30
"""Bytes of a zip member's local header, without its name and extra field."""
_END = b"PK\x05\x06"
_END64 = b"PK\x06\x06"


@dataclass(frozen=True)
class TorchTensor:
    """A tensor in the file: a view of the storage in the zip's member `member`."""

    member: str
    dtype: str
    shape: Shape
    strides: Shape
    offset: int
    """Index of the tensor's first value in the storage."""

    @property
    def span(self) -> int:
        """Number of stored values from the tensor's first to its last one; 0 for an empty tensor."""
        if 0 in self.shape:
            return 0
        return 1 + sum((n - 1) * step for n, step in zip(self.shape, self.strides, strict=True))


class TorchFile:
    """One file whose pickle has been read. `content` holds dicts, lists, plain values and `TorchTensor`s."""

    def __init__(self, path: Path, failure: type[ModelError]) -> None:
        """Raises `failure` for anything but plain values and tensors; nothing in the file is executed."""
        self._path, self._failure = path, failure
        try:
            if not path.is_file():
                raise failure(f"{path} is missing or not a regular file")
            _check_directory(path)
            with zipfile.ZipFile(path) as archive:
                self._members = {info.filename: info for info in archive.infolist()}
                prefix = self._prefix()
                allowed_size = self._members[prefix + "data.pkl"].file_size
                if allowed_size > _PICKLE_BYTES:
                    raise PickleError(f"its data.pkl has {allowed_size} bytes")
                pickled = archive.read(prefix + "data.pkl")
            self.content: Any = _Values(prefix, self._members).of(read_pickle(pickled, _ALLOWED))
        except PickleError as error:
            raise failure(f"{path} is not a file of plain weights: {error}") from error
        except (OSError, zipfile.BadZipFile, ValueError, KeyError, NotImplementedError) as error:
            raise failure(f"{path} is not a whole torch file ({type(error).__name__})", hint=_HINT) from error

    def read(self, tensors: Mapping[str, TorchTensor], names: Iterable[str]) -> dict[str, Tensor]:
        """Tensors `names` of `tensors` on the CPU, in their stored types. Raises the file's `failure`."""
        import torch

        types = {
            "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16, "F64": torch.float64,
            "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8,
            "U8": torch.uint8, "BOOL": torch.bool,
        }  # fmt: skip
        result = {}
        for name in names:
            tensor = tensors[name]
            if tensor.span == 0:
                result[name] = torch.empty(tensor.shape, dtype=types[tensor.dtype])
                continue
            try:
                flat = torch.frombuffer(self._bytes(tensor), dtype=types[tensor.dtype])
            except (OSError, EOFError) as error:
                raise self._failure(f"{self._path} is damaged: {name:.200} cannot be read") from error
            result[name] = flat.as_strided(tensor.shape, tensor.strides).contiguous()
        return result

    def _bytes(self, tensor: TorchTensor) -> bytearray:
        """The bytes of the tensor's span; checked by the archive's CRC where that is the whole storage."""
        size, info = _BYTES[tensor.dtype], self._members[tensor.member]
        with self._path.open("rb") as file:
            file.seek(info.header_offset)
            header = file.read(_LOCAL_HEADER)
            name, extra = (int.from_bytes(header[at : at + 2], "little") for at in (26, 28))
            file.seek(info.header_offset + _LOCAL_HEADER + name + extra + tensor.offset * size)
            data = bytearray(file.read(tensor.span * size))
        whole = tensor.offset == 0 and len(data) == info.file_size
        if len(data) != tensor.span * size or (whole and zlib.crc32(data) != info.CRC):
            raise EOFError
        return data

    def _prefix(self) -> str:
        names = [name for name in self._members if name.endswith("/data.pkl") and name.count("/") == 1]
        if len(names) != 1:
            raise PickleError("it has no data.pkl")
        if any(info.compress_type != zipfile.ZIP_STORED for info in self._members.values()):
            raise PickleError("it is compressed, which torch never does")
        return names[0].removesuffix("data.pkl")


_HINT = "torch.load and torch.save it again with a torch of 1.6 or later, or download it again."


def _check_directory(path: Path) -> None:
    """Refuse an archive with a very large directory: `zipfile` reads all of it into memory."""
    with path.open("rb") as file:
        file.seek(0, 2)
        file.seek(-min(file.tell(), 1 << 17), 2)
        tail = file.read()
    end = tail.rfind(_END)
    if end < 0:
        raise zipfile.BadZipFile
    size = int.from_bytes(tail[end + 12 : end + 16], "little")
    if size == 0xFFFFFFFF:
        wide = tail.rfind(_END64, 0, end)
        size = int.from_bytes(tail[wide + 40 : wide + 48], "little") if wide >= 0 else size
    if size > _DIRECTORY_BYTES:
        raise PickleError(f"its directory has {size} bytes")


class _Values:
    """Calls of the pickle -> tensors and dicts; a value that occurs several times is visited each time."""

    def __init__(self, prefix: str, members: Mapping[str, zipfile.ZipInfo]) -> None:
        self._prefix, self._members = prefix, members
        self._count = 0

    def of(self, value: Any, depth: int = 0) -> Any:
        self._count += 1
        if depth > _MAX_DEPTH or self._count > _MAX_VALUES:
            raise PickleError("it nests deeper, or holds more values, than any file of weights")
        if isinstance(value, dict):
            return {key: self.of(item, depth + 1) for key, item in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.of(item, depth + 1) for item in value]
        if isinstance(value, Call):
            return self._called(value, depth)
        if isinstance(value, (Global, Reference)):
            raise PickleError("it holds a name or a storage where a value belongs")
        return value

    def _called(self, call: Call, depth: int) -> Any:
        if call.name == "collections.OrderedDict" and not call.args:
            return self.of(call.items or {}, depth + 1)
        if call.name == "torch._utils._rebuild_parameter" and call.args:
            return self.of(call.args[0], depth + 1)
        if call.name == "torch._utils._rebuild_tensor_v2" and len(call.args) >= 4:
            return self._tensor(*call.args[:4])
        raise PickleError(f"it calls {call.name} in a way torch does not")

    def _tensor(self, storage: Any, offset: Any, shape: Any, strides: Any) -> TorchTensor:
        key = storage.key if isinstance(storage, Reference) else None
        if not (isinstance(key, tuple) and len(key) == 5 and isinstance(key[1], Global)):
            raise PickleError("it has a tensor without a storage")
        dtype = _TYPES.get(key[1].name.removeprefix("torch."))
        member = f"{self._prefix}data/{key[2]}" if isinstance(key[2], str) else ""
        info = self._members.get(member)
        if dtype is None or info is None:
            raise PickleError("it has a tensor whose storage is not in the file")
        if not (_is_tuple(shape) and _is_tuple(strides) and len(shape) == len(strides)):
            raise PickleError("it has a tensor without a shape")
        if not all(isinstance(n, int) and 0 <= n < 1 << 48 for n in (offset, *shape, *strides)):
            raise PickleError("it has a tensor of an impossible shape")
        tensor = TorchTensor(member, dtype, shape, strides, offset)
        if (offset + tensor.span) * _BYTES[dtype] > info.file_size:
            raise PickleError("it has a tensor that reaches beyond its storage")
        if prod(shape) > tensor.span:  # a stride of 0 would make a small file any size in memory
            raise PickleError("it has a tensor that uses numbers of its storage more than once")
        return tensor


def _is_tuple(value: Any) -> bool:
    return isinstance(value, tuple) and len(value) <= 8
