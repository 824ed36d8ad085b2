"""The benchmark itself runs, small: its three ways must write the same tokens before speeds mean anything."""

from __future__ import annotations

import json
from pathlib import Path

import bench_decode
import pytest
import torch


@pytest.mark.ci
def test_all_ways_write_the_same_tokens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Fails when the ways compare different work: another mask, another length, another prompt."""
    config = {
        "vocab_size": 5 + 2 * 1024,
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "max_position_embeddings": 256,
        "rope_parameters": {"rope_theta": 100000.0, "rope_type": "default"},
        "tie_word_embeddings": True,
        "initializer_range": 0.2,
    }
    (tmp_path / "config.json").write_text(json.dumps(config))
    options = {
        "shape": tmp_path / "config.json",
        "json": tmp_path / "out.json",
        "prompt": 20,
        "tokens": 12,
        "others": 5,
        "batch": 3,
        "repeats": 1,
        "threads": 1,
    }
    before = torch.get_num_threads()
    try:
        told = []
        results = bench_decode.main([f"--{name}={value}" for name, value in options.items()], told.extend)
    finally:
        torch.set_num_threads(before)
    assert [(r["batch"], r["way"]) for r in results] == [
        (3, way) for way in ("published", "batched", "dacse")
    ]
    assert all(r["same_first_row"] == 1 for r in results)
    assert told == results
    assert json.loads((tmp_path / "out.json").read_text())["results"] == results
    assert capsys.readouterr().out.count("\n|") == 5
