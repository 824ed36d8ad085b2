"""The GPU day: its parts run, and what cuts it short loses nothing that was found."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, packages_distributions, requires
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import bench_decode
import bench_precision
import bench_steps
import day
import part_speed
import part_training
import pytest
import torch
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from rows import Rows

from dacse_cli.lm import bandwidth

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HERE = Path(__file__).parent


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture
def stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Parts that write one row each: `good` ends, `slow` does not, `bad` fails."""
    row = json.dumps({"id": "x", "what": "w", "measured": 1.5, "goal": "-"})
    write = f"import sys, time\nfile = open(sys.argv[4], 'a')\nprint({row!r}, file=file, flush=True)\n"
    (tmp_path / "good.py").write_text(write)
    (tmp_path / "slow.py").write_text(write + "print('{', end='', file=file, flush=True)\ntime.sleep(20)")
    (tmp_path / "bad.py").write_text(write + "\nraise RuntimeError('no such kernel')")
    monkeypatch.setattr(day, "HERE", tmp_path)
    return tmp_path


def test_a_cut_or_failed_part_keeps_its_rows_and_stops_no_other(stand_ins: Path, tmp_path: Path) -> None:
    """Fails when one part that hangs or breaks on a GPU costs the minutes or the results of the rest."""
    parts = [day.Part(name, 1, f"{name}.py") for name in ("slow", "bad", "good")]
    began = time.monotonic()
    dones = day.main(["--device", "cpu", "--out", str(tmp_path / "out")], parts)
    assert time.monotonic() - began < 20
    assert [(done.name, done.end) for done in dones] == [
        ("slow", "cut"),
        ("bad", "failed"),
        ("good", "whole"),
    ]
    assert all(done.rows[0]["measured"] == 1.5 for done in dones)
    assert dones[0].rows[1]["measured"] == "not measured further: cut after 1 s"
    assert dones[1].rows[1]["measured"] == "not measured: RuntimeError: no such kernel"
    kept = json.loads((tmp_path / "out" / "day.json").read_text())
    assert [part["end"] for part in kept["parts"]] == ["cut", "failed", "whole"]
    assert "| good | x | w | 1.5 | - |" in (tmp_path / "out" / "day.md").read_text()


def test_no_part_begins_after_the_end(stand_ins: Path, tmp_path: Path) -> None:
    """Fails when a lent machine's minutes are exceeded, or a part that had no time is left out in silence."""
    parts = [day.Part("slow", 60, "slow.py"), day.Part("good", 60, "good.py")]
    dones = day.main(["--device", "cpu", "--minutes", "0.02", "--out", str(tmp_path / "out")], parts)
    assert [done.end for done in dones] == ["cut", "cut"]
    assert dones[1].rows[0]["measured"] == "not measured: no time left"


@pytest.mark.slow
def test_rehearsal(tmp_path: Path) -> None:
    """Fails when any part of the day no longer runs; each is a process of its own, as on the GPU."""
    command = [
        "bash",
        str(HERE / "day.sh"),
        "--device",
        "cpu",
        "--tiny",
        "--minutes",
        "60",
        "--out",
        str(tmp_path),
    ]
    environment = os.environ | {"PYTHON": sys.executable}
    subprocess.run(command, env=environment, check=True, timeout=3600)
    kept = json.loads((tmp_path / "day.json").read_text())
    assert [(part["name"], part["end"]) for part in kept["parts"]] == [(p.name, "whole") for p in day.PARTS]
    ids = {row["id"] for part in kept["parts"] for row in part["rows"]}
    assert ids >= {f"R{n}" for n in range(1, 10)} | {"end to end", "codec", "training"}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_stopped_day_keeps_what_it_has(stand_ins: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Fails when a machine that is taken away takes the results along, those of the running part included."""
    out = tmp_path / "out"
    script = (
        f"import day, pathlib; day.HERE = pathlib.Path({str(stand_ins)!r})\n"
        f"parts = [day.Part('good', 9, 'good.py'), day.Part('slow', 60, 'slow.py')]\n"
        f"day.main(['--device', 'cpu', '--out', {str(out)!r}], parts)"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", script], env=os.environ | {"PYTHONPATH": str(HERE)}, start_new_session=True
    )
    rows, until = out / "day.rows.jsonl", time.monotonic() + 20
    while time.monotonic() < until and not (rows.exists() and rows.read_text().endswith("{")):
        time.sleep(0.02)
    child.send_signal(number)
    assert child.wait(timeout=20) == (143 if number == signal.SIGTERM else -9)
    kept = {part["name"]: part for part in json.loads((out / "day.json").read_text())["parts"]}
    assert kept["good"]["rows"][0]["measured"] == 1.5
    lines = [json.loads(line) for line in rows.read_text().splitlines()[:-1]]
    assert [line.get("part", line.get("measured")) for line in lines] == ["good", 1.5, "slow", 1.5]
    if number == signal.SIGTERM:
        assert kept["slow"]["end"] == "stopped" and kept["slow"]["rows"][0]["measured"] == 1.5


def write_wheel(folder: Path, name: str) -> None:
    """A wheel of one module."""
    about = f"{name}-1.0.dist-info"
    files = {
        f"{name}.py": "",
        f"{about}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n",
        f"{about}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{about}/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)


def test_a_bare_machine_gets_what_it_lacks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Fails when wheels hide installed packages, one that does not fit stops the others, or one is missed."""
    (tmp_path / "wheels").mkdir()
    for name in ("carried_one", "numpy"):
        write_wheel(tmp_path / "wheels", name)
    (tmp_path / "wheels" / "broken-1.0-cp39-cp39-win32.whl").write_bytes(b"")
    monkeypatch.setattr(day, "CARRIED", ("numpy", "carried_one", "carried_two"))
    paths = day.supply(tmp_path / "wheels", tmp_path)
    assert (tmp_path / "site" / "carried_one.py").exists() and not (tmp_path / "site" / "numpy.py").exists()
    assert paths[-1] == str(tmp_path / "site")
    assert "not installed here: carried_two;" in capsys.readouterr().out


def test_carried_packages_need_nothing_else() -> None:
    """Fails when a wheel that pytest, the command or a score needs is neither listed nor with torch."""
    there = needs("torch", "transformers", "numba", "safetensors", "numpy")
    modules = packages_distributions()
    carried = {modules.get(name, [name])[0].lower() for name in day.CARRIED}
    assert needs(*carried, "dacse") <= carried | there | {"dacse"}
    listed = (HERE / "day.sh").read_text()
    assert all(f" {name}" in listed for name in carried)


def needs(*names: str) -> set[str]:
    """These distributions and all that they require, without extras; "dacse" by its pyproject.toml."""
    found, todo = set(), list(names)
    while todo:
        name = canonicalize_name(todo.pop())
        if name in found:
            continue
        found.add(name)
        if name == "dacse":
            project = tomllib.loads((day.ROOT / "pyproject.toml").read_text())["project"]
            required = project["dependencies"]
        else:
            try:
                required = requires(name) or []
            except PackageNotFoundError:  # not for this platform
                continue
        for text in map(Requirement, required):
            if text.marker is None or text.marker.evaluate({"extra": ""}):
                todo.append(text.name)
    return found


def test_the_parts_fit_the_day() -> None:
    """Fails when the last parts get no time although all keep to their limits."""
    limits = {part.name: part.seconds for part in day.PARTS}
    assert sum(limits.values()) <= 600
    training = [name for name in limits if name.startswith(("train-", "continue-"))]
    assert len(training) == 3 and sum(limits[name] for name in training) == 120
    assert all(limits[name] / 2 >= 60 * part_training.MINUTES for name in training)


class CutError(Exception):
    """Stands for the end of a part's time."""


@pytest.mark.parametrize("name", ["steps", "generation", "quality"])
def test_a_cut_part_keeps_the_results_before(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fails when a part writes rows only after all of its batches, or models, are measured."""
    step = {"batch": 1, "context": 40, "tokens/s": 2.0, "bandwidth": 0.5, "x torch": 3.0, "ms/step": 1.0}
    whole = {"batch": 1, "ratio": 60.0, "total_tokens_per_second": 9.0, "prefill_ms_per_row": 2.0}
    found: dict[str, list[dict[str, Any]]] = {
        "steps": [step | {"attention": "own"}, step | {"attention": "own", "context": 80}],
        "generation": [whole | {"way": way, "same_first_row": 1.0} for way in ("batched", "dacse")],
        "quality": [
            {"mode": mode, "agreement": 1.0, "pesq": 2.0, "stoi": 0.9, "dnsmos_ovrl": 3.0}
            for mode in ("float32", "bfloat16")
        ],
    }

    def once(*_: Any) -> Iterator[dict[str, Any]]:
        yield from found[name]
        raise CutError

    calls = iter(range(2))

    def first(*_: Any) -> list[dict[str, Any]]:
        if next(calls):
            raise CutError
        return found[name]

    def nothing(*_: Any, **__: Any) -> Any:
        return MagicMock()

    if name == "quality":
        for helper in ("find_models", "Enhancer", "chunks_of_speech", "written", "Ear"):
            monkeypatch.setattr(bench_precision, helper, MagicMock())
        monkeypatch.setattr(bench_precision, "modes", once)
    else:
        bench = bench_steps if name == "steps" else bench_decode
        ways = {"own": (MagicMock(), None)} if name == "steps" else ({"dacse": None}, MagicMock())
        monkeypatch.setattr(bench, "make_ways", lambda *_: ways)
        monkeypatch.setattr(bench, "measure", first)
        monkeypatch.setattr(bench_decode, "line", str)
        monkeypatch.setattr(bench_decode.LlamaForCausalLM, "save_pretrained", nothing)
    file = tmp_path / "rows"
    with pytest.raises(CutError):
        part_speed.main(["--part", name, "--device", "cpu", "--tiny", "--rows", str(file)])
    ids = {row["id"] for row in day.read_rows(file)}
    assert ids >= {"steps": {"R2", "speed"}, "generation": {"R1", "R4", "prefill"}, "quality": {"R9"}}[name]


def test_a_cut_training_keeps_the_steps_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when rows are written only once the training has ended by itself."""
    line = json.dumps({"type": "step", "numbers": {"seconds": 0.5, "loss": 2.0}})
    fake = tmp_path / "dacse_cli.py"
    fake.write_text(
        f"import time\nfor _ in range(5): print({line!r})\ntime.sleep(0.1)\nraise SystemExit('no')"
    )
    monkeypatch.setattr(part_training, "ROOT", tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    rows = Rows(tmp_path / "rows")
    with pytest.raises(SystemExit, match="dacse train: no"):
        part_training.trained(["lm"], {}, rows, "lm")
    kept = day.read_rows(tmp_path / "rows")
    assert [row["what"] for row in kept] == [f"seconds of a step and loss, log line {n}, lm" for n in (2, 4)]
    assert [row["measured"] for row in kept] == ["0.5, 2", "0.5, 2"]


@pytest.mark.ci
@pytest.mark.parametrize("name", ["steps", "waits"])
def test_a_part_fills_its_rows(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fails when a benchmark that the quick parts call has changed; `test_rehearsal` runs all parts."""
    monkeypatch.setitem(bandwidth._PROBE_BYTES, "cpu", 1 << 20)
    part = next(part for part in day.PARTS if part.name == name)
    module = importlib.import_module(part.script.removesuffix(".py"))
    rows = module.main(["--part", name, "--device", "cpu", "--tiny", "--rows", str(tmp_path / "rows")])
    assert rows and day.read_rows(tmp_path / "rows") == rows
    assert {row["id"] for row in rows} == {
        "steps": {"R2", "R5", "R6", "R9", "R17", "speed"},
        "waits": {"R7"},
    }[name]
