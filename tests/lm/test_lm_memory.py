"""What a batch takes is what `row_bytes` says, so that a batch that is said to fit does fit.

Slow: `pytest -m slow -s tests/lm/test_lm_memory.py` prints the share (R12).
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from dacse_cli.lm.memory import SHARE

SCRIPT = """
import json, resource, sys, tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tiny_llama import CONFIG, random_tensors

from dacse_cli.lm.checkpoint import load_language_model

torch.set_num_threads(1)
heads = dict(num_attention_heads=24, num_key_value_heads=24, head_dim=64)
config = CONFIG | heads | dict(num_hidden_layers=24, max_position_embeddings=2048)
with tempfile.TemporaryDirectory() as folder:
    Path(folder, "config.json").write_text(json.dumps(config))
    save_file(random_tensors(config), Path(folder, "model.safetensors"))
    model = load_language_model(Path(folder), dtype="bfloat16", kv=sys.argv[1])
model.generate([np.arange(9)], [9], [(5, 17)])
model.release()
peak = lambda: 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
before = peak()
model.generate([np.arange(1990) % 41] * 8, [9] * 8, [(5, 17)])
print((peak() - before) / (8 * model.row_bytes(1990 + 8)))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak as Linux counts it")
@pytest.mark.parametrize("kv", ["auto", "int8"])
def test_a_batch_takes_what_was_predicted(kv: str) -> None:
    """Fails when a batch that was said to fit does not (here of a 1B model's heads), or much is wasted."""
    command, path = [sys.executable, "-c", SCRIPT, kv], os.pathsep.join(sys.path)
    done = subprocess.run(command, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    share = float(done.stdout)
    print(f"\nR12, cache {kv}: the peak is {share:.3f} of what was predicted")
    assert 0.95 < share < 1 / SHARE  # scratch is what the rest is left free for
