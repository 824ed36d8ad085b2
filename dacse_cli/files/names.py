"""Text from outside, such as names of files, made safe to show: on a terminal, in a table, in a message.

A name can hold line breaks, commands to a terminal, marks that reverse the text around them, spreadsheet
formulas and markup. A page of HTML needs none of this: there names are set as text, never as markup.
"""

from __future__ import annotations

import re
import unicodedata

LONGEST = 4096
"""Characters of a text that are shown; as long as a path can be."""
LONGEST_QUOTED = 80
"""Characters of a value inside a message."""

_SHORT = {"\n": r"\n", "\r": r"\r", "\t": r"\t"}
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_FORMULA = ("=", "+", "-", "@")
_NUMBER = re.compile(r"[+-]?[0-9.]{1,40}(?:e[+-]?[0-9]{1,4})?", re.IGNORECASE)
_MARKUP = re.compile(r"([\\`*_{}\[\]<>|~$&])")


def shown(text: str, longest: int = LONGEST) -> str:
    """`text` with every character that could move a cursor, reorder text or fake a line written out.

    C0, DEL, C1, bidirectional controls, line separators and bytes that are no UTF-8 become `\\xNN` or
    `\\uNNNN`. What is longer than `longest` is cut. Idempotent; harmless text comes back unchanged.
    """
    found = "".join(map(_shown, text[: longest + 1]))
    if len(found) <= longest and len(text) <= longest:
        return found
    mark = f"... ({len(text):,} characters)"
    return found[: max(0, longest - len(mark))] + mark


def quoted(value: object) -> str:
    """A value from outside inside a message: text in quotes, all else as Python writes it, cut short."""
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**30:
        return "a number of more than 30 digits"
    text = f'"{value[: 2 * LONGEST_QUOTED]}"' if isinstance(value, str) else str(value)
    return shown(text, LONGEST_QUOTED)


def csv_text(text: str) -> str:
    """`text` as a cell that no spreadsheet interprets as a formula; a number stays a number."""
    safe = shown(text)
    return f"'{safe}" if safe.lstrip().startswith(_FORMULA) and not _NUMBER.fullmatch(safe) else safe


def markdown_text(text: str) -> str:
    """`text` as Markdown that shows exactly it."""
    return _MARKUP.sub(r"\\\1", shown(text))


def _shown(character: str) -> str:
    if character in _SHORT:
        return _SHORT[character]
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8, as surrogateescape holds it
        return f"\\x{code - 0xDC00:02x}"
    if unicodedata.category(character) in _HIDDEN:
        return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
    return character
