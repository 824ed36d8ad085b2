"""A hundred thousand files under one supervisor: planned, sharded, resumed, in the memory of a laptop.

pytest tests/reliability/test_many_files.py -m slow -s
"""

import hashlib
import json
import shutil
import time

import numpy as np
import pytest
import soundfile
from breaking import Command
from test_memory import peaks_mb

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.record.records import Recipe
from dacse_cli.pipeline.request.jobs import input_stamp
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.shards import Shard
from dacse_cli.pipeline.wire.messages import Form

SHA = hashlib.sha256(b"x").hexdigest()
COUNT, FOLDERS, LEFT = 100_000, 100, 20


@pytest.fixture
def command(tmp_path):
    command = Command(tmp_path / "report")
    yield command
    command.close()


@pytest.fixture
def source(tmp_path):
    """So many copies of a recording of a second, gone afterwards: they are a gigabyte."""
    wave = 0.1 * np.random.default_rng(0).standard_normal(8000)
    soundfile.write(tmp_path / "one.wav", wave, 8000, subtype="PCM_U8")
    content = (tmp_path / "one.wav").read_bytes()
    for number in range(FOLDERS):
        folder = tmp_path / "in" / f"{number:03}"
        folder.mkdir(parents=True)
        for i in range(COUNT // FOLDERS):
            (folder / f"{i:04}.wav").write_bytes(content)
    yield tmp_path / "in"
    shutil.rmtree(tmp_path)


def settings_of_a_run(command, recording, output):
    """What runs of this command write into their journals as their options."""
    assert command.run(recording, output).code == 0
    line = (output / ".dacse" / "journal.jsonl").read_text().splitlines()[-1]
    return Recipe(*json.loads(line)["recipe"]).settings


def finish(source, output, settings, paths):
    """Outputs, of a byte each, and a journal that knows them."""
    with Journal(LocalPlace(output)) as journal:
        for path in paths:
            target = output / path.relative_to(source)
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(b"x")
            key = journal.key(target)
            journal.finish(key, Recipe(*input_stamp(path), settings), str(path), 1, SHA)


@pytest.mark.slow
def test_a_hundred_thousand_files_are_planned_sharded_and_resumed(command, source, tmp_path):
    output = tmp_path / "out"
    options = (ModelOptions(), ChunkOptions(), SoundOptions())
    began = time.monotonic()
    jobs = plan(Request(Form.ENHANCE, (str(source),), str(output), *options)).waves[0]
    planned = time.monotonic() - began
    assert len(jobs) == COUNT
    paths = [job.source for job in jobs]
    settings = settings_of_a_run(command, paths[0], tmp_path / "first")
    finish(source, output, settings, paths[LEFT:])
    began = time.monotonic()
    peak = peaks_mb(command, source, output)[0]
    resumed = time.monotonic() - began
    summary = json.loads(command.said.splitlines()[-1])
    part = command.run(source, output, "--shard", "3/8").summary
    print(f"\n{COUNT:,} files: planned in {planned:.1f} s; a run with {LEFT} of them left to do took")
    print(f"{resumed:.1f} s and {peak:.0f} MB in the supervisor; part 3 of 8 holds {part['inputs']:,}")
    assert planned < 30
    assert peak < 300
    assert (summary["skipped"], summary["done"]) == (COUNT - LEFT, LEFT)
    mine = [path for path in paths if Shard(3, 8).holds(str(path.relative_to(source)))]
    assert part["skipped"] == part["inputs"] == len(mine)
