"""What every training shares: checkpoints, paces, the loop, agreements of processes, work done ahead."""

import math
import multiprocessing
import os
import signal
import threading
import time

import pytest
import torch
import torch.distributed as dist

from dacse_cli.errors import CheckpointError, InputError, OutputError, UsageError
from dacse_cli.training.runs.ahead import Ahead, in_order
from dacse_cli.training.runs.folder import RunFolder, changes
from dacse_cli.training.runs.logbook import read_log
from dacse_cli.training.runs.loop import Listener, Loop
from dacse_cli.training.runs.machine import Machine, PeerError, find_machine
from dacse_cli.training.runs.pace import NewBob, Pace
from dacse_cli.training.runs.stages import Cadence, StagePlan
from dacse_cli.training.runs.state import load_state, peek_state, save_state

CPU = Machine(torch.device("cpu"))


def test_settings_of_a_newer_version_are_not_held_against_an_older_run():
    assert changes({"a": {"x": 1, "new": 2}, "b": 3}, {"a": {"x": 1}, "b": 4}) == ["b"]
    assert changes({"a": {}}, {"a": {"gone": 1}}) == ["a.gone"]


def test_states_come_back_and_damaged_ones_are_named(tmp_path):
    path = tmp_path / "state.safetensors"
    shared = torch.arange(6.0)
    state = {"tied": [shared, shared, shared[2:4]], "place": {"step": 3, "best": None}, 1: (0.5, True)}
    save_state(path, state)
    back = load_state(path)
    assert back.keys() == state.keys() and back[1] == (0.5, True) and back["place"] == state["place"]
    assert all(torch.equal(a, b) for a, b in zip(back["tied"], state["tied"], strict=True))
    assert peek_state(path, "place") == {"step": 3, "best": None}
    path.write_bytes(path.read_bytes()[:-4])
    for read in (load_state, lambda path: peek_state(path, "place")):
        with pytest.raises(CheckpointError, match="damaged"):
            read(path)
    with pytest.raises(OutputError):
        save_state(path / "below" / "a file.safetensors", state)
    assert load_state(tmp_path / "nothing") is None


def test_a_pace_warms_up_falls_and_has_a_tail():
    pace = Pace(1.0, warm_up=10, cosine=0.1)
    assert pace.at(0, 0.0) == pytest.approx(0.1)
    assert pace.at(50, 0.5) == pytest.approx(0.55)
    assert pace.at(100, 1.0) == pytest.approx(0.1)
    tail = Pace(2.0, tail=0.25)
    assert [tail.at(5, share) for share in (0.5, 0.875, 1.0)] == pytest.approx([2.0, 1.0, 0.02])


def test_new_bob_shrinks_when_validation_stops_to_improve():
    pace = NewBob(improvement=0.01, shrink=0.5, patience=1)
    assert [pace.see(loss) for loss in (1.0, 0.9, 0.899, 0.8, 0.8, 0.7)] == [1, 1, 1, 1, 0.5, 0.5]


class Walk:
    """A trainer whose weight walks by its rate; validation gets worse and worse."""

    columns = ("loss", "gradient", "rate", "valid_loss")

    def __init__(self, loss=lambda number: float(number)):
        self.weight, self.loss, self.begun, self.shares = 0.0, loss, [], []
        self.nap = 0.0

    def begin(self, stage, fresh):
        self.begun.append((stage, fresh))

    def step(self, number, share):
        time.sleep(self.nap)
        self.shares.append(share)
        self.weight += share
        return {"loss": torch.tensor(self.loss(number)), "gradient": 1.0, "rate": share}

    def validate(self):
        return {"valid_loss": self.weight}

    def state(self):
        return {"weight": self.weight}

    def restore(self, state):
        self.weight = state["weight"]

    def close(self):
        self.closed = True

    def write(self, folder):
        (folder / "weight").write_text(str(self.weight))


def run(folder, walk, stages, cadence=None, listener=None):
    with RunFolder(folder) as held:
        held.open()
        return Loop(walk, stages, held, CPU, cadence or Cadence(2, 5, 3), listener).run(len(stages) - 1)


def test_the_log_has_means_and_a_stage_its_best_model(tmp_path):
    walk = Walk()
    outcome = run(tmp_path, walk, [StagePlan("a", 10)])
    rows = [(int(row["step"]), float(row["loss"])) for row in read_log(tmp_path) if row["loss"]]
    assert rows == [(2, 0.5), (4, 2.5), (6, 4.5), (8, 6.5), (10, 8.5)]
    assert walk.closed
    assert (tmp_path / "a" / "weight").read_text() == str(outcome.best)  # of step 5, not of step 10
    assert all(float(row["seconds"]) >= 0 for row in read_log(tmp_path) if row["loss"])


def test_a_run_that_is_stopped_anywhere_has_the_same_log(tmp_path):
    """Sums of the line that was not written yet are part of the checkpoint."""

    class Stopped(Exception):
        pass

    def stop(number):
        if number == 7:
            raise Stopped
        return float(number)

    with pytest.raises(Stopped):
        run(tmp_path / "a", Walk(stop), [StagePlan("a", 10)], Cadence(4, 0, 3))
    again = Walk()
    run(tmp_path / "a", again, [StagePlan("a", 10)], Cadence(4, 0, 3))
    assert again.begun == [(0, False)]
    run(tmp_path / "b", Walk(), [StagePlan("a", 10)], Cadence(4, 0, 3))
    a, b = ([row["loss"] for row in read_log(tmp_path / name)] for name in "ab")
    assert a == b


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_stop_signal_writes_a_checkpoint_first(name, tmp_path, monkeypatch):
    """A run that was stopped lost everything since its last checkpoint: up to 500 steps."""
    number, noted = getattr(signal, name), []
    monkeypatch.setattr(signal, "raise_signal", noted.append)

    def stop(step):
        if step == 4:
            os.kill(os.getpid(), number)
        return float(step)

    remarks = []
    before = signal.getsignal(number)
    run(tmp_path / "a", Walk(stop), [StagePlan("a", 10)], Cadence(4, 0, 0), Listener(remark=remarks.append))
    assert noted == [number] and signal.getsignal(number) is before
    for thread in set(threading.enumerate()) - {threading.current_thread()}:
        thread.join(0.5)
    assert "after this step" in remarks[0]
    again = Walk()
    run(tmp_path / "a", again, [StagePlan("a", 10)], Cadence(4, 0, 0))
    assert again.begun == [(0, False)] and len(again.shares) == 5
    run(tmp_path / "b", Walk(), [StagePlan("a", 10)], Cadence(4, 0, 0))
    a, b = ([row["loss"] for row in read_log(tmp_path / name)] for name in "ab")
    assert a == b


def test_a_signal_in_the_last_step_does_not_hide_the_result(tmp_path):
    def stop(step):
        if step == 9:
            os.kill(os.getpid(), signal.SIGTERM)
        return float(step)

    assert run(tmp_path, Walk(stop), [StagePlan("a", 10)]).steps == 10


def test_a_second_stop_signal_stops_at_once(tmp_path):
    def stop(step):
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGTERM)
        return float(step)

    with pytest.raises(SystemExit) as caught:
        run(tmp_path, Walk(stop), [StagePlan("a", 10)])
    assert caught.value.code == 128 + signal.SIGTERM
    assert load_state(tmp_path / "state.safetensors") is None


def test_a_stage_by_the_clock_goes_on_where_the_clock_was(tmp_path):
    """A clock that begins again would return the learning rate to its full value."""
    stage = StagePlan("a", 1, minutes=0.4 / 60)
    walk = Walk(lambda number: 0.0 if number < 8 else 1 / 0)
    walk.nap = 0.02
    with pytest.raises(ZeroDivisionError):
        run(tmp_path, walk, [stage], Cadence(2, 0, 2))
    again = Walk()
    again.nap = 0.02
    reports = []
    run(tmp_path, again, [stage], Cadence(2, 0, 2), Listener(step=reports.append))
    assert 0 < walk.shares[-1] < 1
    assert again.shares[0] >= walk.shares[-2]
    assert reports[-1].steps == 0 and reports[-1].share == 1.0


def test_a_training_that_diverges_leaves_the_checkpoint_before_it(tmp_path):
    """Losses are read only when a line is due; a checkpoint or a model must still not hold NaN."""
    walk = Walk(lambda number: math.nan if number >= 4 else 0.0)
    with pytest.raises(UsageError, match="diverged") as caught:
        run(tmp_path, walk, [StagePlan("a", 10)], Cadence(0, 7, 2))
    assert "`start=" in caught.value.hint and str(tmp_path / "a") in caught.value.hint
    assert load_state(tmp_path / "state.safetensors")["place"]["step"] == 4


def square(fixed, number):
    return fixed + number * number


def broken(fixed, number):
    if number == fixed:
        raise InputError(f"{number} is broken", reason="broken")
    return number


@pytest.mark.parametrize("jobs", [0, 1])
def test_work_ahead_follows_its_numbers(jobs):
    with Ahead(square, 10, jobs=jobs, stride=2) as ahead:
        assert [ahead.get(number) for number in (0, 2, 4, 1, 3, 7)] == [10, 14, 26, 11, 19, 59]
    with Ahead(broken, 2, jobs=jobs) as ahead:
        assert ahead.get(1) == 1
        with pytest.raises(InputError, match="2 is broken"):
            ahead.get(2)


def test_work_ahead_is_done_while_nobody_waits():
    def slow(fixed, number):
        time.sleep(0.05)
        return number

    with Ahead(slow, None, jobs=1) as ahead:
        ahead.get(0)
        time.sleep(0.3)
        before = ahead.waited
        assert ahead.get(1) == 1
        assert ahead.waited - before < 0.03


def test_processes_keep_the_order_and_pass_errors_on():
    with Ahead(broken, 9, jobs=2) as ahead:
        assert [ahead.get(number) for number in range(9)] == list(range(9))
        with pytest.raises(InputError, match="9 is broken"):
            ahead.get(9)
    assert list(in_order(square, 1, range(5), jobs=1)) == [1, 2, 5, 10, 17]


def test_a_launch_without_its_addresses_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(UsageError, match="RANK"):
        find_machine("cpu")


def agreements(rank, folder, said):
    """One of two processes: everything that they must do together."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=2)
    machine = Machine(torch.device("cpu"), rank, 2)
    said.put((rank, "total", machine.total([1.0, rank])))
    said.put((rank, "agree", machine.agree(5.0 + rank)))
    for name in ("together", "in_turn"):
        try:
            with getattr(machine, name)():
                if rank == 0:
                    raise InputError("a recording is broken", reason="x")
        except (InputError, PeerError) as error:
            said.put((rank, name, type(error).__name__))
    try:
        walk = Walk(lambda number: math.nan if rank == 1 else 0.0)
        with RunFolder(folder / "run", writes=machine.first) as held:
            held.open()
            dist.barrier()
            Loop(walk, [StagePlan("a", 4)], held, machine, Cadence(2, 0, 0)).run(0)
    except UsageError as error:
        said.put((rank, "loss", error.message.split(":")[-1].strip()))
    dist.destroy_process_group()


def test_what_fails_in_one_process_ends_all(tmp_path):
    """An error in one process, or a loss that is NaN in one, would let the others wait for ever."""
    context = multiprocessing.get_context("spawn")
    said = context.Queue()
    processes = [context.Process(target=agreements, args=(rank, tmp_path, said)) for rank in (0, 1)]
    for process in processes:
        process.start()
    found = {(rank, name): what for rank, name, what in (said.get(timeout=60) for _ in range(10))}
    for process in processes:
        process.join(30)
    for rank in (0, 1):
        assert found[rank, "total"] == [2.0, 1.0]
        assert found[rank, "agree"] == 5.0
        assert found[rank, "loss"] == "the training has diverged"
    for name in ("together", "in_turn"):
        assert (found[0, name], found[1, name]) == ("InputError", "PeerError")
