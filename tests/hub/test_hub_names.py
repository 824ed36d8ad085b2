"""Names, cards and local folders: what is taken, and what is refused in which words."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from fake_hub import FakeHub
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.errors import CheckpointError, CodecError, HubError, ModelError
from dacse_cli.hub import BUILT_IN, ModelCard, Resolved, read_card, resolve, resolve_codec, verify
from dacse_cli.hub.cache.layout import cache_root
from dacse_cli.hub.listing import list_models
from dacse_cli.hub.names import HubName, is_inside, parse_hub_name


@pytest.fixture
def model(tmp_path: Path, cache: Path, weights: bytes) -> Path:
    """A local model folder."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(weights)
    return folder


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("disco-eth/DAC-SE1", HubName("disco-eth/DAC-SE1")),
        ("a/b.c_d@v1.0", HubName("a/b.c_d", "v1.0")),
        ("a/b@refs/pr/1", HubName("a/b", "refs/pr/1")),
        ("a/b@" + "0f" * 20, HubName("a/b", "0f" * 20)),
        ("gpt2", None),
        ("a/b/c", None),
        ("../b", None),
        ("a/..", None),
        ("a/b--c", None),
        ("a/b@", None),
        ("a/b@../../x", None),
        ("a/b@x/../../y", None),
        ("-a/b", None),
        ("a/b c", None),
        ("a/b@x\n", None),
        ("https://huggingface.co/a/b", None),
    ],
)
def test_hub_names(text: str, expected: HubName | None) -> None:
    """A revision with `..` would become a ref file outside the cache."""
    assert parse_hub_name(text) == expected


@given(st.text(alphabet="ab./\\@-_\0", max_size=12))
def test_no_name_leads_out_of_the_cache(text: str) -> None:
    """Whatever is accepted stays below the folder it is joined to."""
    name = parse_hub_name(text)
    for part in (name.repo, name.revision) if name else ():
        assert is_inside(part)
        assert Path(os.path.normpath(Path("/root") / part)).parts[:2] == ("/", "root")


def test_a_local_folder_is_itself(model: Path) -> None:
    """The content decides the hash, not the place: a copied model must not redo finished work."""
    resolved = resolve(str(model), kind="model")
    assert (resolved.folder, resolved.revision, resolved.built_in) == (model, None, False)
    copy = model.parent / "copy"
    copy.mkdir()
    for path in model.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    assert resolve(str(copy), kind="model").sha256 == resolved.sha256


def test_a_changed_local_model_has_another_hash(model: Path) -> None:
    """Outputs of two trainings in one folder would be taken for one model's."""
    before = resolve(str(model), kind="model")
    (model / "model.safetensors").write_bytes(b"other weights")
    after = resolve(str(model), kind="model")
    assert after.sha256 != before.sha256
    assert verify(after) == []
    (model / "config.json").write_text('{"rope_theta": 5}')
    assert resolve(str(model), kind="model").sha256 != after.sha256


def test_verify_finds_silent_damage_in_a_local_model(model: Path) -> None:
    """Bytes that change while size and time do not are a failing disk, not an edit."""
    resolved = resolve(str(model), kind="model")
    path = model / "model.safetensors"
    times = path.stat()
    path.write_bytes(bytes(times.st_size))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    (problem,) = verify(resolved)
    assert str(path) in problem


def test_a_broken_stamp_is_no_stamp(model: Path, tmp_path: Path) -> None:
    """A cut JSON in the cache folder must cost a read, not a traceback."""
    before = resolve(str(model), kind="model")
    for stamp in (tmp_path / "dacse" / "stamps").iterdir():
        for content in (b'{"files": ', b"[]", b'{"files": {"config.json": 3}, "folder": 1, "complete": 1}'):
            stamp.write_bytes(content)
            assert resolve(str(model), kind="model") == before


@pytest.mark.parametrize(("kind", "error"), [("model", CheckpointError), ("codec", CodecError)])
@pytest.mark.parametrize("missing", ["config.json", "model.safetensors"])
def test_an_incomplete_folder(model: Path, kind: str, error: type[ModelError], missing: str) -> None:
    """The message names the file and whether it is the model or the codec."""
    (model / missing).unlink()
    with pytest.raises(error, match=missing):
        resolve(str(model), kind=kind)


@pytest.mark.usefixtures("_nothing_runs")
def test_a_pickle_alone_is_named(model: Path) -> None:
    """A folder of an old training run: say that only safetensors is loaded."""
    (model / "model.safetensors").rename(model / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match=r"only pytorch_model\.bin") as caught:
        resolve(str(model), kind="model")
    assert "never a pickle" in (caught.value.hint or "")


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/passwd", "x/y.safetensors", "a.bin", 3, ""])
def test_an_index_that_points_elsewhere(model: Path, shard: object) -> None:
    """transformers opens a shard outside the folder if the index says so."""
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}))
    with pytest.raises(CheckpointError, match="not a safetensors file beside it"):
        resolve(str(model), kind="model")


@pytest.mark.parametrize("content", ["{", "[]", '{"weight_map": 3}', '{"weight_map": {}}', "[" * 100_000])
def test_a_broken_index(model: Path, content: str) -> None:
    """Every broken index is one error class."""
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text(content)
    with pytest.raises(CheckpointError, match="index"):
        resolve(str(model), kind="model")


def test_weights_that_are_a_pipe_do_not_hang(model: Path) -> None:
    """Opening a FIFO blocks for ever."""
    (model / "model.safetensors").unlink()
    os.mkfifo(model / "model.safetensors")
    with pytest.raises(CheckpointError, match="not a regular file"):
        resolve(str(model), kind="model")


@pytest.mark.parametrize("name", ["", "gpt2", "./nowhere", "/no/such/folder", "a/b@../c", "nano/"])
def test_a_name_that_is_nothing(
    name: str, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A misspelt folder must not become a request to the Hub; the empty name is not the current folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(HubError, match="neither a folder here nor a Hub id"):
        resolve(name, kind="model")


def test_a_file_is_not_a_model(model: Path) -> None:
    """People name the weights file itself."""
    with pytest.raises(HubError, match="is a file"):
        resolve(str(model / "model.safetensors"), kind="model")


def test_the_built_in_model_brings_its_codec(
    model: Path, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`nano` works with nothing but the package: its codec is a folder in its own."""
    codec = model / "codec"
    codec.mkdir()
    (codec / "config.json").write_text("{}")
    (codec / "model.safetensors").write_bytes(weights)
    (model / "dacse.json").write_text('{"codec": "codec"}')
    monkeypatch.setitem(BUILT_IN, "nano", model)  # type: ignore[index]
    nano = resolve("nano", kind="model", offline=True)
    assert (nano.folder, nano.built_in) == (model, True)
    assert resolve_codec(nano).folder == codec
    assert resolve("nano", kind="codec") == resolve_codec(nano)


def test_a_given_codec_beats_the_card(model: Path) -> None:
    """`--codec` is the user's word."""
    (model / "dacse.json").write_text('{"codec": "some/other"}')
    resolved = resolve(str(model), kind="model")
    assert resolve_codec(resolved, str(model)).folder == model


def test_the_card_of_a_local_folder_makes_no_request(model: Path, hub: FakeHub) -> None:
    """A stranger's folder sent the user's access token to the Hub, for a repository of its own choice."""
    (model / "dacse.json").write_text('{"codec": "some/other"}')
    resolved = resolve(str(model), kind="model")
    with pytest.raises(HubError, match="names the codec some/other") as caught:
        resolve_codec(resolved)
    assert "dacse download some/other" in (caught.value.hint or "")
    assert hub.requests == []


@pytest.mark.parametrize("codec", ["../codec", "/etc", "nowhere", "a/b/c", "./codec"])
def test_a_card_cannot_name_a_codec_outside(model: Path, codec: str) -> None:
    """A card from the Hub must not pick files from the user's disk."""
    (model.parent / "codec").mkdir()
    (model / "dacse.json").write_text(json.dumps({"codec": codec}))
    with pytest.raises(CheckpointError, match="no folder beside it and no Hub id"):
        resolve_codec(resolve(str(model), kind="model"), offline=True)


def test_cards(tmp_path: Path) -> None:
    """No card is an empty card; every field is read."""
    assert read_card(tmp_path) == ModelCard()
    card = {"codec": "a/b", "chunk_seconds": 1.5, "training": "speech and noise", "licence": "CC0-1.0"}
    card["fixed_chunk"] = True
    (tmp_path / "dacse.json").write_text(json.dumps(card))
    assert read_card(tmp_path) == ModelCard(**card)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "null",
        '{"codek": "a/b"}',
        '{"codec": 3}',
        '{"codec": ""}',
        '{"chunk_seconds": 0}',
        '{"chunk_seconds": -1}',
        '{"chunk_seconds": NaN}',
        '{"chunk_seconds": true}',
        '{"chunk_seconds": "4"}',
        '{"chunk_seconds": 4, "fixed_chunk": 1}',
        '{"fixed_chunk": true}',
        "[" * 100_000,
        " " * (1 << 20) + "{}",
    ],
)
def test_bad_cards(tmp_path: Path, content: str) -> None:
    """A misspelt key that is ignored gives another chunk length than its author tested."""
    (tmp_path / "dacse.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"dacse\.json"):
        read_card(tmp_path)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"HF_HUB_CACHE": "/x/cache", "HF_HOME": "/y"}, "/x/cache"),
        ({"HF_HOME": "/y"}, "/y/hub"),
        ({"XDG_CACHE_HOME": "/z"}, "/z/huggingface/hub"),
        ({"HOME": "/h"}, "/h/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_others_have_it(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second copy of 4 GB in a cache of our own, or a cache fixed when the library was imported."""
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert cache_root() == Path(expected)


def test_importing_the_room_loads_nothing_heavy() -> None:
    """`dacse --help` and the supervisor import this."""
    code = (
        "import sys, dacse_cli.hub; print({'torch', 'huggingface_hub', 'httpx2', 'numpy'} & set(sys.modules))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).strip() == "set()"


@pytest.mark.parametrize(
    "name", ["dacse.json", "config.json", "model.safetensors", "model.safetensors.index.json"]
)
def test_a_fifo_in_a_model_folder_is_no_wait(model: Path, name: str) -> None:
    """`dacse.json` as a FIFO made every command hang for ever."""
    (model / name).unlink(missing_ok=True)
    if "index" in name:
        (model / "model.safetensors").unlink()
    os.mkfifo(model / name)
    start = time.monotonic()
    with pytest.raises(ModelError):
        resolve_codec(resolve(str(model), kind="model"), offline=True)
    assert verify(Resolved(model, "m", None, "")) or name == "dacse.json"
    assert time.monotonic() - start < 5


@pytest.mark.parametrize(
    "card",
    [
        '{"chunk_seconds": ' + "9" * 400 + "}",
        '{"chunk_seconds": 1e999}',
        '{"training": "' + "x" * 200_000 + '"}',
        '{"' + "\\u001b" * 50 + '": 1}',
        "[" * 10_000 + "]" * 10_000,
    ],
)
def test_hostile_cards_end_in_one_short_line(model: Path, card: str) -> None:
    """A number of 400 digits ended as a bug; a key may hold commands to a terminal."""
    (model / "dacse.json").write_text(card)
    with pytest.raises(CheckpointError) as caught:
        read_card(model)
    assert len(caught.value.message) < 400 + len(str(model))
    assert "\x1b" not in caught.value.message


def test_without_a_home_nothing_lies_in_the_current_folder(
    tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A user without an entry in passwd and without HOME got a folder named ~ where the command ran."""
    for name in ("HOME", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "DACSE_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert resolve(str(model), kind="model").sha256
    assert next(entry.state for entry in list_models()) == "built-in"
    with pytest.raises(HubError, match="no home folder"):
        resolve("org/name", kind="model")
    assert list((tmp_path / "here").iterdir()) == []
