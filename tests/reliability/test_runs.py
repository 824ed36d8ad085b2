"""Whole runs over stand-in models: bad files, dying children, signals, changing inputs, odd names."""

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path

import fake_children
import numpy as np
import pytest
import soundfile
from breaking import outputs, parts

from dacse_cli.audio.media import kinds
from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import NoInputError, OutputError
from dacse_cli.files.atomic import stage_bytes
from dacse_cli.pipeline.record import place
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.record.records import Recipe
from dacse_cli.pipeline.request.jobs import input_stamp
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run import decoders, stopping, supervisor, workers
from dacse_cli.pipeline.run import run as running
from dacse_cli.pipeline.run.run import run
from dacse_cli.pipeline.wire.messages import Form, Look
from dacse_cli.pipeline.wire.outcome import Outcome


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch):
    fake_children.install(monkeypatch.setattr)


def request(source, output, **more):
    names = (os.fsdecode(source),)
    return Request(Form.ENHANCE, names, str(output), ModelOptions(), ChunkOptions(), SoundOptions(), **more)


def enhance(source, output, **more):
    """Summary of a run, after checking what holds for every run."""
    summary = run(request(source, output, **more), lambda event: None)
    assert sum(summary.counts.values()) == len(summary.results)
    assert not parts(Path(output))
    done = [r for r in summary.results if r.outcome in (Outcome.DONE, Outcome.WARNED)]
    assert all(os.path.exists(result.target) for result in done)
    return summary


def record(folder, *names, samples=400):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        wave = 0.1 * np.random.default_rng(seed).standard_normal(samples)
        with open(os.path.join(os.fsencode(folder), os.fsencode(name)), "wb") as file:
            soundfile.write(file, wave, 16000, format="WAV")
    return folder


def ends(summary):
    return {Path(r.source).name: (r.outcome.value, r.reason) for r in summary.results}


def test_a_decoder_that_crashes_costs_one_file(tmp_path):
    """A heap overflow in a parser ended the run for everybody."""
    source = record(tmp_path / "in", "a.wav", "bad-decoder.wav", "c.wav", "d.wav")
    summary = enhance(source, tmp_path / "out")
    assert ends(summary)["bad-decoder.wav"] == ("failed", "decoder")
    assert summary.counts["done"] == 3
    assert summary.exit_code == 3
    assert "SIGSEGV" in next(r.message for r in summary.results if r.reason == "decoder")


def test_a_decoder_that_hangs_is_left_in_time(tmp_path, monkeypatch):
    """One endless file in ten thousand: the run stood still for ever."""
    monkeypatch.setattr(decoders, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(stopping, "TICK", 0.1)
    source = record(tmp_path / "in", "a.wav", "stuck-decoder.wav", "z.wav")
    summary = enhance(source, tmp_path / "out")
    assert ends(summary)["stuck-decoder.wav"] == ("failed", "decoder")
    assert "made no progress for" in next(r.message for r in summary.results if r.reason == "decoder")
    assert summary.counts["done"] == 2


def test_a_machine_asleep_is_not_a_decoder_that_hangs(tmp_path):
    """A laptop closed over lunch: all time-outs had run out when it woke."""
    decoder = decoders.Decoder(None)
    watch = supervisor.Supervisor.__new__(supervisor.Supervisor)
    watch._decoders, watch._stepped_at = decoder, time.monotonic() - 10_000
    watch._workers = workers.Workers(fake_children.PLAN, None)
    watch._workers.slots[0].held[0] = None
    decoder._given.append(Look(0, tmp_path))
    watch._count_time()
    assert 0 < decoder._silent <= 2 * stopping.TICK
    assert 0 < watch._workers.slots[0].silent <= 2 * stopping.TICK


def test_a_worker_that_hangs_costs_one_file(tmp_path, monkeypatch):
    """A network disk that stops answering: a write that never ends was waited for for ever."""
    monkeypatch.setattr(workers, "SILENCE_SECONDS", 0.3)
    monkeypatch.setattr(stopping, "TICK", 0.1)
    source = record(tmp_path / "in", "a.wav", "b-never-ends.wav", "c.wav")
    summary = enhance(source, tmp_path / "out")
    assert ends(summary)["b-never-ends.wav"] == ("failed", "worker-died")
    assert "sent no message for" in next(r.message for r in summary.results if r.reason == "worker-died")
    assert summary.counts["done"] == 2


def test_strict_fails_what_is_not_whole(tmp_path):
    """Half a recording, reported as done: right for a listener, wrong for an archive."""
    source = record(tmp_path / "in", "a.wav", "cut.wav")
    (source / "cut.wav").write_bytes((source / "cut.wav").read_bytes()[:500])
    strict = enhance(source, tmp_path / "strict", strict=True)
    assert ends(strict) == {"a.wav": ("done", ""), "cut.wav": ("failed", "damaged")}
    assert "truncated" in next(r.message for r in strict.results if r.reason == "damaged")
    assert strict.exit_code == 3
    assert ends(enhance(source, tmp_path / "out"))["cut.wav"] == ("done-warned", "warning")


def test_a_file_that_kills_its_worker_is_tried_once_more_and_given_up(tmp_path):
    """After a device assert or an out-of-memory kill every later file failed too."""
    source = record(tmp_path / "in", "a.wav", "b.wav", "kills-worker.wav", "x.wav", "y.wav")
    summary = enhance(source, tmp_path / "out")
    assert ends(summary)["kills-worker.wav"] == ("failed", "worker-died")
    assert "memory ran out" in next(r.message for r in summary.results if r.reason == "worker-died")
    assert summary.counts["done"] == 4


def test_a_worker_that_dies_once_costs_nothing(tmp_path):
    source = record(tmp_path / "in", "a.wav", "kills-once.wav", "z.wav")
    summary = enhance(source, tmp_path / "out")
    assert summary.counts["done"] == 3
    assert fake_children.FakeChild.started.count("model") == 2


@pytest.mark.parametrize("name", ["grows.wav", "vanishes.wav"])
def test_an_input_that_changes_while_it_is_read_gives_no_output(tmp_path, name):
    """The result of half an old and half a new file, reported as done."""
    source = record(tmp_path / "in", "a.wav", name)
    summary = enhance(source, tmp_path / "out")
    assert ends(summary)[name] in {("failed", "changed"), ("failed", "missing")}
    assert set(outputs(tmp_path / "out")) == {"a.wav"}


@pytest.mark.parametrize(("name", "code"), [("sigint", 130), ("sigterm", 143), ("sighup", 129)])
def test_a_signal_ends_a_run_in_order(tmp_path, name, code):
    """Pre-emption on a cluster or a closed terminal left temporary files and no account."""
    if signal.getsignal(getattr(signal, name.upper())) is signal.SIG_IGN:
        pytest.skip(f"{name} is ignored here, as under nohup, and so it stays")
    names = [f"{i}.wav" for i in range(20)]
    source = record(tmp_path / "in", *names, f"3-{name}.wav")
    summary = enhance(source, tmp_path / "out")
    assert summary.exit_code == code
    assert summary.counts["not-reached"] > 0
    assert summary.counts["done"] == len(outputs(tmp_path / "out"))
    again = enhance(source, tmp_path / "out")
    assert again.counts["skipped"] == summary.counts["done"]
    assert len(outputs(tmp_path / "out")) == 21


def test_a_signal_after_the_last_file_waits_for_the_journal(tmp_path, monkeypatch):
    """It ended the command while the journal was closed, and no summary was printed."""
    closing = Ledger.close

    def close(ledger):
        os.kill(os.getpid(), signal.SIGTERM)
        closing(ledger)

    monkeypatch.setattr(Ledger, "close", close)
    summary = enhance(record(tmp_path / "in", "a.wav"), tmp_path / "out")
    assert (summary.exit_code, summary.counts["done"]) == (143, 1)
    assert enhance(tmp_path / "in", tmp_path / "out").counts["skipped"] == 1


def test_a_signal_stops_the_reading_of_old_outputs(tmp_path, monkeypatch):
    """A copied folder of large outputs is read before the work begins; Ctrl-C had no effect until then."""
    source = record(tmp_path / "in", "a.wav", "b.wav")
    assert enhance(source, tmp_path / "out").counts["done"] == 2
    for output in (tmp_path / "out").glob("*.wav"):
        os.utime(output)

    def endless(path, between):
        os.kill(os.getpid(), signal.SIGTERM)
        while True:
            between()

    monkeypatch.setattr(place, "file_sha256", endless)
    summary = enhance(source, tmp_path / "out")
    assert (summary.exit_code, summary.counts["not-reached"]) == (143, 2)


def test_an_output_that_is_a_pipe_does_not_stop_a_run(tmp_path):
    """It was opened, and waited for a writer for ever; no signal ended it."""
    source = record(tmp_path / "in", "a.wav")
    assert enhance(source, tmp_path / "out").counts["done"] == 1
    journal = tmp_path / "out" / ".dacse" / "journal.jsonl"
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    (last,) = [line for line in lines if line.get("state") == "done"]
    journal.write_text(json.dumps(last | {"state": "intent", "size": 0}) + "\n")
    (tmp_path / "out" / "a.wav").unlink()
    os.mkfifo(tmp_path / "out" / "a.wav")
    assert enhance(source, tmp_path / "out").counts["skipped"] == 1


def test_nohup_is_honoured(tmp_path):
    """SIGHUP ignored by whoever started the run stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        summary = enhance(record(tmp_path / "in", "a.wav", "b-sighup.wav"), tmp_path / "out")
    finally:
        signal.signal(signal.SIGHUP, before)
    assert (summary.exit_code, summary.counts["done"]) == (0, 2)


def test_a_second_signal_ends_a_run_at_once(tmp_path):
    """The third Ctrl-C of somebody who has waited long enough."""
    source = record(tmp_path / "in", "1.wav", "2-sigint-never-ends.wav", "3.wav")
    before = signal.signal(signal.SIGINT, lambda *_: None)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    began = time.monotonic()
    try:
        summary = enhance(source, tmp_path / "out")
        took = time.monotonic() - began
        timer.join()
    finally:
        signal.signal(signal.SIGINT, before)
    assert 0.25 < took < 2  # the first one waits for what is under way
    assert summary.exit_code == 130
    assert ends(summary)["2-sigint-never-ends.wav"] == ("not-reached", "stopped")


def test_inputs_added_during_a_run_are_the_next_runs(tmp_path):
    source = record(tmp_path / "in", "a.wav")
    todo = plan(request(source, tmp_path / "out"))
    record(source, "b.wav")
    assert todo.count == 1
    assert enhance(source, tmp_path / "out").counts["done"] == 2


def test_a_crash_while_redoing_does_not_freeze_the_old_output(tmp_path):
    """The intent of a redo that came to nothing made the file before it look like somebody else's."""
    source = record(tmp_path / "in", "a.wav")
    enhance(source, tmp_path / "out")
    record(source, "a.wav", samples=900)
    with Journal(LocalPlace(tmp_path / "out")) as journal:
        recipe = Recipe(*input_stamp(source / "a.wav"), "s")
        journal.intend("a.wav", recipe, str(source / "a.wav"), 999, "0" * 64)
    assert enhance(source, tmp_path / "out").counts["done"] == 1
    assert soundfile.info(tmp_path / "out" / "a.wav").frames == 900


def test_a_replaced_model_is_not_mixed_with_the_old_one(tmp_path, monkeypatch):
    """Half a folder enhanced by one model and half by another under the same name."""
    source = record(tmp_path / "in", "a.wav")
    enhance(source, tmp_path / "out")
    monkeypatch.setattr(running, "find_models", lambda request, _: fake_children.found_for(request, "n"))
    assert enhance(source, tmp_path / "out").counts["done"] == 1
    assert enhance(source, tmp_path / "out").counts["skipped"] == 1


def test_two_runs_may_share_a_tree_but_not_a_folder(tmp_path):
    with Journal(LocalPlace(tmp_path / "out" / "a")), Journal(LocalPlace(tmp_path / "out" / "b")):
        pass


@pytest.mark.parametrize("theirs", ["out/sub", "."], ids=["a run within", "a run around"])
def test_files_of_another_run_that_wait_for_their_names_are_left_alone(tmp_path, theirs):
    """Between a worker's last byte and the supervisor's rename nobody holds a part file: a run on the folder
    above or below took it for a killed run's and removed it."""
    source = record(tmp_path / "in", "a.wav")
    (tmp_path / "out" / "sub").mkdir(parents=True)
    mine = tmp_path / ("out" if theirs == "out/sub" else "out/sub")
    waiting = stage_bytes(tmp_path / "out" / "sub" / "b.wav", b"whole").temp
    killed = stage_bytes(mine / "a.wav", b"part").temp
    with Journal(LocalPlace(tmp_path / theirs)):
        assert run(request(source, mine), lambda event: None).counts["done"] == 1
        assert waiting.exists()
        assert not killed.exists()
    enhance(source, mine)
    assert not waiting.exists()


def test_clocks_may_be_wrong(tmp_path):
    source = record(tmp_path / "in", "a.wav", "b.wav")
    os.utime(source / "a.wav", (4e9, 4e9))
    os.utime(source / "b.wav", (0, 0))
    assert enhance(source, tmp_path / "out").counts["done"] == 2
    assert enhance(source, tmp_path / "out").counts["skipped"] == 2


def test_a_long_path_is_made_or_named(tmp_path):
    """4,000 bytes of folders: the temporary name must not be what breaks the limit."""
    deep = tmp_path / "in"
    while len(os.fsencode(deep)) < 3600:
        deep = deep / ("d" * 90)
    os.makedirs(deep)
    record(deep, "a.wav")
    assert enhance(tmp_path / "in", tmp_path / "out").counts["done"] == 1


def test_many_files_and_deep_folders(tmp_path):
    """A walk that recurses, or compares every file with every other."""
    flat, deep = tmp_path / "in" / "flat", tmp_path / "in" / "deep"
    flat.mkdir(parents=True)
    for i in range(2000):
        (flat / f"{i}.wav").touch()
    deep = deep.joinpath(*["d"] * 200)
    os.makedirs(deep)
    (deep / "x.wav").touch()
    began = time.process_time()
    assert len(plan(request(tmp_path / "in", tmp_path / "out")).waves[0]) == 2001
    assert time.process_time() - began < 1


def test_every_bad_file_ends_alone_and_the_counts_add_up(tmp_path):
    source = record(tmp_path / "in", "good.wav", "other.wav")
    (source / "empty.wav").touch()
    (source / "words.wav").write_text("these are words" * 20)
    (source / "gone.wav").symlink_to("nowhere.wav")
    os.mkfifo(source / "pipe.wav")
    (source / "movie.m4a").write_bytes(b"\x00\x00\x00\x20ftypM4A \x00\x00\x00\x00" + bytes(100))
    for name in ("movie.avi", "pack.zip", ".DS_Store"):
        (source / name).write_bytes(b"x")
    began = time.monotonic()
    summary = enhance(source, tmp_path / "out")
    assert time.monotonic() - began < 10
    assert Counter(ends(summary).values()) == Counter(
        {
            ("done", ""): 2,
            ("failed", "empty"): 1,
            ("failed", "not-audio"): 1,
            ("failed", "vanished"): 1,
            ("failed", "not-a-file"): 1,
            ("failed", "bad-header" if kinds.available() else "unsupported"): 1,
        }
    )
    assert summary.ignored == 3


def test_a_folder_without_audio_is_said(tmp_path):
    (tmp_path / "in").mkdir()
    with pytest.raises(NoInputError, match="no audio files"):
        enhance(tmp_path / "in", tmp_path / "out")


def test_no_room_is_seen_before_the_models_are_loaded(tmp_path, monkeypatch):
    import shutil

    source = record(tmp_path / "in", "a.wav")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 100))
    summary = enhance(source, tmp_path / "out")
    assert summary.exit_code == OutputError.exit_code
    assert "needs about" in summary.fatal.message
    assert "model" not in fake_children.FakeChild.started


def test_a_file_size_limit_is_named(tmp_path):
    """`ulimit -f 0`: Python ignores the signal, so every write answers with an error."""
    source = record(tmp_path / "in", "a.wav")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
    try:
        with pytest.raises(OutputError, match="file size limit"):
            run(request(source, tmp_path / "out"), lambda event: None)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_input_that_may_not_be_read_fails_alone(tmp_path, monkeypatch):
    """libsndfile says "System error." for a missing permission."""
    source = record(tmp_path / "in", "a.wav", "secret.wav")
    real = os.open

    def forbidding(path, *args, **kwargs):
        if os.fsencode(path).endswith(b"in/secret.wav"):
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path, *args, **kwargs)

    monkeypatch.setattr(os, "open", forbidding)
    summary = enhance(source, tmp_path / "out")
    assert ends(summary)["secret.wav"] == ("failed", "permission")
    assert "permission denied" in summary.results[-1].message + summary.results[0].message


def test_nothing_is_read_from_standard_input(tmp_path, monkeypatch):
    """`while read f; do dacse enhance "$f" out; done < list` lost every file but the first."""

    class Trap:
        def __getattr__(self, name):
            raise AssertionError(f"standard input is used: {name}")

    monkeypatch.setattr(sys, "stdin", Trap())
    assert enhance(record(tmp_path / "in", "a.wav"), tmp_path / "out").exit_code == 0


def test_few_descriptors_are_enough(tmp_path):
    """A descriptor left open for every file ends a run at the thousandth."""
    source = record(tmp_path / "in", *(f"{i}.wav" for i in range(60)))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 16, hard))
    try:
        assert enhance(source, tmp_path / "out").counts["done"] == 60
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.parametrize(
    "environment",
    [
        {"LC_ALL": "C", "PYTHONIOENCODING": "ascii:strict", "PYTHONUTF8": "0"},
        {"HOME": None, "COLUMNS": "0", "TERM": "dumb"},
        {"HOME": "/proc", "XDG_CACHE_HOME": "/proc", "TMPDIR": "/proc", "CI": "1"},
    ],
    ids=["ascii", "no home", "read-only home"],
)
def test_a_strange_environment_changes_no_message(tmp_path, environment):
    """An emoji in a name under an ASCII terminal, or a home that is not there, ended in a traceback."""
    name = os.fsencode("absent 🎤 \x1b7") + b"\xff.wav"
    env = {**os.environ, **environment}
    result = subprocess.run(
        [sys.executable, "-m", "dacse_cli", "enhance", name, str(tmp_path / "out")],
        env={key: value for key, value in env.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    assert result.returncode == 2, result.stderr
    assert b"no such file" in result.stderr
    assert b"\\xff" in result.stderr
    assert not {b for b in result.stderr if (b < 32 and b != 10) or b == 127}
    assert b"Traceback" not in result.stderr


@pytest.mark.parametrize("verbose", [False, True])
def test_a_bug_is_one_line_unless_asked(monkeypatch, capsys, verbose):
    from dacse_cli.cli import app

    def broken(**_):
        raise ZeroDivisionError("oops \x1b[2J")

    monkeypatch.setattr(app, "app", broken)
    monkeypatch.setattr(sys, "argv", ["dacse", *(["-v"] if verbose else [])])
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as ended:
            app.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 1
    text = capsys.readouterr().err
    assert ("Traceback" in text) == verbose
    assert "ZeroDivisionError" in text
