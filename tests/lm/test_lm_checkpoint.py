"""Every way a checkpoint can be wrong is refused in words, and nothing but safetensors is opened."""

from __future__ import annotations

import json
import os
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny_llama import CONFIG, WriteModel

from dacse_cli.errors import CheckpointError
from dacse_cli.lm.checkpoint import load_language_model
from dacse_cli.lm.shape import parse_shape

Spoil = Callable[[Path], None]
WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"


def tensors(change: Callable[[dict[str, torch.Tensor]], Any]) -> Spoil:
    """Change the stored tensors."""

    def spoil(folder: Path) -> None:
        held = load_file(folder / WEIGHTS)
        change(held)
        save_file({name: t.contiguous() for name, t in held.items()}, folder / WEIGHTS)

    return spoil


def content(data: bytes, name: str = WEIGHTS) -> Spoil:
    """Replace a file."""
    return lambda folder: (folder / name).write_bytes(data) and None


def cut(name: str, keep: float) -> Spoil:
    """Keep the first part of a file."""
    return lambda folder: os.truncate(folder / name, int((folder / name).stat().st_size * keep))


def shards(weight_map: Any, *, shard: str | None = None) -> Spoil:
    """Turn the folder into a sharded one with this map."""

    def spoil(folder: Path) -> None:
        if shard:
            (folder / WEIGHTS).rename(folder / shard)
        else:
            (folder / WEIGHTS).unlink()
        (folder / INDEX).write_text(json.dumps({"weight_map": weight_map}))

    return spoil


def config(**changes: Any) -> Spoil:
    """Change config.json; a value of `...` removes the key."""

    def spoil(folder: Path) -> None:
        kept = {key: value for key, value in (CONFIG | changes).items() if value is not ...}
        (folder / "config.json").write_text(json.dumps(kept))

    return spoil


def rename(old: str, new: str) -> Spoil:
    return tensors(lambda t: t.update({new: t.pop(old)}))


def half_an_index(folder: Path) -> None:
    shards({NORM: "a.safetensors"})(folder)
    cut(INDEX, 0.5)(folder)


def only_pickle(folder: Path) -> None:
    (folder / WEIGHTS).unlink()
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Bomb(folder / "ran")))


class Bomb:
    """Leaves a file behind when unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return (Path.touch, (self.mark,))


NORM = "model.norm.weight"
DOWN = "model.layers.1.mlp.down_proj.weight"
LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3680\n"
WRONG: dict[str, tuple[Spoil, str]] = {
    "missing key": (tensors(lambda t: t.pop(DOWN)), "lacks model.layers.1.mlp.down_proj.weight"),
    "extra key": (tensors(lambda t: t.update(spare=t[NORM].clone())), "has unexpected spare"),
    "extra layer": (config(num_hidden_layers=1), "has unexpected model.layers.1"),
    "renamed keys": (rename(DOWN, "transformer.h.1.down.weight"), "lacks .*; it has unexpected transformer"),
    "bias nobody asked for": (
        tensors(lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": t[NORM].clone()})),
        r"unexpected .*q_proj\.bias",
    ),
    "no head, not tied": (tensors(lambda t: t.pop("lm_head.weight")), "lacks lm_head.weight"),
    "tied, other head": (config(tie_word_embeddings=True), "stored lm_head differs"),
    "wrong width": (config(hidden_size=64, head_dim=8), r"\[41, 32\], not \[41, 64\]"),
    "wrong vocabulary": (config(vocab_size=40), r"\[41, 32\], not \[40, 32\]"),
    "NaN": (tensors(lambda t: t[DOWN].view(-1)[7:8].fill_(float("nan"))), "down_proj.weight holds NaN"),
    "infinite": (tensors(lambda t: t[NORM][3:4].fill_(float("inf"))), "norm.weight holds NaN or infinite"),
    "integers": (tensors(lambda t: t.update({NORM: t[NORM].to(torch.int8)})), "is I8, not one of"),
    "float8": (
        tensors(lambda t: t.update({NORM: t[NORM].to(torch.float8_e4m3fn)})),
        "is F8_E4M3, not one of",
    ),
    "truncated": (cut(WEIGHTS, 0.7), "damaged or cut short"),
    "cut header": (cut(WEIGHTS, 0.01), "damaged or cut short"),
    "junk behind": (lambda f: (f / WEIGHTS).open("ab").write(b"junk") and None, "damaged or cut short"),
    "empty": (content(b""), "empty"),
    "LFS pointer": (content(LFS), "git-lfs pointer"),
    "web page": (content(b"<!DOCTYPE html><html>sign in</html>"), "web page.*<!DOCTYPE"),
    "pickle in disguise": (content(b"PK\x03\x04" + bytes(200)), "pickle"),
    "only pickle": (only_pickle, "only pytorch_model.bin"),
    "no weights": (lambda f: (f / WEIGHTS).unlink(), "has no model.safetensors"),
    "weights are a folder": (lambda f: (f / WEIGHTS).unlink() or (f / WEIGHTS).mkdir(), "is missing"),
    "index up": (shards({NORM: "../evil.safetensors"}), "not a safetensors file beside it"),
    "index absolute": (shards({NORM: "/tmp/evil.safetensors"}), "not a safetensors file beside it"),
    "index backslash": (shards({NORM: r"..\evil.safetensors"}), "not a safetensors file beside it"),
    "index to a pickle": (shards({NORM: "pytorch_model.bin"}), "not a safetensors file beside it"),
    "index of numbers": (shards({NORM: 7}), "not a safetensors file beside it"),
    "index without map": (shards([]), "not an index"),
    "index cut": (half_an_index, "not an index|JSON"),
    "shard missing": (shards({NORM: "model-1.safetensors"}), "model-1.safetensors is missing"),
    "shard lacks a key": (
        shards({NORM: "a.safetensors", "ghost": "a.safetensors"}, shard="a.safetensors"),
        "places in None",
    ),
    "adapter": (content(b"{}", "adapter_config.json"), "adapter"),
    "no config": (lambda f: (f / "config.json").unlink(), "config.json cannot be read"),
    "config cut": (cut("config.json", 0.6), "not valid JSON"),
    "config not an object": (content(b"[1]", "config.json"), "holds a list"),
    "config deep": (content(b"[" * 200_000, "config.json"), "not valid JSON"),
    "config huge": (content(b" " * (1 << 21), "config.json"), "far too large"),
    "config digits": (content(b'{"rope_theta": 1' + b"0" * 400 + b"}", "config.json"), "401 digits"),
    "config not text": (content(b"\xff\xfe\x00", "config.json"), "not valid JSON"),
    "another architecture": (config(architectures=["MistralForCausalLM"], model_type="mistral"), "Mistral"),
    "a classifier": (config(architectures=["LlamaForSequenceClassification"]), "LlamaForSequence"),
    "no model type": (config(model_type=...), "model_type None"),
    "quantised": (config(quantization_config={"bits": 4}), "quantization_config"),
    "other activation": (config(hidden_act="gelu"), "hidden_act"),
    "scaled rope": (config(rope_parameters={"rope_theta": 1e4, "rope_type": "llama3"}), "rotary scaling"),
    "scaled rope, old": (config(rope_scaling={"type": "linear", "factor": 2.0}), "rotary scaling"),
    "partial rope": (
        config(rope_parameters={"rope_theta": 1e4, "partial_rotary_factor": 0.5}),
        "rotary scaling",
    ),
    "no theta": (config(rope_parameters=...), "no rope_theta"),
    "two thetas": (config(rope_theta=10000.0), "different rotary bases"),
    "theta of nothing": (config(rope_parameters={"rope_theta": None}), "rope_theta must be"),
    "rope as text": (config(rope_parameters="default"), "must be an object"),
    "a number as text": (config(hidden_size="32"), "hidden_size must be a whole number"),
    "a flag as number": (config(num_hidden_layers=True), "num_hidden_layers must be a whole number"),
    "fractional layers": (config(num_hidden_layers=2.0), "num_hidden_layers must be a whole number"),
    "negative": (config(intermediate_size=-48), "intermediate_size must be a whole number"),
    "a million layers": (config(num_hidden_layers=1 << 20), "num_hidden_layers must be a whole number"),
    "absurd size": (config(num_hidden_layers=10**9), "num_hidden_layers must be a whole number"),
    "zero epsilon": (config(rms_norm_eps=0), "rms_norm_eps must be"),
    "NaN epsilon": (
        content(json.dumps(CONFIG | {"rms_norm_eps": float("nan")}).encode(), "config.json"),
        "not finite",
    ),
    "text as flag": (config(tie_word_embeddings="yes"), "tie_word_embeddings must be"),
    "odd heads": (config(head_dim=7), "odd"),
    "a table of 137 GB": (config(head_dim=1 << 16, max_position_embeddings=1 << 20), "is more than"),
    "heads do not share": (config(num_key_value_heads=3), "cannot share 3"),
    "heads do not divide": (config(head_dim=..., num_attention_heads=5), "not a multiple of 5"),
    "missing number": (config(max_position_embeddings=...), "max_position_embeddings must be"),
}


@pytest.mark.usefixtures("_nothing_runs")
@pytest.mark.parametrize("spoil", WRONG)
def test_wrong_checkpoint_is_refused(write_model: WriteModel, spoil: str) -> None:
    """Fails when one of these loads: the model would run with wrong or random weights and speak noise."""
    folder = write_model()
    change, words = WRONG[spoil]
    change(folder)
    with pytest.raises(CheckpointError) as caught:
        load_language_model(folder)
    assert re.search(words, caught.value.message), caught.value.message
    assert "\n" not in caught.value.message
    assert not (folder / "ran").exists(), "a pickle was opened"


def test_the_layout_decides_the_vocabulary(write_model: WriteModel) -> None:
    """Fails when a model of another codec runs: its ids would mean something else."""
    with pytest.raises(CheckpointError, match=r"has 41 tokens, .* needs 9221"):
        load_language_model(write_model(), vocab_size=9221)


def test_a_missing_folder_is_an_error_of_the_checkpoint(tmp_path: Path) -> None:
    """Fails when a wrong path ends in a traceback."""
    with pytest.raises(CheckpointError, match="not a folder"):
        load_language_model(tmp_path / "absent")


def answer(folder: Path) -> list[int]:
    """What a model makes of a fixed prompt."""
    (ids,) = load_language_model(folder).generate([np.arange(1, 9)], [12], [(5, 41)])
    return ids.tolist()


@pytest.mark.usefixtures("_nothing_runs")
def test_code_in_a_config_is_not_looked_at(write_model: WriteModel) -> None:
    """Fails when keys that make transformers import or fetch code gain a meaning here."""
    folder = write_model(
        auto_map={"AutoModelForCausalLM": "evil.Model"},
        attn_implementation="org/kernel",
        _attn_implementation_internal="org/kernel",
        trust_remote_code=True,
    )
    (folder / "evil.py").write_text("raise SystemExit('ran')")
    assert answer(folder) == answer(write_model("plain"))


def test_constants_of_old_checkpoints_are_accepted(write_model: WriteModel) -> None:
    """Fails when the rotary buffers that early transformers stored are taken for unknown weights."""
    folder = write_model()
    before = answer(folder)
    tensors(lambda t: t.update({"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}))(folder)
    assert answer(folder) == before


def test_linked_files_are_read(write_model: WriteModel, tmp_path: Path) -> None:
    """Fails when the check against leaving the folder also refuses the Hub's cache, which is all links."""
    folder = write_model()
    snapshot = tmp_path / "snapshot"
    snapshot.mkdir()
    for name in ("config.json", WEIGHTS):
        (snapshot / name).symlink_to(folder / name)
    assert answer(snapshot) == answer(folder)


def test_published_configs_are_understood() -> None:
    """Fails when a config of transformers 4.57 (nulls, rope_theta beside) is refused or misread."""
    path = Path(__file__).parents[1] / "golden" / "llama" / "config.json"
    shape = parse_shape(json.loads(path.read_text()))
    assert (shape.vocab_size, shape.rope_theta, shape.tied, shape.max_positions) == (9221, 1e5, True, 8192)
