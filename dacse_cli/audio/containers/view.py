"""Parts of an open file as one stream, with some bytes replaced, for a decoder to read."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any, BinaryIO

_TAG_AREA = 4096


class View:
    """What `soundfile.SoundFile` wants of a file object, over byte ranges of another one.

    `patches` are (offset in the file, bytes). With `claimed` the stream reports this length: a read behind
    its real end returns nothing and sets `reached_end`, and its last bytes, where a tag could be, are zeros.
    """

    def __init__(
        self,
        stream: BinaryIO,
        ranges: Sequence[tuple[int, int]],
        patches: Sequence[tuple[int, bytes]] = (),
        claimed: int | None = None,
    ) -> None:
        self._stream = stream
        self._ranges = [(start, end) for start, end in ranges if end > start]
        self._patches = tuple(patches)
        self._starts = []  # in the view
        length = 0
        for start, end in self._ranges:
            self._starts.append(length)
            length += end - start
        self._length, self._claimed = length, claimed
        self._at = 0
        self.reached_end = False

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As a file does."""
        if whence == os.SEEK_CUR:
            offset += self._at
        elif whence == os.SEEK_END:
            offset += self._claimed or self._length
        self._at = max(0, offset)
        return self._at

    def tell(self) -> int:
        """As a file does."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """As a file does: 0 at the end only."""
        wanted = len(buffer)
        if self._claimed is not None and self._at >= self._claimed - _TAG_AREA:
            data = bytes(max(0, min(wanted, self._claimed - self._at)))
        else:
            data = self._read(wanted)
            self.reached_end |= len(data) < wanted
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)

    def _read(self, count: int) -> bytes:
        """Up to `count` bytes from the position on, fewer only at the end."""
        pieces = []
        at = self._at
        while count > 0 and at < self._length:
            index = bisect_right(self._starts, at) - 1
            start, end = self._ranges[index]
            place = start + at - self._starts[index]
            self._stream.seek(place)
            piece = self._stream.read(min(count, end - place))
            if not piece:  # the file has become shorter
                break
            pieces.append(self._patched(piece, place))
            at += len(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _patched(self, data: bytes, place: int) -> bytes:
        """`data`, which stands at `place` in the file, with the patches that fall into it."""
        for offset, value in self._patches:
            low, high = max(offset, place), min(offset + len(value), place + len(data))
            if low < high:
                data = data[: low - place] + value[low - offset : high - offset] + data[high - place :]
        return data
