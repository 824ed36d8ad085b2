"""The training curve: `log.csv`, a line every few steps, and TensorBoard files if it is installed."""

from __future__ import annotations

import csv
import importlib.util
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dacse_cli.files.atomic import write_bytes_atomically
from dacse_cli.files.problems import output_error

LOG = "log.csv"


class Logbook:
    """Appends rows by `step`. Rows after the step from which a run continues are removed."""

    def __init__(self, folder: Path, columns: Sequence[str], at: int) -> None:
        """Open the log of `folder` after step `at`. Raises `OutputError`."""
        self._path, self._columns = folder / LOG, ("step", "stage", *columns)
        self._board = _board(folder, at)
        write_bytes_atomically(self._path, self._text(self._kept(at)).encode())

    def add(self, step: int, stage: str, numbers: Mapping[str, float]) -> None:
        """One row; what is not measured at this step stays empty."""
        try:
            with self._path.open("a", newline="") as file:
                file.write(self._text([{"step": step, "stage": stage, **numbers}], header=False))
        except OSError as error:
            raise output_error(error, self._path) from error
        if self._board is not None:
            for name, number in numbers.items():
                self._board.add_scalar(name, number, step)
            self._board.flush()

    def _kept(self, at: int) -> list[dict[str, Any]]:
        rows = read_log(self._path.parent)
        return [row for row in rows if int(row["step"]) <= at]

    def _text(self, rows: Sequence[Mapping[str, Any]], header: bool = True) -> str:
        text = io.StringIO()
        writer = csv.DictWriter(text, self._columns, lineterminator="\n", extrasaction="ignore")
        if header:
            writer.writeheader()
        writer.writerows(rows)
        return text.getvalue()


def read_log(folder: Path) -> list[dict[str, str]]:
    """All complete rows of the log in `folder`; an incomplete last line is left out."""
    try:
        lines = (folder / LOG).read_text().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    whole = [line for line in lines if line.endswith("\n")]
    return list(csv.DictReader(whole))


def _board(folder: Path, at: int) -> Any:
    """TensorBoard's writer, None where it is not installed."""
    if importlib.util.find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder / "tensorboard"), purge_step=at + 1)
