"""File names as they may be shown on a terminal. A name is somebody else's bytes."""

from __future__ import annotations

import unicodedata

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t", "\\": "\\"}


def shown(name: str) -> str:
    """`name` with every character that could move a cursor, reorder text or fake a line written out.

    C0, DEL, C1, bidirectional controls, line separators and undecodable bytes become `\\xNN` or `\\uNNNN`.
    Idempotent; text without such characters comes back unchanged.
    """
    return "".join(_shown(character) for character in name)


def _shown(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as surrogateescape holds it
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character
