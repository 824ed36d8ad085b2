"""SIGKILL at random moments, again and again, on one folder of outputs.

The figure (R1): broken files under final names / finished files done again / temporary files left after the
next run. With 200 kills, and the figure printed:

    pytest tests/reliability/test_kill_loop.py -m slow -s
"""

import contextlib
import os
import random
import signal
import time

import pytest
from breaking import clear, outputs, parts, stamps, tree


def kill_loop(victim, source, output, kills, seed=0):
    """Kill runs until `kills` have been hit; broken, redone, left."""
    rng = random.Random(seed)
    assert victim.run(source, output).code == 0  # the first fork is slower than all others
    wanted = outputs(output)
    clear(output)
    began = time.monotonic()
    victim.run(source, output)
    length = time.monotonic() - began
    clear(output)
    hit = broken = redone = left = 0
    while hit < kills:
        before = stamps(output) if output.exists() else {}
        pid = victim.start(source, output)
        time.sleep(rng.uniform(0, length))
        with contextlib.suppress(ProcessLookupError):  # it was faster
            os.kill(pid, signal.SIGKILL)
        end = victim.wait()
        hit += end.code == -signal.SIGKILL
        after = stamps(output) if output.exists() else {}
        redone += sum(after.get(name) != stamp for name, stamp in before.items())
        broken += len(outputs(output).items() - wanted.items()) if output.exists() else 0
        if end.code == 0 or len(after) == len(wanted):
            assert victim.run(source, output).code == 0
            left += len(parts(output))
            assert outputs(output) == wanted
            clear(output)
    return broken, redone, left


def test_kills_cost_no_file(victim, tmp_path):
    """A broken file under its final name is skipped by every later run."""
    source = tree(tmp_path / "in", 8)
    assert kill_loop(victim, source, tmp_path / "out", 10) == (0, 0, 0)


@pytest.mark.slow
def test_200_kills(victim, tmp_path):
    source = tree(tmp_path / "in", 40, samples=20_000)
    broken, redone, left = kill_loop(victim, source, tmp_path / "out", 200, seed=1)
    print(f"\nR1: 200 kills: {broken} broken / {redone} done again / {left} temporary files left")
    assert (broken, redone, left) == (0, 0, 0)
