"""A step of a published size on this machine, its memory measured. Slow: `pytest -m slow`."""

import os
import subprocess
from pathlib import Path

import pytest
from training_runs import command, curve, write_pairs

from dacse_cli.lm.shape import parse_shape
from dacse_cli.training.lm.plan import STATE_BYTES
from dacse_cli.training.lm.sizes import count_parameters, published_config

GOLDEN = Path(__file__).parents[1] / "golden"


@pytest.mark.slow
def test_a_step_of_250_million_parameters_runs_here(tmp_path):
    """Needs 7 GB of memory. The optimizer's moments are there after one step, so this is the peak."""
    pairs = write_pairs(tmp_path / "pairs", [8000, 8000])
    steps = ["stage.steps=1", "stage.accumulate=2", "stage.warm_up=0", "data.valid=0", "run.bf16=false"]
    words = ["--size", "250M", "--codec", GOLDEN / "dac", *(w for s in steps for w in ("--set", s))]
    process = subprocess.Popen(command("train", "lm", pairs, tmp_path / "run", *words, "-q"))
    _, status, usage = os.wait4(process.pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    assert 8 < curve(tmp_path / "run")[0][1] < 12  # ln 9221 = 9.1
    state = STATE_BYTES * count_parameters(parse_shape(published_config("250M")))
    peak = usage.ru_maxrss * 1024
    print(f"peak {peak / 1e9:.2f} GB, of which weights, gradients and AdamW {state / 1e9:.2f} GB by the plan")
    assert state < peak < 2 * state
