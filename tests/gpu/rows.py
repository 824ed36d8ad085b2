"""What a part of a GPU day has found, line by line, so that a part that is cut loses nothing."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch


class Rows:
    """Appends rows to a file and prints them."""

    def __init__(self, file: Path | None) -> None:
        self.file = file
        self.rows: list[dict[str, object]] = []

    def add(self, name: str, what: str, measured: object, goal: str = "-") -> None:
        """One row: a short name (those of the performance table where it has one), what was measured, and
        what it should be."""
        row = {"id": name, "what": what, "measured": measured, "goal": goal}
        self.rows.append(row)
        shown = f"{measured:.4g}" if isinstance(measured, float) else measured
        print(f"{name:12} {what}: {shown} (goal {goal})", flush=True)
        if self.file is not None:
            with self.file.open("a") as file:
                file.write(json.dumps(row) + "\n")


def part_options(arguments: list[str] | None = None) -> argparse.Namespace:
    """The options of every part."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", required=True)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--rows", type=Path)
    options = parser.parse_args(arguments)
    if options.device == "cpu":
        torch.set_num_threads(1)
    return options
