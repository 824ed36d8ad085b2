"""Runs the parts of a GPU day, each in a process of its own with its own limit, and keeps what they found.

Correctness comes first, then speed and memory, then training. Parts append what they find to
`day.rows.jsonl`, and their errors to `day.log`, as they go; `day.json` and `day.md` are written anew after
every part, and when the day is stopped. So whatever cuts the day short leaves all results so far, those of
the part that ran included; after SIGKILL those are in `day.rows.jsonl` alone. Knows how to run parts, nothing
of what they measure; needs the standard library only.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from importlib.machinery import PathFinder
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CARRIED = (
    *("annotated_doc", "cffi", "click", "hypothesis", "iniconfig", "markdown_it", "mdurl", "packaging"),
    *("pluggy", "pycparser", "pygments", "pystoi", "pytest", "rich", "scipy", "shellingham"),
    *("sortedcontainers", "soundfile", "soxr", "typer"),
)
"""Modules that parts import beside torch's, transformers' and numba's; `.wheels` may hold those that lack."""
REHEARSAL = 10
"""Times as long may a part take in a rehearsal, which may run on a busy machine."""


@dataclass(frozen=True)
class Part:
    """A script and the seconds it gets."""

    name: str
    seconds: int
    script: str

    def command(self, rows: Path, options: argparse.Namespace) -> list[str]:
        command = [sys.executable, str(HERE / self.script), "--part", self.name, "--rows", str(rows)]
        return [*command, "--device", options.device, *(["--tiny"] if options.tiny else [])]


PARTS = (
    Part("machine", 30, "part_machine.py"),
    Part("tests", 70, "part_machine.py"),
    Part("codes", 50, "part_codes.py"),
    Part("steps", 70, "part_speed.py"),
    Part("waits", 20, "part_speed.py"),
    Part("generation", 80, "part_speed.py"),
    Part("folder", 50, "part_speed.py"),
    Part("enhance", 30, "part_speed.py"),
    Part("codec", 20, "part_speed.py"),
    Part("memory", 20, "part_memory.py"),
    Part("quality", 40, "part_speed.py"),
    Part("train-lm", 40, "part_training.py"),
    Part("train-codec", 40, "part_training.py"),
    Part("continue-nano", 40, "part_training.py"),
)


@dataclass
class Done:
    """How a part ended, and its rows."""

    name: str
    seconds: float = 0.0
    end: str = "stopped"
    """`whole`, `cut` (at its limit), `failed`, or `stopped` (with the day)."""
    rows: list[dict[str, Any]] = field(default_factory=list)


def read_rows(file: Path, start: int = 0) -> list[dict[str, Any]]:
    """All whole lines from byte `start` on."""
    with file.open("rb") as opened:
        opened.seek(start)
        return [json.loads(line) for line in opened if line.endswith(b"\n")]


def run_part(part: Part, seconds: float, options: argparse.Namespace, done: Done) -> None:
    """Run `part` for at most `seconds`; what it prints goes to the screen, how it went to `done`."""
    rows, log = options.out / "day.rows.jsonl", options.out / "day.log"
    print(f"\n=== {part.name}, at most {seconds:.0f} s", flush=True)
    with rows.open("ab") as file, log.open("ab") as errors:
        if file.tell() and not rows.read_bytes().endswith(b"\n"):
            file.write(b"\n")  # behind the half line of a part that was cut
        file.write(json.dumps({"part": part.name}).encode() + b"\n")
        file.flush()
        start, log_start, began = file.tell(), errors.tell(), time.monotonic()
        child = subprocess.Popen(part.command(rows, options), cwd=ROOT, stderr=errors, start_new_session=True)
        try:
            done.end = "failed" if child.wait(timeout=seconds) else "whole"
        except subprocess.TimeoutExpired:
            done.end = "cut"
        finally:
            _kill(child)
            done.seconds, done.rows = time.monotonic() - began, read_rows(rows, start)
    said = [
        line for line in log.read_bytes()[log_start:].decode(errors="replace").splitlines() if line.strip()
    ]
    if done.end == "failed":
        done.rows.append(_row(part.name, f"not measured: {said[-1][:200] if said else 'no message'}"))
        print("\n".join(said[-20:]), flush=True)
    elif done.end == "cut":
        done.rows.append(_row(part.name, f"not measured further: cut after {seconds:.0f} s"))


def _row(name: str, measured: str) -> dict[str, Any]:
    what = "the rest of the part" if "further" in measured else "all of the part"
    return {"id": name, "what": what, "measured": measured, "goal": "-"}


def _kill(child: subprocess.Popen[bytes]) -> None:
    """End the part and all processes it has started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()


def keep(dones: Sequence[Done], options: argparse.Namespace, out: Path) -> None:
    """Write `day.json` and `day.md`, each as a whole."""
    about = {"device": options.device, "tiny": options.tiny, "python": sys.version.split()[0]}
    text = json.dumps(about | {"parts": [asdict(done) for done in dones]}, indent=1) + "\n"
    lines = ["| part | id | what | measured | goal |", "|---|---|---|---|---|"]
    for done in dones:
        for row in done.rows:
            cells = (done.name, row["id"], row["what"], _cell(row["measured"]), row["goal"])
            lines.append("| " + " | ".join(str(cell).replace("|", "/") for cell in cells) + " |")
    ends = ", ".join(f"{done.name} {done.end} in {done.seconds:.0f} s" for done in dones)
    for name, content in (("day.json", text), ("day.md", "\n".join(lines) + f"\n\nParts: {ends}.\n")):
        part = out / f".{name}.new"
        part.write_text(content)
        part.replace(out / name)


def _cell(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def supply(wheels: Path, scratch: Path) -> list[str]:
    """Install those carried wheels that this interpreter lacks; the folders to import from."""
    site = scratch / "site"
    needed = [str(wheel) for wheel in sorted(wheels.glob("*.whl")) if not _installed(wheel)]
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--target", str(site)]
    if needed and subprocess.run([*command, *needed], check=False).returncode:
        for wheel in needed:  # one that does not fit stops them all
            subprocess.run([*command, wheel], check=False)
    missing = [name for name in CARRIED if not (find_spec(name) or PathFinder.find_spec(name, [str(site)]))]
    if missing:
        print(f"not installed here: {', '.join(missing)}; parts that need them will say so", flush=True)
    return [str(ROOT), str(HERE), str(ROOT / "tests" / "benchmarks"), str(site)]


def _installed(wheel: Path) -> bool:
    """Whether the interpreter has the distribution, in whatever version: that one goes with the others."""
    with suppress(PackageNotFoundError):
        return bool(distribution(wheel.name.split("-")[0]))
    return False


def main(arguments: Sequence[str] | None = None, parts: Sequence[Part] = PARTS) -> list[Done]:
    """Run the day. Ctrl-C and SIGTERM end it with what there is."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="a size that says nothing: shows that parts run")
    parser.add_argument("--minutes", type=float, default=10.0, help="of all parts together")
    parser.add_argument("--only", nargs="+", choices=[part.name for part in parts], help="these parts")
    parser.add_argument("--out", type=Path, default=Path.cwd(), help="where day.json and day.md are written")
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    until = time.monotonic() + 60 * options.minutes
    dones: list[Done] = []
    chosen = [part for part in parts if not options.only or part.name in options.only]
    options.out = options.out.absolute()  # parts run in another folder
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("day.rows.jsonl", "day.log"):  # of an earlier day
        (options.out / name).unlink(missing_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        paths = [*supply(ROOT / ".wheels", Path(scratch)), os.environ.get("PYTHONPATH", "")]
        os.environ |= {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "HF_HUB_OFFLINE": "1"}
        try:
            for part in chosen:
                dones.append(Done(part.name))
                left = until - time.monotonic()
                if left < 1:
                    dones[-1].end, dones[-1].rows = "cut", [_row(part.name, "not measured: no time left")]
                else:
                    limit = part.seconds * (REHEARSAL if options.tiny else 1)
                    run_part(part, min(limit, left), options, dones[-1])
                keep(dones, options, options.out)
        finally:
            keep(dones, options, options.out)
            print("\n" + (options.out / "day.md").read_text(), flush=True)
    return dones


if __name__ == "__main__":
    main()
