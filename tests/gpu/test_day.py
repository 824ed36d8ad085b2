"""The GPU day: its parts run, and what cuts it short loses nothing that was found."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import day
import pytest
import torch

from dacse_cli.lm import bandwidth

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
    assert {row["id"] for part in kept["parts"] for row in part["rows"]} >= {f"R{n}" for n in range(1, 10)}


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
