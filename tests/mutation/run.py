"""How many small faults the tests notice: a sample of changed modules, each with its room's tests.

    python tests/mutation/run.py --samples 40
    python tests/mutation/run.py tokens journal --samples 100 --seed 1

A copy of the repository is changed, never this one. The tests run in forks of a process that has imported
what they need, and stop at the first failure; a fork that takes much more processor time than the unchanged
module does counts as noticed. Survivors are listed: each is a missing test, or a change that changes nothing.
"""

from __future__ import annotations

import argparse
import compileall
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import cache_from_source
from pathlib import Path

from mutants import Mutant, mutants

ROOT = Path(__file__).parents[2]
TARGETS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "tokens": (("tokens/*.py",), ("tests/tokens",)),
    "chunks": (("pipeline/task/chunks.py",), ("tests/pipeline/task/test_chunks.py",)),
    "journal": (
        ("pipeline/record/journal.py", "pipeline/record/records.py"),
        ("tests/pipeline/record/test_journal.py", "tests/pipeline/request/test_shards.py"),
    ),
    "place": (
        ("pipeline/record/place.py",),
        ("tests/pipeline/record/test_place.py", "tests/pipeline/record/test_journal.py"),
    ),
    "ledger": (
        ("pipeline/record/ledger.py", "pipeline/record/claims.py"),
        (
            "tests/pipeline/record/test_ledger.py",
            "tests/reliability/test_outputs.py",
            "tests/pipeline/record/test_keep_mtime.py",
            "tests/reliability/test_runs.py",
        ),
    ),
    "search": (("set/search.py",), ("tests/set/test_set_search.py", "tests/set/test_set_golden.py")),
    "guard": (
        ("pipeline/guard/*.py",),
        ("tests/pipeline/guard/test_guard_limits.py", "tests/pipeline/guard/test_guard_verdict.py"),
    ),
}
"""By name: modules of `dacse_cli`, and the tests that should notice a fault in them."""
PATIENCE = 600
"""Seconds on the clock after which a fork that waits for something counts as noticed."""


@dataclass(frozen=True)
class Trial:
    """One changed module."""

    target: str
    place: str
    before: str
    after: str
    noticed: bool


def run_tests(copy: Path, tests: Sequence[str], cpu: float | None) -> tuple[int, float]:
    """Exit status and processor seconds of pytest over `tests` in a fork; status -1 beyond its time."""
    child = os.fork()
    if not child:
        _become_pytest(copy, tests, cpu)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        pid, status, usage = os.wait4(child, os.WNOHANG)
        if pid:
            spent = usage.ru_utime + usage.ru_stime
            return (os.WEXITSTATUS(status) if os.WIFEXITED(status) else -1), spent
        time.sleep(0.02)
    os.killpg(child, signal.SIGKILL)
    os.wait4(child, 0)
    return -1, float(PATIENCE)


def _become_pytest(copy: Path, tests: Sequence[str], cpu: float | None) -> None:
    os.setpgid(0, 0)
    quiet = os.open(copy / "last.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    if cpu is not None:
        resource.setrlimit(resource.RLIMIT_CPU, (int(cpu) + 1, int(cpu) + 2))
    os.chdir(copy)
    sys.path.insert(0, str(copy))
    sys.dont_write_bytecode = cpu is not None
    import pytest

    options = ["-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header"]
    os._exit(int(pytest.main([*options, *tests])))


Change = tuple[Path, Mutant]
Choose = Callable[[str, list[Change]], list[Change]]
"""(target, all changes of it) -> those to try."""


def drawn(samples: int, seed: int) -> Choose:
    """So many of each target, by chance."""

    def choose(target: str, changes: list[Change]) -> list[Change]:
        return random.Random(f"{seed} {target}").sample(changes, min(samples, len(changes)))

    return choose


def survivors(earlier: Path) -> Choose:
    """Those that no test noticed in an earlier run, wherever their lines are now."""
    missed = Counter(
        (trial["place"].partition(":")[0], trial["before"], trial["after"])
        for trial in json.loads(earlier.read_text())
        if not trial["noticed"]
    )

    def choose(target: str, changes: list[Change]) -> list[Change]:
        chosen = []
        for path, mutant in changes:
            key = (path.as_posix().partition("/dacse_cli/")[2], mutant.before, mutant.after)
            if missed[key]:
                chosen.append((path, mutant))
        return chosen

    return choose


def measure(copy: Path, target: str, choose: Choose) -> list[Trial]:
    """Try changes of a target's modules."""
    patterns, tests = TARGETS[target]
    package = copy / "dacse_cli"
    modules = sorted({path for pattern in patterns for path in package.glob(pattern)})
    changes = [(path, mutant) for path in modules for mutant in mutants(path.read_text())]
    chosen, trials = choose(target, changes), []
    if not chosen:
        return []
    code, cpu = run_tests(copy, tests, None)
    if code:
        raise SystemExit(
            f"{target}: its tests fail without a change\n{(copy / 'last.log').read_text()[-2000:]}"
        )
    for path, mutant in chosen:
        whole = path.read_text()
        Path(cache_from_source(str(path))).unlink(missing_ok=True)
        path.write_text(mutant.source)
        code, _ = run_tests(copy, tests, 3 * cpu + 5)
        path.write_text(whole)
        place = f"{path.relative_to(package)}:{mutant.line}"
        trials.append(Trial(target, place, mutant.before, mutant.after, code != 0))
        print("." if code else f"\n{place}: {mutant.before}  ->  {mutant.after}", end="", flush=True)
    killed = sum(trial.noticed for trial in trials)
    print(f"\n{target}: {killed} of {len(trials)} noticed, out of {len(changes)} changes", flush=True)
    return trials


def copied(scratch: Path) -> Path:
    """The repository's code and tests, compiled, without what is ignored."""
    ignored = shutil.ignore_patterns("__pycache__", ".venv", ".git", "*.egg-info", ".*_cache")
    copy = Path(shutil.copytree(ROOT, scratch / "copy", ignore=ignored))
    compileall.compile_dir(copy / "dacse_cli", quiet=2)
    return copy


def main(arguments: Sequence[str] | None = None) -> list[Trial]:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help=f"of {', '.join(TARGETS)}")
    parser.add_argument("--samples", type=int, default=30, help="changes per target")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--again", type=Path, help="only what survived in this earlier --json")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    choose = survivors(options.again) if options.again else drawn(options.samples, options.seed)
    os.environ["OMP_NUM_THREADS"] = "1"
    import hypothesis  # noqa: F401  # in this process, so that no fork has to
    import soundfile  # noqa: F401
    import torch

    torch.set_num_threads(1)
    trials: list[Trial] = []
    with tempfile.TemporaryDirectory() as scratch:
        copy = copied(Path(scratch))
        for target in options.targets or TARGETS:
            trials += measure(copy, target, choose)
            if options.json:
                options.json.write_text(json.dumps([asdict(trial) for trial in trials], indent=1))
    killed = sum(trial.noticed for trial in trials)
    print(f"all: {killed} of {len(trials)} noticed, {100 * killed / max(1, len(trials)):.0f} %")
    return trials


if __name__ == "__main__":
    main()
