"""What can be wrong with a model folder, each told in one line before any work."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny_set import CONFIG, tiny_network

from dacse_cli.errors import CheckpointError
from dacse_cli.set.checkpoint import load_network, read_shape, save_network
from dacse_cli.set.network import SetNetwork
from dacse_cli.set.shape import MODEL_TYPE, parse_shape

GOLDEN = Path(__file__).parents[1] / "golden" / "set"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save_network(tiny_network(), tmp_path)
    return tmp_path


def changed(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    config = json.loads((folder / "config.json").read_text())
    change(config)
    (folder / "config.json").write_text(json.dumps(config))


def refused(folder: Path, message: str) -> None:
    with pytest.raises(CheckpointError, match=message) as error:
        load_network(folder)
    assert "\n" not in str(error.value) and len(str(error.value)) < 400


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(codebooks=4), "has encoder.embedding.table.weight"),
        (lambda c: c.update(codebook_size=12), "has encoder.embedding.table.weight"),
        (lambda c: c["encoder"].update(layers=3), "lacks encoder.conformer.layers.2"),
        (lambda c: c["encoder"].update(layers=1), "has unexpected encoder.conformer.layers.1"),
        (lambda c: c.update(surprise=1), "unknown surprise"),
        (lambda c: c["encoder"].update(surprise=1), "unknown encoder.surprise"),
        (lambda c: c.pop("encoder"), "lacks encoder"),
        (lambda c: c["predictor"].pop("width"), "lacks predictor.width"),
        (lambda c: c["predictor"].pop("heads"), "predictor: a conformer needs heads"),
        (lambda c: c["predictor"].update(kind="lstm"), "predictor: an LSTM has no heads"),
        (lambda c: c["predictor"].update(kind="rnn"), "predictor.kind is 'rnn', not conformer or lstm"),
        (lambda c: c.pop("joint_width"), "a predictor needs joint_width"),
        (lambda c: c.pop("codebooks"), "codebooks, codebook_size and embedding_width are needed"),
        (lambda c: c.update(latents=4), "latents excludes"),
        (lambda c: c["encoder"].update(width=15), "width 15 is not a multiple of 2 heads"),
        (lambda c: c["encoder"].update(kernel=4), "kernel 4 is even"),
        (lambda c: c["encoder"].update(layers=10**9), "encoder.layers must be a whole number from 1 to 64"),
        (lambda c: c["encoder"].update(layers=True), "encoder.layers must be a whole number"),
        (lambda c: c["encoder"].update(layers=2.0), "encoder.layers must be a whole number"),
        (lambda c: c["encoder"].update(causal=1), "encoder.causal must be true or false"),
        (lambda c: c.update(encoder=[1]), "encoder must be an object"),
        (lambda c: c.update(dropout=float("nan")), "holds a number that is not finite"),
        (lambda c: c.update(dropout=2.0), "dropout must be a number"),
        (lambda c: c.update(search={"beam": 0}), "search.beam must be a whole number from 1 to 64, not 0"),
        (lambda c: c.update(search={"beam": 10_000}), "search.beam must be a whole number from 1 to 64"),
        (lambda c: c.update(context_before=300), "the context leaves nothing"),
        (lambda c: c.update(model_type="llama"), "model_type is 'llama', not 'dacse-set'"),
    ],
)
def test_impossible_configs_are_refused(
    folder: Path, change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    changed(folder, change)
    refused(folder, message)


def test_impossible_weights_are_refused(folder: Path) -> None:
    path = folder / "model.safetensors"
    weights = load_file(path)
    save_file(weights | {"head.bias": weights["head.bias"] * torch.nan}, path)
    refused(folder, "head.bias holds NaN")
    save_file(weights | {"head.bias": weights["head.bias"].long()}, path)
    refused(folder, "head.bias is I64")
    save_file({name: tensor for name, tensor in weights.items() if name != "head.bias"}, path)
    refused(folder, "lacks head.bias")
    path.write_bytes(path.read_bytes()[:-40])
    refused(folder, "damaged or cut short")
    path.unlink()
    refused(folder, "has no model.safetensors")
    torch.save({}, folder / "model.pt")
    refused(folder, "only model.pt")


def test_weights_are_read_only_after_names_and_shapes_fit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dacse_cli.weights import loading

    monkeypatch.setattr(loading, "read_tensors", lambda *args: pytest.fail("a weight was read"))
    changed(folder, lambda c: c.update(codebooks=4))
    refused(folder, "has encoder.embedding.table.weight")


@settings(max_examples=60, deadline=None)
@given(
    config=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=2)
            | st.dictionaries(st.sampled_from(["layers", "width", "kind", "x"]), inner, max_size=3)
        ),
    ),
    key=st.sampled_from(sorted(CONFIG)),
)
def test_any_value_in_a_config_is_accepted_or_refused(config: Any, key: str) -> None:
    """No value ends in another error."""
    with contextlib.suppress(CheckpointError):
        parse_shape(CONFIG | {key: config})


def test_a_shape_is_its_config(folder: Path) -> None:
    shape = read_shape(folder)
    assert shape == parse_shape(CONFIG) and shape.as_config()["model_type"] == MODEL_TYPE
    assert parse_shape(shape.as_config()) == shape


def test_the_published_baseline_has_these_weights() -> None:
    """19,378,432 parameters at K = 2, as DASB builds it."""
    counts = json.loads((GOLDEN / "nar_full_shapes.json").read_text())["counts"]
    encoder = {"layers": 6, "width": 256, "heads": 4, "feed_forward": 2048, "kernel": 31}
    config = {"codebooks": 2, "codebook_size": 1024, "embedding_width": 1024, "pooling": "attention"}
    with torch.device("meta"):
        network = SetNetwork(parse_shape({"model_type": MODEL_TYPE, "encoder": encoder, **config}))
    assert sum(p.numel() for p in network.parameters()) == counts["total"] == 19_378_432
