"""A local Ray cluster whose processes are killed at random: nothing lost, nothing twice, same bytes.

Slow: `pytest -m slow tests/reliability/test_ray_runs.py -s` prints its figures; `RAY_FILES=2000` for more.
"""

import contextlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import soundfile
from breaking import HERE, outputs, parts, stamps

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import DeviceError, UsageError
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run import ray_run as cluster
from dacse_cli.pipeline.run.ray_host import Host
from dacse_cli.pipeline.wire.messages import Form

WORKERS = "cpu,cpu,cpu"
LOST = "lost with its machine"
BUSY_MACHINE = {
    "raylet_start_wait_time_s": "400",
    "agent_register_timeout_ms": "400000",
    "worker_register_timeout_seconds": "400",
    "health_check_initial_delay_ms": "100000",
    "health_check_period_ms": "20000",
    "health_check_timeout_ms": "60000",
}
"""A cluster on a busy machine must not take slow processes for dead ones."""


class Driver:
    """A run in a process of its own; what it says is read as it comes."""

    def __init__(self, source, output, address=None):
        where = [address] if address else []
        command = [sys.executable, str(HERE / "ray_driver.py"), str(source), str(output), WORKERS, *where]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.said, self.working = [], threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stdout:
            self.said.append(json.loads(line))
            if self.said[-1].get("told") == "enhancing":
                self.working.set()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self._reader.join()

    def summary(self):
        """Of a run that has ended well."""
        self._reader.join()
        assert self.process.wait() == 0
        assert self.said[-1]["fatal"] == ""
        return self.said[-1]

    def heard(self, text):
        return any(text in line.get("told", "") for line in self.said)

    @property
    def worked(self):
        """Seconds from the readiness of the first worker to the end."""
        began = next(line["at"] for line in self.said if line.get("told") == "enhancing")
        return self.said[-1]["at"] - began


class Killer:
    """Kills one actor after the other while a run lasts, from the moment it has begun to work."""

    def __init__(self, driver, head, every, seed):
        self.kills = 0
        self._driver, self._head, self._every, self._rng = driver, head, every, random.Random(seed)
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        self._driver.working.wait()
        while self._driver.process.poll() is None:
            time.sleep(self._rng.uniform(*self._every))
            if found := actors(self._head):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._rng.choice(found), signal.SIGKILL)
                    self.kills += 1


def actors(head):
    """Processes of Ray actors that descend from the process `head`."""

    def parent(pid):
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])

    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if not (folder / "cmdline").read_bytes().startswith(b"ray::Host"):
                continue
            pid = ancestor = int(folder.name)
            while ancestor not in (0, 1, head):
                ancestor = parent(ancestor)
            found += [pid] if ancestor == head else []
        except OSError:
            continue
    return found


def free_ports(count):
    """Ports nobody listens on now."""
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@pytest.fixture
def corpus(tmp_path):
    """So many recordings of a second, no two alike."""
    count = int(os.environ.get("RAY_FILES", "200"))
    rng = np.random.default_rng(0)
    for i in range(count):
        folder = tmp_path / "in" / f"{i % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        soundfile.write(folder / f"{i}.wav", 0.1 * rng.standard_normal(16_000), 16_000)
    return tmp_path / "in", count


@pytest.fixture
def ray(monkeypatch):
    """The address of a cluster of six slots on this machine, and the process that is its head.

    Its ports are given: where it chooses them itself, a process that is slow to name its port ends it.
    """
    pytest.importorskip("ray", reason="needs dacse[ray]")
    monkeypatch.setenv("STUB_SECONDS", os.environ.get("STUB_SECONDS", "0.05"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((str(HERE), os.environ["PYTHONPATH"])))
    monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    for name, value in BUSY_MACHINE.items():
        monkeypatch.setenv(f"RAY_{name}", value)
    port, *others = free_ports(5)
    flags = ("dashboard-agent-grpc-port", "dashboard-agent-listen-port", "runtime-env-agent-port")
    options = [f"--{flag}={n}" for flag, n in zip((*flags, "metrics-export-port"), others, strict=True)]
    options += ["--num-cpus=6", f"--object-store-memory={cluster.OBJECT_STORE_BYTES}", "--block"]
    options += ["--head", f"--port={port}", "--include-dashboard=false"]
    command = [str(Path(sys.executable).with_name("ray")), "start", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as head:
        for line in head.stdout:  # "ray start --address='10.0.0.1:6379'"
            if "--address=" in line:
                address = line.split("--address=")[1].strip().strip("'\"")
            if "--block" in line:
                break
        threading.Thread(target=head.stdout.read, daemon=True).start()
        yield address, head.pid
        head.terminate()


@pytest.fixture
def plain(corpus, ray, tmp_path):
    """The same run under the supervisor alone, done; `ray` says how long a stand-in works on a file."""
    driver = Driver(corpus[0], tmp_path / "plain")
    driver.summary()
    return driver


def finished_twice(output):
    """Targets with more than one record of their end."""
    lines = (output / ".dacse" / "journal.jsonl").read_text().splitlines()
    ends = Counter(record["target"] for record in map(json.loads, lines) if record["state"] != "intent")
    return {target for target, count in ends.items() if count > 1}


@pytest.mark.slow
def test_workers_killed_at_random_cost_nothing(corpus, ray, plain, tmp_path):
    (source, count), (address, head) = corpus, ray
    calm = Driver(source, tmp_path / "calm", address)
    calm.summary()
    stormy = Driver(source, tmp_path / "stormy", address)
    killer = Killer(stormy, head, (2.0, 5.0), seed=1)
    stormy.summary()
    print(f"\n{count} files, three workers, from the first one's readiness to the end:")
    print(f"{plain.worked:.1f} s under the plain supervisor, {calm.worked:.1f} s over Ray, ", end="")
    print(f"{stormy.worked:.1f} s over Ray with {killer.kills} actors killed")
    assert killer.kills
    assert stormy.heard(LOST)
    assert not calm.heard(LOST)
    wanted = outputs(tmp_path / "plain")
    assert len(wanted) == count
    for driver, name in ((calm, "calm"), (stormy, "stormy")):
        assert driver.summary()["done"] == count
        assert outputs(tmp_path / name) == wanted
        assert finished_twice(tmp_path / name) == set()
        assert parts(tmp_path / name) == []


@pytest.mark.slow
@pytest.mark.usefixtures("plain")
def test_a_killed_driver_goes_on_where_it_was(corpus, ray, tmp_path):
    (source, count), (address, _) = corpus, ray
    first = Driver(source, tmp_path / "out", address)
    first.working.wait()
    while len(outputs(tmp_path / "out")) < count // 3:
        assert first.process.poll() is None
        time.sleep(0.1)
    first.kill()
    there = stamps(tmp_path / "out")
    again = Driver(source, tmp_path / "out", address).summary()
    print(f"\n{count} files: {len(there)} when the driver was killed, {again['done']} by the next one")
    assert again["skipped"] == len(there)
    assert again["done"] == count - len(there)
    assert there.items() <= stamps(tmp_path / "out").items()
    assert outputs(tmp_path / "out") == outputs(tmp_path / "plain")
    assert parts(tmp_path / "out") == []


def few_files(folder):
    """Recordings of several lengths, and one that is none."""
    rng = np.random.default_rng(3)
    folder.mkdir()
    for i in range(8):
        soundfile.write(folder / f"take {i}.wav", 0.1 * rng.standard_normal(6000 + 700 * i), 16_000)
    (folder / "words.wav").write_text("words, and no sound")
    return folder


def enhance(*args):
    command = [sys.executable, "-m", "dacse_cli", "enhance", *map(str, args)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_the_command_and_real_models(ray, tiny_model, tmp_path):
    """Standard output holds results and nothing else, although Ray has much to say of a killed process."""
    source, (address, head) = few_files(tmp_path / "in"), ray
    how = ("--model", tiny_model, "--dtype", "float32", "--json")
    here = enhance(source, tmp_path / "here", *how, "--device", "cpu")
    here.communicate(timeout=200)
    there = enhance(source, tmp_path / "there", *how, "--device", "cpu,cpu", "--ray", address)
    while not outputs(tmp_path / "there"):
        assert there.poll() is None
        time.sleep(0.02)
    os.kill(random.Random(0).choice(actors(head)), signal.SIGKILL)
    said = [json.loads(line) for line in there.communicate(timeout=200)[0].splitlines()]
    assert here.returncode == there.returncode == 3
    assert (said[-1]["done"], said[-1]["failed"], len(said)) == (8, 1, 10)
    assert outputs(tmp_path / "there") == outputs(tmp_path / "here")
    assert parts(tmp_path / "there") == []


@pytest.mark.slow
def test_files_in_a_pipeline_of_ray_data(ray, tiny_model, tmp_path):
    """Columns in, outcomes out; what is there already costs nothing when Ray runs a batch again."""
    source, (address, _) = few_files(tmp_path / "in"), ray
    how = ("--model", tiny_model, "--dtype", "float32", "--device", "cpu")
    assert enhance(source, tmp_path / "here", *how).wait(200) == 3
    files = [(path, tmp_path / "there" / path.name) for path in sorted(source.iterdir())]
    command = [
        sys.executable,
        HERE / "ray_mapper.py",
        address,
        tiny_model,
        *(x for pair in files for x in pair),
    ]
    for wanted in ({"done": 8, "failed": 1}, {"skipped": 8, "failed": 1}):
        ended = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, text=True, timeout=300)
        rows = json.loads(ended.stdout.splitlines()[-1])
        assert Counter(row["outcome"] for row in rows) == wanted
        assert {row["source"] for row in rows} == {str(path) for path, _ in files}
        assert [row["reason"] for row in rows if row["outcome"] == "failed"] == ["not-audio"]
    assert outputs(tmp_path / "there") == outputs(tmp_path / "here")


def test_a_machine_that_does_not_see_the_folders_ends_the_run(tmp_path):
    """Else each of its inputs would fail as missing."""
    host = Host("copying_worker", [str(tmp_path), str(tmp_path / "elsewhere")])
    host.stop("not needed")
    said = []
    while None not in said:
        said += host.receive()
    error = said[0].failure.error()
    assert isinstance(error, DeviceError)
    assert "elsewhere" in error.message
    assert host.cause_of_death() == "not needed"


def request(source, output, device=WORKERS):
    models = ModelOptions(device=device)
    return Request(Form.ENHANCE, (str(source),), str(output), models, ChunkOptions(), SoundOptions())


@pytest.mark.parametrize(
    ("asked", "resources", "devices"),
    [
        ("auto", {"CPU": 64.0, "GPU": 3.0}, ["cuda"] * 3),
        ("all", {"CPU": 64.0, "GPU": 2.0}, ["cuda"] * 2),
        ("auto", {"CPU": 64.0}, ["cpu"]),
        ("cpu,cpu", {"CPU": 1.0, "GPU": 8.0}, ["cpu", "cpu"]),
        ("cuda:0,cuda:1", {"GPU": 2.0}, ["cuda", "cuda"]),
    ],
)
def test_which_workers_a_cluster_gets(asked, resources, devices):
    assert cluster.worker_devices(asked, resources) == devices


def test_workers_that_no_cluster_has():
    with pytest.raises(UsageError):
        cluster.worker_devices("cpu,cuda", {"GPU": 4.0})
    with pytest.raises(UsageError):
        cluster.worker_devices("mps", {})
    with pytest.raises(DeviceError, match="has 1 GPUs"):
        cluster.worker_devices("cuda,cuda", {"GPU": 1.0})


def test_an_output_that_is_one_file_is_refused(tmp_path):
    with pytest.raises(UsageError, match="output folder"):
        cluster.run_ray(request(tmp_path, tmp_path / "a.wav"), "local", lambda event: None)


def test_an_address_where_nobody_listens_is_told_at_once(tmp_path):
    pytest.importorskip("ray", reason="needs dacse[ray]")
    with pytest.raises(DeviceError, match=r"no Ray cluster at 127\.0\.0\.1"):
        cluster.run_ray(request(tmp_path, tmp_path / "out"), f"127.0.0.1:{free_ports(1)[0]}", print)
