"""Every single call that changes the disk fails once, fails for ever, or kills: SQLite's way of testing.

The figure (R2): broken files under final names / runs that reported success although something failed /
reruns that do not give what an undisturbed run gives. The full loop, with the figure printed:

    pytest tests/reliability/test_syscall_loop.py -m slow -s
"""

import errno

import pytest
from breaking import clear, outputs, parts, stamps

ONCE = {"sticky": False}
EVER = {"sticky": True}


def break_at(disk, source, output, wanted, at, arm):
    """One broken run and the rerun; what is wrong, in words."""
    clear(output)
    disk.arm(at, **arm)
    end = disk.victim.run(source, output)
    hit = disk.hits
    found = []
    after = outputs(output) if output.exists() else {}
    if any(wanted.get(name) != content for name, content in after.items()):
        found.append("a broken file under a final name")
    if end.code == 0 and after != wanted:
        found.append("exit 0 although an output is missing")
    if end.code == 1:
        found.append(f"a bug: {end.summary['bug']}")
    counts = ("done", "done_warned", "skipped", "failed", "not_reached")
    if end.summary and "inputs" in end.summary and sum(end.summary[name] for name in counts) != len(wanted):
        found.append("the counts do not add up")
    whole = stamps(output) if output.exists() else {}
    disk.arm()
    again = disk.victim.run(source, output)
    if again.code != 0 or outputs(output) != wanted or parts(output):
        found.append("the rerun is not as a clean run")
    if any(stamps(output)[name] != stamp for name, stamp in whole.items()):
        found.append("a finished file was done again")
    return hit, [f"call {at}, {arm}, exit {end.code}: {what}" for what in found]


def loop(disk, source, output, arms, step=1):
    """All calls of a run, `step` apart; how many runs were broken, and everything that went wrong."""
    disk.arm()
    assert disk.victim.run(source, output).code == 0
    calls, wanted = disk.calls, outputs(output)
    runs, problems = 0, []
    for arm in arms:
        for at in range(1, calls + 1, step):
            hit, found = break_at(disk, source, output, wanted, at, arm)
            runs += hit > 0
            problems += found
    return calls, runs, problems


def test_a_disk_that_fails_at_any_call_costs_no_file(disk, inputs, tmp_path):
    """A sample of the loop. One call whose error is not looked at is enough to lose a file."""
    arms = [{"error": errno.ENOSPC, **EVER}, {"error": errno.EIO, **ONCE}, {"kill": True}]
    calls, runs, problems = loop(disk, inputs, tmp_path / "out", arms, step=4)
    assert calls > 30
    assert runs > 20
    assert not problems, "\n".join(problems)


@pytest.mark.slow
def test_every_call_every_way(disk, inputs, tmp_path):
    arms = [
        {"error": code, **how}
        for code in (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EACCES, errno.EROFS)
        for how in (ONCE, EVER)
    ]
    calls, runs, problems = loop(disk, inputs, tmp_path / "out", [*arms, {"kill": True}])
    print(f"\nR2: {calls} calls, {runs} broken runs, {len(problems)} problems")
    assert not problems, "\n".join(problems)


@pytest.mark.slow
def test_a_fault_while_recovering_from_one(disk, inputs, tmp_path):
    """Compound faults: killed at one call, the rerun killed at another, then left alone."""
    output = tmp_path / "out"
    disk.arm()
    disk.victim.run(inputs, output)
    calls, wanted = disk.calls, outputs(output)
    runs = 0
    for first in range(1, calls + 1, 3):
        for second in range(1, calls + 1, 7):
            clear(output)
            for at in (first, second):
                disk.arm(at, kill=True)
                disk.victim.run(inputs, output)
                runs += disk.hits
                assert outputs(output).items() <= wanted.items()
            disk.arm()
            assert disk.victim.run(inputs, output).code == 0
            assert outputs(output) == wanted
            assert not parts(output)
    print(f"\nR2, compound: {runs} kills, 0 problems")
