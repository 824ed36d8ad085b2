"""Runs between a real S3 server and this disk, over stand-in models: the tree, the rerun, the kill."""

import contextlib
import functools
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import fake_children
import fsspec
import numpy as np
import pytest
import soundfile
from breaking import outputs, tree

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import LockedError, NoInputError, OutputError, UsageError
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.status import look
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.shards import Shard
from dacse_cli.pipeline.run import run as running
from dacse_cli.pipeline.run.run import run
from dacse_cli.pipeline.wire.events import Ended
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.store.store import Store


def request(source, output, **more):
    sound = SoundOptions(format=more.pop("format", "keep"))
    inputs = (source,) if isinstance(source, str) else tuple(map(str, source))
    return Request(Form.ENHANCE, inputs, str(output), ModelOptions(), ChunkOptions(), sound, **more)


def quiet(event):
    pass


def upload(folder, url):
    fs, root = fsspec.core.url_to_fs(url)
    for path in folder.rglob("*"):
        if path.is_file():
            fs.pipe_file(f"{root}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def hashes(url):
    """Hash of every output below a URL."""
    store = Store(url)
    keys = [entry.key for entry in store.entries() if not entry.key.startswith(".dacse/")]
    return {key: store.sha256(key) for key in keys}


@pytest.fixture
def corpus(tmp_path, monkeypatch):
    """Recordings and a token file on this disk, and the tree that a local run makes of them."""
    fake_children.install(monkeypatch.setattr)
    source = tree(tmp_path / "in", 6)
    summary = run(request(str(source), tmp_path / "local"), quiet)
    assert summary.counts["done"] == 7
    return source, outputs(tmp_path / "local")


@pytest.fixture(params=["s3", "memory"])
def bucket(request):
    return f"memory://{time.time_ns()}" if request.param == "memory" else request.getfixturevalue("s3")


def test_from_store_to_store_as_on_this_disk(corpus, bucket, monkeypatch):
    """Every file once, byte for byte, in waves; a second run finds all done and fetches nothing."""
    monkeypatch.setattr(running, "plan", functools.partial(plan, wave=3))
    source, wanted = corpus
    upload(source, f"{bucket}/in")
    told = []
    summary = run(request(f"{bucket}/in", f"{bucket}/out"), told.append)
    assert (summary.counts["done"], summary.exit_code, summary.fatal) == (7, 0, None)
    assert hashes(f"{bucket}/out") == wanted
    ends = [event.result for event in told if isinstance(event, Ended)]
    assert {end.source for end in ends} == {f"{bucket}/in/{key}" for key in wanted}
    assert {end.target for end in ends} == {f"{bucket}/out/{key}" for key in wanted}
    fake_children.FakeChild.started.clear()
    again = run(request(f"{bucket}/in", f"{bucket}/out"), quiet)
    assert again.counts["skipped"] == 7
    assert fake_children.FakeChild.started == []


@pytest.mark.slow
def test_the_command_with_a_real_model_from_bucket_to_bucket(s3, tmp_path):
    """What `nano` makes of two files on this disk, byte for byte, and a rerun that finds it."""
    rng = np.random.default_rng(0)
    (tmp_path / "in").mkdir()
    for name in ("a.wav", "b.flac"):
        soundfile.write(tmp_path / "in" / name, 0.1 * rng.standard_normal(8000), 16_000)
    upload(tmp_path / "in", f"{s3}/in")

    def enhance(source, output):
        command = [sys.executable, "-m", "dacse_cli", "enhance", str(source), str(output), "--model", "nano"]
        done = subprocess.run([*command, "--device", "cpu", "--json"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return [json.loads(line) for line in done.stdout.splitlines()]

    first, second, summary = enhance(f"{s3}/in", f"{s3}/out")
    assert {first["target"], second["target"]} == {f"{s3}/out/a.wav", f"{s3}/out/b.flac"}
    assert summary["done"] == 2
    enhance(tmp_path / "in", tmp_path / "out")
    assert hashes(f"{s3}/out") == outputs(tmp_path / "out")
    assert enhance(f"{s3}/in", f"{s3}/out")[-1]["skipped"] == 2


def test_on_another_machine_only_what_changed_is_done(corpus, s3, monkeypatch, tmp_path):
    source, wanted = corpus
    upload(source, f"{s3}/in")
    run(request(f"{s3}/in", f"{s3}/out"), quiet)
    monkeypatch.setenv("DACSE_CACHE", str(tmp_path / "another"))
    fs, root = fsspec.core.url_to_fs(s3)
    fs.rm_file(f"{root}/out/0.wav")
    fs.pipe_file(f"{root}/in/2.wav", (source / "4.wav").read_bytes())  # of the same length
    fs.pipe_file(f"{root}/in/new.wav", (source / "0.wav").read_bytes())
    fs.pipe_file(f"{root}/out/new.wav", b"somebody else's")
    told = []
    summary = run(request(f"{s3}/in", f"{s3}/out"), told.append)
    results = [event.result for event in told if isinstance(event, Ended)]
    ends = {Path(result.source).name: (result.outcome.value, result.reason) for result in results}
    assert {name for name, end in ends.items() if end[0] == "done"} == {"0.wav", "2.wav"}
    assert ends["new.wav"] == ("skipped", "exists")
    assert summary.counts["skipped"] == 6
    after = hashes(f"{s3}/out")
    assert after.pop("new.wav") not in wanted.values()
    assert after == {**wanted, "2.wav": wanted["4.wav"]}


def test_between_a_store_and_this_disk(corpus, s3, tmp_path):
    source, wanted = corpus
    upload(source, f"{s3}/in")
    down = run(request(f"{s3}/in/", tmp_path / "down"), quiet)
    up = run(request(str(source), f"{s3}/up"), quiet)
    one = run(request(f"{s3}/in/0.wav", f"{s3}/one"), quiet)
    assert [part.counts["done"] for part in (down, up, one)] == [7, 7, 1]
    assert outputs(tmp_path / "down") == hashes(f"{s3}/up") == wanted
    assert hashes(f"{s3}/one") == {"0.wav": wanted["0.wav"]}
    assert run(request(f"{s3}/in/", tmp_path / "down"), quiet).counts["skipped"] == 7


def test_parts_of_a_run_share_an_output(corpus, s3):
    source, wanted = corpus
    upload(source, f"{s3}/in")
    parts = [request(f"{s3}/in", f"{s3}/out", shard=Shard(i, 3)) for i in (2, 3, 1)]
    done = [run(part, quiet).counts["done"] for part in parts]
    assert sum(done) == 7
    assert hashes(f"{s3}/out") == wanted
    seen = look(f"{s3}/out")
    assert (seen.finished, seen.missing, seen.failed, seen.journals) == (7, [], [], 3)
    with pytest.raises(NoInputError):
        look(f"{s3}/in")
    assert run(request(f"{s3}/in", f"{s3}/out"), quiet).counts["skipped"] == 7


def test_what_is_refused(corpus, s3, tmp_path):
    source, _ = corpus
    upload(source, f"{s3}/in")
    fs, root = fsspec.core.url_to_fs(s3)
    fs.pipe_file(f"{root}/in/1.wav", b"")
    with pytest.raises(UsageError, match=r"1\.flac and 1\.wav would both write 1\.wav"):
        run(request(f"{s3}/in", f"{s3}/out", format="wav"), quiet)
    for output in (f"{s3}/in", s3):
        with pytest.raises(UsageError, match="never written"):
            run(request(f"{s3}/in", output), quiet)
    with pytest.raises(NoInputError):
        run(request(f"{s3}/nothing", f"{s3}/out"), quiet)
    inside = request(f"{s3}/in/sub", f"{s3}/in/sub/out")
    assert run(inside, quiet).counts["done"] == 1
    assert sum(run(inside, quiet).counts.values()) == 1  # outputs are no inputs


def test_a_store_that_takes_nothing_stops_the_run(corpus, s3, monkeypatch):
    """Nothing is reported done that is not there; the next run does what is missing."""
    source, wanted = corpus
    upload(source, f"{s3}/in")
    put = Store.put

    def full(self, path, key):
        if key == "3.flac":
            raise OutputError("cannot write it: quota")
        put(self, path, key)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "put", full)
        summary = run(request(f"{s3}/in", f"{s3}/out"), quiet)
    assert summary.exit_code == 6
    assert sum(summary.counts.values()) == 7
    assert "3.flac" not in hashes(f"{s3}/out")
    again = run(request(f"{s3}/in", f"{s3}/out"), quiet)
    assert again.exit_code == 0
    assert hashes(f"{s3}/out") == wanted


def test_a_journal_that_cannot_be_read_any_more_stops_the_run(corpus, s3, monkeypatch):
    """The thread that announces outputs must not die of it: the run would wait for ever."""
    source, _ = corpus
    upload(source, f"{s3}/in")
    intend = Journal.intend

    def lose(self, *args):
        intend(self, *args)
        self._segment.unlink(missing_ok=True)

    monkeypatch.setattr(Journal, "intend", lose)
    summary = run(request(f"{s3}/in", f"{s3}/out"), quiet)
    assert (summary.exit_code, sum(summary.counts.values())) == (6, 7)
    assert hashes(f"{s3}/out") == {}


def test_no_thread_outlives_its_run(corpus, bucket, monkeypatch):
    """Each thread holds what its run held."""
    monkeypatch.setattr(running, "plan", functools.partial(plan, wave=1))
    source, _ = corpus
    upload(source, f"{bucket}/in")
    assert run(request(f"{bucket}/in", f"{bucket}/out"), quiet).counts["done"] == 7
    deadline = time.monotonic() + 10
    while left := [t for t in threading.enumerate() if t.name.endswith(("(_do)", "(_announce)"))]:
        assert time.monotonic() < deadline, left
        time.sleep(0.01)


def test_inputs_that_vanish_or_change_fail_alone(corpus, s3, monkeypatch):
    source, _ = corpus
    upload(source, f"{s3}/in")
    fs, root = fsspec.core.url_to_fs(s3)
    fetch = Store.fetch

    def meddle(self, entry, path):
        if entry.key == "0.wav":
            fs.rm_file(f"{root}/in/0.wav")
        if entry.key == "2.wav":
            fs.pipe_file(f"{root}/in/2.wav", b"other")
        fetch(self, entry, path)

    monkeypatch.setattr(Store, "fetch", meddle)
    told = []
    summary = run(request(f"{s3}/in", f"{s3}/out"), told.append)
    failed = {e.result.source[-5:]: e.result.reason for e in told if isinstance(e, Ended) and e.result.reason}
    assert failed == {"0.wav": "vanished", "2.wav": "changed"}
    assert (summary.exit_code, summary.counts["done"]) == (3, 5)


def test_two_runs_on_one_machine_are_kept_apart(corpus, s3):
    source, _ = corpus
    upload(source, f"{s3}/in")

    def meanwhile(event):
        if isinstance(event, Ended):
            with pytest.raises(LockedError):
                run(request(f"{s3}/in", f"{s3}/out"), quiet)

    assert run(request(f"{s3}/in", f"{s3}/out"), meanwhile).counts["done"] == 7


def test_kills_cost_no_object_and_none_is_done_twice(s3, victim, tmp_path):
    """Each rerun is on a machine that knows nothing but the store."""
    source, rng = tree(tmp_path / "in", 16, samples=6000), random.Random(2)
    upload(source, f"{s3}/in")
    assert victim.run(source, tmp_path / "local").code == 0
    wanted, hit = outputs(tmp_path / "local"), 0
    for round_ in range(3):
        output = f"{s3}/{round_}"
        pid, enough = victim.start(f"{s3}/in", output, cache=str(tmp_path / f"a{round_}")), rng.randint(0, 14)
        deadline = time.monotonic() + 60
        while len(list(Store(output).entries())) < enough:  # a part of them is the journal
            assert time.monotonic() < deadline
            time.sleep(rng.uniform(0, 0.01))
        with contextlib.suppress(ProcessLookupError):  # it was faster
            os.kill(pid, signal.SIGKILL)
        hit += victim.wait().code == -signal.SIGKILL
        there = hashes(output)
        assert there.items() <= wanted.items()  # whole objects only
        end = victim.run(f"{s3}/in", output, cache=str(tmp_path / f"b{round_}"))
        assert end.code == 0
        # nothing that is there is done again; the store may still have finished a put of the killed run
        assert end.summary["skipped"] >= len(there)
        assert hashes(output) == wanted
    assert hit
