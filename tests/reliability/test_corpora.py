"""Random folders of good and bad inputs, and large ones: the account of a run, its memory and its cost.

The figures (R5, R10, R19, R20), printed by:

    pytest tests/reliability/test_corpora.py -m slow -s
"""

import gc
import os
import random
import time

import fake_children
import numpy as np
import pytest
import soundfile
from breaking import Victim, outputs, parts

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.run.run import run
from dacse_cli.pipeline.wire.messages import Form

GOOD = ("plain.wav", "kills-once.wav", "codes.tokens.safetensors")
BAD = {
    "words.wav": "not-audio",
    "nothing.wav": "empty",
    "bad-decoder.wav": "decoder",
    "kills-worker.wav": "worker-died",
    "grows.wav": "changed",
    "gone.wav": "vanished",
    "nan.wav": "nan",
}


@pytest.fixture(autouse=True)
def _stand_ins(monkeypatch):
    fake_children.install(monkeypatch.setattr)


def put(path, name, wave):
    """An input whose name says what is wrong with it."""
    if name == "words.wav":
        path.write_text("words, and no sound")
    elif name == "gone.wav":
        path.symlink_to("nowhere")
    elif name == "nothing.wav":
        path.touch()
    elif name.startswith("codes"):
        path.write_bytes(b"codes")
    else:
        broken = np.where(np.arange(len(wave)) == 7, np.nan, wave) if name == "nan.wav" else wave
        subtype = "FLOAT" if name == "nan.wav" else "PCM_16"
        soundfile.write(path, broken, 16000, subtype=subtype)


def enhance(source, output, **more):
    request = Request(
        Form.ENHANCE, (str(source),), str(output), ModelOptions(), ChunkOptions(), SoundOptions(), **more
    )
    return run(request, lambda event: None)


def accounted(root, rng):
    """Make a random folder and run it twice; whether the account is what was put in, both times."""
    source, output = root / "in", root / "out"
    wave = 0.1 * np.random.default_rng(0).standard_normal(300)
    # a worker given up three times in a row is a device given up: at most one of those a folder
    names = [rng.choice(GOOD) for _ in range(rng.randint(1, 6))]
    names += rng.sample(sorted(BAD), rng.randint(0, 4))
    rng.shuffle(names)
    for i, name in enumerate(names):
        path = source / rng.choice(["", "a", "a/b"]) / f"{i}-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        put(path, name, wave)
    expected = sorted(BAD[name] for name in names if name in BAD)
    fake_children.FakeChild.started.clear()
    first = enhance(source, output)
    reasons = sorted(r.reason for r in first.results if r.outcome.value == "failed")
    good = len(names) - len(expected)
    right = (reasons, first.exit_code) == (expected, 3 if expected else 0)
    right &= len(first.results) == len(names) == sum(first.counts.values())
    right &= first.counts["done"] == good == len(outputs(output)) and not parts(output)
    again = enhance(source, output)
    return right and again.counts["skipped"] >= good and sum(again.counts.values()) == len(names)


def wrong_accounts(tmp_path, count, seed):
    """Which of so many random folders are not accounted for."""
    rng = random.Random(seed)
    return [i for i in range(count) if not accounted(tmp_path / str(i), rng)]


def test_the_account_is_right_whatever_the_folder_holds(tmp_path):
    """A file counted twice or not at all, or exit code 0 over a failure."""
    assert wrong_accounts(tmp_path, 12, seed=0) == []


@pytest.mark.slow
def test_the_account_of_1000_folders(tmp_path):
    wrong = wrong_accounts(tmp_path, 1000, seed=1)
    print(f"\nR5: {1000 - len(wrong)} of 1,000 folders accounted for")
    assert wrong == []


def crowd(tmp_path, runs, files):
    """Many runs on one folder: files done, and of the refusals the most seconds, by the clock and of work."""
    wave = 0.1 * np.random.default_rng(0).standard_normal(4000)
    (tmp_path / "in").mkdir()
    for i in range(files):
        soundfile.write(tmp_path / "in" / f"{i}.wav", wave, 16000)
    victims = [Victim() for _ in range(runs)]
    try:
        for victim in victims:
            victim.run(tmp_path / "in" / "0.wav", tmp_path / "warm")
        for victim in victims:
            victim.start(tmp_path / "in", tmp_path / "out")
        ends = [victim.wait() for victim in victims]
    finally:
        for victim in victims:
            victim.close()
    assert all(end.code in (0, 7) for end in ends)
    assert len(outputs(tmp_path / "out")) == files
    assert not parts(tmp_path / "out")
    refused = [end.summary["took"] for end in ends if end.code == 7]
    clock, work = (max(column, default=0.0) for column in zip(*refused, strict=True)) if refused else (0, 0)
    return sum(end.summary["done"] for end in ends if end.code == 0), clock, work


def test_many_runs_on_one_folder(tmp_path):
    """Each file is done once, by one of them; the others are told at once that it is taken."""
    assert crowd(tmp_path, 3, 20)[0] == 20


@pytest.mark.slow
def test_8_runs_on_500_files(tmp_path):
    done, clock, work = crowd(tmp_path, 8, 500)
    print(f"\nR10: 8 runs, 500 files: {done} done; slowest refusal {clock:.2f} s, {work:.2f} s of them work")
    assert done == 500
    assert work <= 1  # what the clock says is the other runs' doing


@pytest.mark.slow
def test_memory_descriptors_and_cost_of_2000_files(tmp_path):
    def resident():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    wave = 0.1 * np.random.default_rng(0).standard_normal(16_000)
    (tmp_path / "in").mkdir()
    for i in range(2000):
        put(tmp_path / "in" / f"{i}.wav", "words.wav" if i % 33 == 0 else "plain.wav", wave)
    enhance(tmp_path / "in" / "1.wav", tmp_path / "warm")
    gc.collect()
    began, before, descriptors = time.process_time(), resident(), len(os.listdir("/proc/self/fd"))
    summary = enhance(tmp_path / "in", tmp_path / "out")
    cost = (time.process_time() - began) / 2000
    gc.collect()
    grown = (resident() - before) / 2000
    began = time.process_time()
    for i in range(1, 32):
        samples, rate = soundfile.read(tmp_path / "in" / f"{i}.wav", dtype="float32")
        soundfile.write(tmp_path / "bare.wav", samples, rate)
    bare = (time.process_time() - began) / 31
    opened = len(os.listdir("/proc/self/fd")) - descriptors
    print(f"\nR19, intake and worker in the same process: {grown:.0f} bytes per file; descriptors {opened:+}")
    print(f"R20: {1e3 * cost:.2f} ms of processor a file, {1e3 * bare:.2f} ms for a bare loop")
    assert summary.counts == {"done": 1939, "done-warned": 0, "skipped": 0, "failed": 61, "not-reached": 0}
    assert grown < 4096  # intake and worker are in this process, too; alone: test_memory.py
    assert opened == 0
