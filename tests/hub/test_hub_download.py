"""What arrives in the cache, what is fetched again, and what is used without asking."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path

import pytest
from fake_hub import COMMIT, REPO, FakeHub, Refusal, serve

from dacse_cli.errors import HubError
from dacse_cli.hub import Resolved, download, resolve, verify

FETCHED = ["config.json", "generation_config.json", "model.safetensors"]


def blobs(cache: Path) -> Path:
    return cache / "models--some-org--some-model" / "blobs"


def leftovers(cache: Path) -> list[str]:
    return [p.name for p in blobs(cache).iterdir() if not set(p.name) <= set("0123456789abcdef")]


def weight_blob(resolved: Resolved) -> Path:
    return (resolved.folder / "model.safetensors").resolve()


def flip(path: Path, *, keep_time: bool = False) -> None:
    """Change one byte in place, as a failing disk does."""
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    moved = 0 if keep_time else 1_000_000_000
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + moved))


def forbid_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_only_the_listed_files_come(hub: FakeHub, cache: Path, weights: bytes) -> None:
    """Fetching the whole repository would bring pickles and Python code onto the disk."""
    resolved = resolve(REPO, kind="model")
    assert sorted(hub.file_requests()) == FETCHED
    assert sorted(p.name for p in resolved.folder.iterdir()) == FETCHED
    assert resolved.folder == cache / "models--some-org--some-model" / "snapshots" / COMMIT
    assert (resolved.folder / "model.safetensors").read_bytes() == weights
    assert (resolved.name, resolved.revision, resolved.built_in) == (REPO, COMMIT, False)
    assert leftovers(cache) == []


def test_other_programs_find_it_in_the_cache(hub: FakeHub, cache: Path) -> None:
    """A layout of our own would make transformers download the same model again."""
    from huggingface_hub import scan_cache_dir, try_to_load_from_cache

    resolved = resolve(REPO, kind="model")
    found = try_to_load_from_cache(REPO, "model.safetensors", cache_dir=cache)
    assert found == str(resolved.folder / "model.safetensors")
    report = scan_cache_dir(cache)
    assert [repo.repo_id for repo in report.repos] == [REPO]
    assert not report.warnings


def test_progress_reaches_every_file_and_its_end(hub: FakeHub, cache: Path, weights: bytes) -> None:
    """A bar that stops at 98 % or is never told the total."""
    seen: list[tuple[str, int, int]] = []
    resolve(REPO, kind="model", progress=lambda *event: seen.append(event))
    events = [(done, total) for name, done, total in seen if name == "model.safetensors"]
    assert events[-1] == (len(weights), len(weights))
    assert [done for done, _ in events] == sorted(done for done, _ in events)
    assert {name for name, _, _ in seen} == set(FETCHED)


@pytest.mark.parametrize("how", ["option", "environment", "neither"])
def test_cached_means_no_network(
    hub: FakeHub, cache: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is here must load on a train: no socket, under a second, offline mode or not."""
    first = resolve(REPO, kind="model")
    if how == "environment":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    forbid_sockets(monkeypatch)
    start = time.perf_counter()
    again = resolve(REPO, kind="model", offline=how == "option")
    assert time.perf_counter() - start < 0.3
    assert again == first


def test_offline_and_not_cached_says_what_to_do(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library's own text sends people to look for a bug in their connection."""
    forbid_sockets(monkeypatch)
    with pytest.raises(HubError, match=r"is not in .*, and offline mode is on") as caught:
        resolve("some-org/some-model@v2", kind="model", offline=True)
    assert "dacse download some-org/some-model@v2" in (caught.value.hint or "")


def test_a_moved_branch_is_followed_by_download_only(hub: FakeHub, cache: Path) -> None:
    """`enhance` must not change the model between two runs; `download` must fetch the new one."""
    old = resolve(REPO, kind="model")
    hub.commit = "b2" * 20
    hub.files["config.json"] = json.dumps({"model_type": "llama", "new": 1}).encode()
    hub.requests.clear()
    assert resolve(REPO, kind="model") == old
    assert hub.requests == []
    new = resolve(REPO, kind="model", refresh=True)
    assert new.revision == "b2" * 20
    assert new.sha256 != old.sha256
    # the weights are the same content: linked, not fetched a second time
    assert hub.file_requests() == ["config.json"]
    assert resolve(REPO, kind="model", offline=True) == new


def test_a_commit_is_never_asked_for_twice(hub: FakeHub, cache: Path) -> None:
    """A pinned model cannot move: asking the Hub again would make a pin need the network."""
    pinned = resolve(f"{REPO}@{COMMIT}", kind="model")
    hub.requests.clear()
    assert resolve(f"{REPO}@{COMMIT}", kind="model", refresh=True) == pinned
    assert hub.requests == []


def test_unreachable_but_cached_uses_the_copy_and_says_so(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`dacse download` on a train must not fail over a model that is here."""
    first = resolve(REPO, kind="model")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    again = resolve(REPO, kind="model", refresh=True)
    assert (again.folder, again.sha256) == (first.folder, first.sha256)
    assert again.note
    assert "cannot reach http://127.0.0.1:9" in again.note


@pytest.mark.parametrize("damage", ["flipped", "truncated", "gone"])
def test_a_damaged_cached_file_is_fetched_again(
    hub: FakeHub, cache: Path, damage: str, weights: bytes
) -> None:
    """huggingface_hub hands out a cut or flipped blob for ever."""
    blob = weight_blob(resolve(REPO, kind="model"))
    if damage == "flipped":
        flip(blob)
    elif damage == "truncated":
        os.truncate(blob, 1000)
    else:
        blob.unlink()
    with pytest.raises(HubError, match=r"damaged|incomplete") as caught:
        resolve(REPO, kind="model", offline=True)
    assert "dacse download" in (caught.value.hint or "")
    hub.requests.clear()
    again = resolve(REPO, kind="model")
    assert hub.file_requests() == ["model.safetensors"]
    assert (again.folder / "model.safetensors").read_bytes() == weights
    assert leftovers(cache) == []


def test_verify_reads_every_byte(hub: FakeHub, cache: Path) -> None:
    """A flip that leaves size and time alone passes the stamp: only a full read finds it, for good."""
    resolved = resolve(REPO, kind="model")
    assert verify(resolved) == []
    flip(weight_blob(resolved), keep_time=True)
    assert resolve(REPO, kind="model", offline=True) == resolved  # the stamp cannot know
    (problem,) = verify(resolved)
    assert "model.safetensors has the checksum" in problem
    with pytest.raises(HubError, match="damaged"):
        resolve(REPO, kind="model", offline=True)
    assert verify(resolve(REPO, kind="model")) == []


def test_without_links_the_stamp_holds_the_checksum(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a disk without symbolic links there is no blob name to compare with."""

    def refuse(self: Path, target: str) -> None:
        raise OSError(1, "no links here")

    monkeypatch.setattr(Path, "symlink_to", refuse)
    resolved = resolve(REPO, kind="model")
    weights = resolved.folder / "model.safetensors"
    assert not weights.is_symlink()
    hub.requests.clear()
    assert resolve(REPO, kind="model") == resolved
    assert hub.requests == []
    flip(weights)
    assert verify(resolved)
    with pytest.raises(HubError, match="damaged"):
        resolve(REPO, kind="model", offline=True)
    assert verify(resolve(REPO, kind="model")) == []
    assert hub.file_requests() == ["model.safetensors"]


def test_a_cache_filled_by_another_program_is_used(hub: FakeHub, cache: Path) -> None:
    """Weights already fetched with `hf download` must not travel again, and serve offline too."""
    resolve(REPO, kind="model")
    for stamp in (cache.parent.parent / "dacse" / "stamps").iterdir():
        stamp.unlink()
    assert resolve(REPO, kind="model", offline=True).revision == COMMIT
    hub.requests.clear()
    resolve(REPO, kind="model")
    assert hub.file_requests() == []


def test_shards_and_index(hub: FakeHub, cache: Path, weights: bytes) -> None:
    """A sharded model of which only the first file comes."""
    first, second = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
    del hub.files["model.safetensors"]
    hub.files |= {first: weights, second: weights[::-1]}
    index = {"weight_map": {"a": first, "b": second}}
    hub.files["model.safetensors.index.json"] = json.dumps(index).encode()
    resolved = resolve(REPO, kind="model")
    assert {first, second, "model.safetensors.index.json"} <= {p.name for p in resolved.folder.iterdir()}


def test_only_a_pickle_is_refused(hub: FakeHub, cache: Path) -> None:
    """A repository with `pytorch_model.bin` alone must end in words, with nothing fetched."""
    del hub.files["model.safetensors"]
    with pytest.raises(HubError, match=r"no model.safetensors, only pytorch_model.bin"):
        resolve(REPO, kind="model")
    assert hub.file_requests() == []


def test_download_takes_the_codec_the_card_names(hub: FakeHub, cache: Path, weights: bytes) -> None:
    """A codec folder inside the repository, which a list of root files alone would leave behind."""
    hub.files["dacse.json"] = json.dumps({"codec": "codec", "chunk_seconds": 1.3}).encode()
    hub.files |= {"codec/config.json": b'{"model_type": "dac"}', "codec/model.safetensors": weights}
    both = download(REPO)
    assert both.codec is not None
    assert both.codec.folder == both.model.folder / "codec"
    assert (both.codec.name, both.codec.revision) == (f"{REPO}/codec", COMMIT)
    assert download(REPO, offline=True) == both
    flip((both.codec.folder / "model.safetensors").resolve())
    with pytest.raises(HubError, match="damaged"):
        download(REPO, offline=True)
    assert verify(download(REPO).codec or both.codec) == []


def test_download_of_a_codec_alone(hub: FakeHub, cache: Path) -> None:
    """`dacse download descript/dac_44khz` is no language model and has no codec of its own."""
    hub.files["config.json"] = b'{"model_type": "dac"}'
    both = download(REPO)
    assert both.codec is None
    assert both.model.kind == "codec"


def test_the_token_stays_with_the_hub(hub: FakeHub, cache: Path, model_tree: dict[str, bytes]) -> None:
    """Files are served by another host after a redirect: sending the token there would give it away."""
    with serve(FakeHub(model_tree)) as elsewhere:
        hub.redirect_to = elsewhere.endpoint
        resolve(REPO, kind="model")
        assert all(token for _, _, token in hub.requests)
        assert len(elsewhere.requests) == 3
        assert not any(token for _, _, token in elsewhere.requests)


def test_a_failing_start_is_retried(hub: FakeHub, cache: Path) -> None:
    """One 503 of a busy Hub must not end a run."""
    hub.refuse_listing, hub.refusals_left = Refusal(503), 2
    assert resolve(REPO, kind="model").revision == COMMIT
