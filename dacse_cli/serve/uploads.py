"""The body of a request -> a file in a private folder, up to a size limit.

A body whose declared length is too long is refused before any of it is read; one without a declared length,
or with a wrong one, when it exceeds the limit. Programs send the bare recording, or a form with a field
`file`.
"""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import AsyncIterator
from pathlib import Path

from anyio.to_thread import run_sync
from starlette.datastructures import UploadFile
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from dacse_cli.audio.formats import AUDIO_SUFFIXES
from dacse_cli.serve.problems import ApiError

MOST_BYTES = 2_000_000_000
SPARE_BYTES = 500_000_000
"""Bytes that are always left free on the disk."""
_LONGEST_NAME = 200
_BLOCK = 1 << 20


def plain_name(name: str) -> str:
    """A client's file name made safe to show and to use for downloads: no folders, no control characters."""
    last = name.replace("\\", "/").rsplit("/", 1)[-1]
    shown = "".join(c for c in last if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Zl", "Zp"))
    stem, dot, suffix = shown.strip().rpartition(".")
    if not dot:
        return shown.strip()[:_LONGEST_NAME] or "recording"
    return f"{stem[: _LONGEST_NAME - 10] or 'recording'}.{suffix[:9]}"


def stored_name(name: str) -> str:
    """A recording's name on disk: only a known suffix is taken from the client's name."""
    suffix = Path(name).suffix.lower()
    return f"original{suffix if suffix in AUDIO_SUFFIXES else ''}"


def check_length(request: Request, folder: Path, most: int = MOST_BYTES, copies: int = 1) -> None:
    """Refuse a request whose declared length exceeds the limit, or `copies` of it the free disk space."""
    text = request.headers.get("content-length", "0")
    length = int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else most + 1
    if length > most:
        raise ApiError(
            413, "too_large", f"at most {most / 1e9:g} GB per recording, this has {length / 1e9:.1f}"
        )
    check_space(folder, copies * length)


def check_space(folder: Path, wanted: int) -> None:
    """Refuse data that would fill the disk."""
    if shutil.disk_usage(folder).free < wanted + SPARE_BYTES:
        raise ApiError(507, "no_space", "there is not enough free space on the disk of the temporary folder")


class Limited:
    """The `receive` of an ASGI request; raises `ApiError` after `most` bytes of body, or if the disk is full.

    Not every request declares its length, and several may arrive at once.
    """

    def __init__(self, request: Request, folder: Path, most: int = MOST_BYTES) -> None:
        self._receive, self._folder, self._left, self._most = request.receive, folder, most, most

    async def __call__(self) -> Message:
        """The next message."""
        message = await self._receive()
        size = len(message.get("body", b""))
        check_space(self._folder, size)
        self._left -= size
        if self._left < 0:
            raise ApiError(413, "too_large", f"at most {self._most / 1e9:g} GB per recording")
        return message


async def receive_body(
    request: Request, folder: Path, most: int = MOST_BYTES
) -> tuple[Path, str, dict[str, str]]:
    """The recording in `folder`, the client's name for it, and the form's other fields.

    Raises `ApiError`; then nothing is left in `folder`.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    form = kind == "multipart/form-data"
    check_length(request, folder, most, copies=2 if form else 1)  # a form's file is stored, then copied
    limited = Request(request.scope, Limited(request, folder, most))
    try:
        if form:
            return await _from_form(limited, folder)
        name = plain_name(request.query_params.get("name", ""))
        path = folder / stored_name(name)
        await _write(path, limited.stream())
        return path, name, {}
    except ClientDisconnect:
        raise ApiError(499, "cancelled", "the client disconnected") from None
    except OSError as error:
        raise ApiError(507, "no_space", f"the recording cannot be stored: {error.strerror}") from None


async def _from_form(request: Request, folder: Path) -> tuple[Path, str, dict[str, str]]:
    async with request.form(max_files=1, max_fields=20) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise ApiError(400, "no_file", "the form has no file in a field called file", param="file")
        check_space(folder, file.size or 0)
        name = plain_name(file.filename or "")
        path = folder / stored_name(name)
        await _write(path, _blocks(file))
        return path, name, {key: value for key, value in form.items() if isinstance(value, str)}


async def _blocks(file: UploadFile) -> AsyncIterator[bytes]:
    while block := await file.read(_BLOCK):
        yield block


async def _write(path: Path, blocks: AsyncIterator[bytes]) -> None:
    """Write blocks to a new file, which is removed on failure."""
    size = 0
    try:
        with path.open("xb") as file:
            async for block in blocks:
                if block:
                    await run_sync(file.write, block)
                    size += len(block)
        if not size:
            raise ApiError(400, "no_file", "the request contains no recording", param="file")
    except BaseException:
        path.unlink(missing_ok=True)
        raise
