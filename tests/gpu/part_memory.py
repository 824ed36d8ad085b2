"""R12: the most memory that a full batch takes, over what is computed before it is laid out."""

from __future__ import annotations

import numpy as np
import torch
from rows import Rows, part_options
from timing import config_of, random_model, ranges_of

from dacse_cli.lm.memory import fit_batch, free_memory


def memory(rows: Rows, device: str, tiny: bool) -> None:
    """A batch as large as fits at the longest context of a chunk, in bfloat16 and with an fp8 cache."""
    cuda = device.startswith("cuda")
    config = config_of("nano" if tiny else "1b", 1 if tiny else None)
    prompt, new = (30, 10) if tiny else (3098, 19)
    positions = prompt + (10 if tiny else 3096)
    for kv in ("auto", "fp8"):
        before = torch.cuda.memory_allocated() if cuda else 0
        lm = random_model(config, device, torch.bfloat16, kv=kv)
        weights = torch.cuda.memory_allocated() - before if cuda else 0
        batch = fit_batch(lm.row_bytes(positions), free_memory(device), 2 if tiny else lm.useful_rows)
        lm.prepare(batch, positions, ranges_of(config))
        if cuda:
            torch.cuda.reset_peak_memory_stats()
        prompts = [np.full(prompt, 5 + row) for row in range(batch)]
        lm.generate(prompts, [new] * batch, ranges_of(config))
        planned = weights + batch * lm.row_bytes(positions)
        what = f"cache {kv}, {batch} rows of {positions} positions"
        if cuda:
            peak = torch.cuda.max_memory_allocated() - before
            rows.add("R12", f"most memory over planned, {what}", peak / planned, "0.95-1.05")
            rows.add("R12", f"GB of weights, {what}", weights / 1e9)
            rows.add("R12", f"GB planned, {what}", planned / 1e9)
        else:
            rows.add("R12", f"most memory over planned, {what}", "not measured: this is a CPU", "0.95-1.05")
        lm.release()
        del lm
        if cuda:
            torch.cuda.empty_cache()


def main(arguments: list[str] | None = None) -> list[dict[str, object]]:
    options = part_options(arguments)
    rows = Rows(options.rows)
    memory(rows, options.device, options.tiny)
    return rows.rows


if __name__ == "__main__":
    main()
