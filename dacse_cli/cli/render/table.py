"""Columns of text without a frame, and without blanks at the ends of lines."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

GAP = "  "


class Table:
    """Rows of cells for `Console.print`; those of the columns in `right` are aligned to the right."""

    def __init__(self, title: str | None = None, right: tuple[int, ...] = ()) -> None:
        self._title, self._right = title, right
        self._rows: list[list[Text]] = []

    def add_row(self, *cells: str | Text) -> None:
        """One more row; strings are never interpreted as markup."""
        self._rows.append([cell if isinstance(cell, Text) else Text(cell) for cell in cells])

    def __rich_console__(self, *_: object) -> Iterator[Text]:
        if self._title is not None:
            yield Text(self._title)
        columns = max(map(len, self._rows), default=0)
        widths = [max(row[n].cell_len for row in self._rows if n < len(row)) for n in range(columns)]
        for row in self._rows:
            yield self._line(row, widths)

    def _line(self, row: list[Text], widths: list[int]) -> Text:
        line = Text()
        for number, (cell, width) in enumerate(zip(row, widths, strict=False)):
            blanks = " " * (width - cell.cell_len)
            line.append(GAP if number else "")
            line.append(blanks if number in self._right else "").append_text(cell)
            line.append("" if number in self._right else blanks)
        line.rstrip()
        return line
