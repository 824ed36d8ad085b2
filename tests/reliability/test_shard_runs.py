"""Parts of one run as a cluster runs them: in any order, one killed and run again; the tree of one run."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
from breaking import clear, outputs, parts, stamps, tree

from dacse_cli.pipeline.record.status import look
from dacse_cli.pipeline.request.shards import Shard

COUNT = 4


def killed_run(victim, source, output, shard, rng, length):
    """One part, killed after a random share of `length` seconds; whether the kill came in time."""
    pid = victim.start(source, output, shard=shard)
    time.sleep(rng.uniform(0, length))
    with contextlib.suppress(ProcessLookupError):  # it was faster
        os.kill(pid, signal.SIGKILL)
    return victim.wait().code == -signal.SIGKILL


def test_parts_in_any_order_with_one_killed_give_the_tree_of_one_run(victim, tmp_path):
    """A part that takes another's files, or sweeps away what it writes, changes the tree."""
    source, rng = tree(tmp_path / "in", 24, samples=6000), random.Random(5)
    assert victim.run(source, tmp_path / "whole").code == 0
    wanted, output = outputs(tmp_path / "whole"), tmp_path / "out"
    began = time.monotonic()
    assert victim.run(source, output, shard="1/4").code == 0
    length = time.monotonic() - began
    clear(output)
    killed = rounds = 0
    while killed < 5:
        rounds += 1
        assert rounds < 100
        order = [f"{i}/{COUNT}" for i in range(1, COUNT + 1)]
        rng.shuffle(order)
        doomed = rng.choice(order)
        for shard in order:
            if shard == doomed:
                killed += killed_run(victim, source, output, shard, rng, length)
            else:
                assert victim.run(source, output, shard=shard).code == 0
        before = stamps(output)
        again = victim.run(source, output, shard=doomed)
        assert again.code == again.summary["failed"] == 0
        assert before.items() <= stamps(output).items()  # nothing that was there is done again
        assert outputs(output) == wanted
        assert parts(output) == []
        seen = look(str(output))
        assert (seen.finished, seen.missing, seen.failed, seen.journals) == (len(wanted), [], [], COUNT)
        clear(output)


RUN = [sys.executable, "-m", "dacse_cli", "enhance"]


def enhance(model, source, output, shard=None):
    part = ("--shard", shard) if shard else ()
    return subprocess.Popen(
        [*RUN, str(source), str(output), "--model", str(model), "--json", *part],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def account(process):
    """The summary of a process once it has ended well."""
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0, err
    return json.loads(out.splitlines()[-1])


@pytest.mark.slow
def test_the_same_with_real_models_and_two_parts_at_once(tmp_path, tiny_model):
    rng = np.random.default_rng(3)
    names = [f"take {i}.wav" for i in range(12)]
    (tmp_path / "in").mkdir()
    for i, name in enumerate(names):
        soundfile.write(tmp_path / "in" / name, 0.1 * rng.standard_normal(6000 + 700 * i), 16000)
    source, output = tmp_path / "in", tmp_path / "out"
    assert account(enhance(tiny_model, source, tmp_path / "whole"))["done"] == len(names)

    mine = {i: [n for n in names if Shard(i, COUNT).holds(n)] for i in range(1, COUNT + 1)}
    fullest = max(mine, key=lambda i: len(mine[i]))
    beside, *others = [i for i in mine if i != fullest]
    first = enhance(tiny_model, source, output, f"{beside}/{COUNT}")
    doomed = enhance(tiny_model, source, output, f"{fullest}/{COUNT}")
    while not any((output / name).exists() for name in mine[fullest]):
        assert doomed.poll() is None
        time.sleep(0.005)
    doomed.kill()
    doomed.communicate()
    finished = sum((output / name).exists() for name in mine[fullest])
    account(first)
    for i in others:
        account(enhance(tiny_model, source, output, f"{i}/{COUNT}"))
    again = account(enhance(tiny_model, source, output, f"{fullest}/{COUNT}"))
    assert (again["skipped"], again["done"]) == (finished, len(mine[fullest]) - finished)
    assert outputs(output) == outputs(tmp_path / "whole")
