"""Codes as the text of the published tokenizer: `<|s{code}_c{codebook}|>`, codebooks counted from 1."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

_TOKEN = re.compile(r"<\|s(\d{1,5})_c(\d{1,3})\|>")


def to_text(codes: NDArray[np.integer]) -> str:
    """Codes `[K, T]` -> one line, time-major, no line end."""
    return "".join(f"<|s{code}_c{k}|>" for frame in codes.T.tolist() for k, code in enumerate(frame, start=1))


def from_text(line: str) -> NDArray[np.int16]:
    """Inverse of `to_text`: codes `[K, T]`.

    `ValueError` on anything between the tokens and on codebooks that do not come in order.
    """
    found = list(_TOKEN.finditer(line))
    if not found or sum(len(m.group()) for m in found) != len(line):
        raise ValueError("the line holds something other than <|s..._c...|> tokens")
    books = np.array([int(m.group(2)) for m in found])
    K = int(books.max())
    if len(found) % K or (books != np.tile(np.arange(1, K + 1), len(found) // K)).any():
        raise ValueError("the codebooks do not come in the order 1, 2, 3, ... frame by frame")
    codes = np.array([int(m.group(1)) for m in found])
    if codes.max() > np.iinfo(np.int16).max:
        raise ValueError(f"code {codes.max()} is larger than any codebook")
    return codes.reshape(-1, K).T.astype(np.int16)
