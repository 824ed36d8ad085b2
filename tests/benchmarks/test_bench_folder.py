"""The benchmark runs, compares like with like, and both ways write the same codes."""

from __future__ import annotations

import json

import bench_folder
import pytest


@pytest.mark.ci
def test_both_ways_write_the_same_codes_in_two_goes(tiny_model, tmp_path):
    """Fails when a second go measures a part again, forgets one, or mixes what is not the same."""
    where = tmp_path / "result.json"
    args = ["--model", str(tiny_model), "--clips", "4", "--seconds", "0.3", "--threads", "1", "--parts", "2"]
    args += ["--json", str(where)]
    whole = bench_folder.main(args)
    assert whole["equal_codes"] == 1
    assert whole["clips"] == 4
    assert 99 < sum(whole["stages"].values()) < 101
    kept = json.loads(where.read_text())
    assert kept["result"] == whole
    first = kept["parts"]["0"]
    where.write_text(json.dumps(kept | {"parts": {"0": first}}))
    again = bench_folder.main([*args, "--minutes", "0"])
    assert (again["clips"], again["parts"]) == (2, 1)
    assert bench_folder.main(args)["clips"] == 4
    assert json.loads(where.read_text())["parts"]["0"] == first
    with pytest.raises(SystemExit, match="holds another measurement"):
        bench_folder.main([*args, "--chunk", "0.2"])
