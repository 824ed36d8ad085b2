"""Several workers under one supervisor: the work is shared, a death stays with its station."""

import os
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import DeviceError
from dacse_cli.files.atomic import part_path
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.request.jobs import Job
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run import workers as model_workers
from dacse_cli.pipeline.run.pool import LocalPool
from dacse_cli.pipeline.run.run import run as run_request
from dacse_cli.pipeline.run.supervisor import Supervisor
from dacse_cli.pipeline.run.workers import Workers
from dacse_cli.pipeline.wire.events import Ended, Stage
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.pipeline.wire.model_plan import ModelPlan, Part


@pytest.fixture(autouse=True)
def _stub_on_the_path(monkeypatch):
    here = str(Path(__file__).parents[1])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((here, os.environ["PYTHONPATH"])))


def run(root, device, names, seconds, monkeypatch, results=None):
    """(summary, seconds from the first worker's readiness to the end)."""
    monkeypatch.setenv("STUB_SECONDS", str(seconds))
    for name in names:
        (root / "in").mkdir(exist_ok=True)
        soundfile.write(root / "in" / name, np.ones(1000) * 0.1, 8000)
    request = Request(
        Form.ENHANCE,
        (str(root / "in"),),
        str(root / "out"),
        ModelOptions(device=device),
        ChunkOptions(),
        SoundOptions(),
    )
    todo = plan(request)
    chunk = ChunkOptions(1.0, 0.0, 0.25)
    models = ModelPlan(Part("dac", "codec"), Part("llama", "model"), None, device, "auto", None, chunk)
    stages = []

    def tell(event):
        if isinstance(event, Stage) and event.text == "enhancing":
            stages.append(time.monotonic())
        if isinstance(event, Ended) and results is not None:
            results.append(event.result)

    crew = partial(Workers, module="stub_worker")
    with Journal(LocalPlace(root / "out")) as journal:
        ledger = Ledger(journal, "", tell)
        supervisor = Supervisor(request, models, ledger, tell, crew, LocalPool().decoders)
        _run(supervisor, ledger, [job for wave in todo.waves for job in wave])
    ledger.close()
    return ledger.summary, time.monotonic() - stages[-1]


def _run(supervisor, ledger, jobs):
    with supervisor.ending_children():
        jobs = ledger.begin(jobs)
        supervisor.probe(jobs)
        supervisor.run(jobs, probed=True)
        supervisor.end()


def workers(root):
    return {path.read_text() for path in (root / "out").glob("*.wav")}


@pytest.mark.ci
def test_two_workers_take_half_the_time(tmp_path, monkeypatch):
    names = [f"{i:02}.wav" for i in range(16)]
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    one, alone = run(tmp_path / "one", "cpu", names, 0.2, monkeypatch)
    two, together = run(tmp_path / "two", "cpu,cpu", names, 0.2, monkeypatch)
    assert one.counts["done"] == two.counts["done"] == 16
    print(
        f"16 files: {alone:.2f} s with one worker, {together:.2f} s with two ({alone / together:.2f} times)"
    )
    assert alone / together > 1.6


def test_all_devices_are_counted_by_the_first_worker(tmp_path, monkeypatch):
    summary, _ = run(tmp_path, "all", [f"{i}.wav" for i in range(40)], 0.1, monkeypatch)
    assert summary.counts["done"] == 40
    assert workers(tmp_path) == {"cuda:0", "cuda:1", "cuda:2"}


def test_a_file_that_kills_workers_fails_alone(tmp_path, monkeypatch):
    names = ["a.wav", "b poison.wav", "c.wav", "d.wav", "e.wav", "f.wav"]
    summary, _ = run(tmp_path, "cpu,cpu", names, 0.05, monkeypatch)
    assert summary.counts["done"] == 5
    (failed,) = [result for result in summary.results if result.outcome.value == "failed"]
    assert failed.reason == "worker-died"
    assert "b poison" in failed.source
    assert not list((tmp_path / "out").glob(".*part"))


def test_a_device_on_which_everything_dies_is_given_up(tmp_path, monkeypatch):
    """What its last worker held was lost: the culprit ended as not reached, and its part file stayed."""
    names = [f"poison {i}.wav" for i in range(8)]
    results = []
    with pytest.raises(DeviceError, match="killed"):
        run(tmp_path, "cpu", names, 0.01, monkeypatch, results)
    assert [result.reason for result in results] == ["worker-died"] * 3
    assert not list((tmp_path / "out").glob(".*part"))


@pytest.mark.parametrize(
    ("parts", "device", "seconds", "expected"),
    [
        ("filter", "auto", 0.0, 1),
        ("filter", "cpu", 1000.0, 3),
        ("filter", "auto", 1e6, 4),
        ("filter", "cpu,cpu", 1e6, 2),
        ("filter", "cuda", 1e6, 1),
        ("translator", "cpu", 1e6, 1),
    ],
)
def test_a_filter_alone_gets_a_worker_per_core_where_there_is_much_audio(
    parts, device, seconds, expected, monkeypatch
):
    monkeypatch.setattr(model_workers, "cores", lambda: 4)
    monkeypatch.setattr(model_workers.Slot, "start", lambda self, *rest: None)
    filter_alone = parts == "filter"
    part, none = Part("mask", "folder"), None
    models = (none, none, part) if filter_alone else (Part("dac", "codec"), Part("llama", "model"), part)
    crew = Workers(ModelPlan(*models, device, "auto", None, ChunkOptions(1.0, 0.0, 0.25)), none)
    crew.start(seconds)
    assert crew.size == expected
    crew.slots.pop()
    crew.start()
    assert crew.size == expected - 1


def test_the_workers_of_a_filter_share_the_files(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for number in range(4):
        soundfile.write(tmp_path / "in" / f"{number}.wav", rng.normal(0, 0.1, 16000), 16000)
    monkeypatch.setattr(model_workers, "WORTH_SECONDS", 1.0)
    monkeypatch.setattr(model_workers, "cores", lambda: 2)
    started, start = set(), model_workers.Slot.start
    monkeypatch.setattr(
        model_workers.Slot, "start", lambda slot, *rest: started.add(slot) or start(slot, *rest)
    )
    inputs, options = (str(tmp_path / "in"),), (ModelOptions(model="nano"), ChunkOptions(), SoundOptions())
    summary = run_request(Request(Form.ENHANCE, inputs, str(tmp_path / "out"), *options), lambda event: None)
    assert summary.exit_code == 0
    assert len(started) == 2
    assert len(list((tmp_path / "out").glob("*.wav"))) == 4


def test_parts_of_all_channels_go_with_a_dead_worker(tmp_path):
    """Text holds one channel per file; beside its input nothing else removes what was begun."""
    job = Job(0, "a.wav", str(tmp_path / "a.tokens.txt"), "a.wav")
    names = ("a.tokens.txt", "a.ch1.tokens.txt", "a.ch2.tokens.txt")
    begun = [part_path(tmp_path / name) for name in names]
    for part in begun:
        part.write_bytes(b"")
    ledger = SimpleNamespace(job=lambda index: job)
    Supervisor._discard_parts(SimpleNamespace(_ledger=ledger), [0])
    assert not any(part.exists() for part in begun)
