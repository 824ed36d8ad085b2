"""Codes as the text of the published tokenizer: `<|s{code}_c{codebook}|>`, codebooks counted from 1.

Works through long texts in pieces, so that memory stays within a small multiple of the text.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_DIGITS = 5
_PIECE_BYTES = 1 << 18
_PIECE_FRAMES = 4096


def to_text(codes: NDArray[np.integer]) -> str:
    """Codes `[K, T]` -> one line, time-major, without a line break."""
    return "".join(_text_pieces(codes))


def _text_pieces(codes: NDArray[np.integer]) -> Iterator[str]:
    for start in range(0, codes.shape[1], _PIECE_FRAMES):
        frames = codes[:, start : start + _PIECE_FRAMES].T.tolist()
        yield "".join(f"<|s{code}_c{k}|>" for frame in frames for k, code in enumerate(frame, start=1))


def from_text(line: str | bytes) -> NDArray[np.int16]:
    """Inverse of `to_text`: codes `[K, T]`.

    Raises `ValueError` for anything between the tokens and for codebooks that are not in order.
    """
    text = line.encode("ascii") if isinstance(line, str) else line
    pieces = [_numbers(piece) for piece in _pieces(text)]
    if not pieces:
        raise ValueError("the line holds no <|s..._c...|> tokens")
    codes, books = (np.concatenate(parts) for parts in zip(*pieces, strict=True))
    K = int(books.max())
    if len(books) % K or (books.reshape(-1, K) != np.arange(1, K + 1)).any():
        raise ValueError("the codebooks do not come in the order 1, 2, 3, ... frame by frame")
    return np.ascontiguousarray(codes.reshape(-1, K).T)


def _pieces(text: bytes) -> Iterator[bytes]:
    """The text cut after tokens, a quarter of a megabyte at a time."""
    start = 0
    while start < len(text):
        stop = text.rfind(b">", start, start + _PIECE_BYTES) + 1
        if not stop:
            raise ValueError("the line holds something other than <|s..._c...|> tokens")
        yield text[start:stop]
        start = stop


def _numbers(piece: bytes) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Codes and codebooks `[n]` of n tokens."""
    marks = piece.translate(None, b"0123456789")
    text = np.frombuffer(piece, np.uint8)
    digit = (text >= ord("0")) & (text <= ord("9"))
    edges = np.flatnonzero(np.diff(digit))  # before each number, and at its last digit
    before, last = edges[::2], edges[1::2]
    # one number after every s and every c, and only the fixed signs around them
    whole = len(before) == len(last) and marks == b"<|s_c|>" * (len(before) // 2)
    if not whole or (text[before].reshape(-1, 2) != [ord("s"), ord("c")]).any():
        raise ValueError("the line holds something other than <|s..._c...|> tokens")
    if (last - before).max() > _DIGITS:
        raise ValueError("a code is larger than any codebook")
    numbers = np.zeros(len(before), np.int64)
    for place in range(1, _DIGITS + 1):
        at = np.minimum(before + place, last)
        numbers = np.where(before + place <= last, 10 * numbers + text[at] - ord("0"), numbers)
    if numbers.max() > np.iinfo(np.int16).max:
        raise ValueError(f"code {numbers.max()} is larger than any codebook")
    return numbers[::2].astype(np.int16), numbers[1::2].astype(np.int16)
