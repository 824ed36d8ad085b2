"""Every way a download can fail ends in one HubError: words, a next step, no token, in bounded time."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

import pytest
from fake_hub import REPO, TOKEN, FakeHub, Refusal

from dacse_cli.errors import HubError
from dacse_cli.hub import resolve
from dacse_cli.hub.cache import layout
from dacse_cli.hub.fetch import client, transfer


def failure(name: str = REPO, *, timeout: float = 5.0, within: float = 5.0) -> HubError:
    """The error of a download, after checking what holds for all of them."""
    start = time.monotonic()
    with pytest.raises(HubError) as caught:
        resolve(name, kind="model", timeout=timeout)
    assert time.monotonic() - start < within
    error = caught.value
    assert error.message
    assert "\n" not in error.message
    assert error.hint
    shown = "".join(traceback.format_exception(error))
    assert TOKEN not in shown
    assert "Bearer" not in shown
    return error


def orphans(cache: Path) -> list[str]:
    folder = cache / "models--some-org--some-model" / "blobs"
    return [p.name for p in folder.iterdir() if "." in p.name] if folder.is_dir() else []


@pytest.mark.parametrize(
    ("refusal", "message", "hint"),
    [
        (Refusal(401), "private or does not exist", "hf auth login"),
        (Refusal(401, "GatedRepo"), "is gated", REPO),
        (Refusal(403, "GatedRepo"), "is gated", "Accept them on"),
        (Refusal(403), "no permission", "Ask for access"),
        (Refusal(404, "RepoNotFound"), "there is no model some-org/some-model", "spelling"),
        (Refusal(404, "RevisionNotFound"), "has no revision main", "Branches, tags"),
        (Refusal(418), "answers 418", REPO),
    ],
)
def test_listing_refused(hub: FakeHub, cache: Path, refusal: Refusal, message: str, hint: str) -> None:
    """Three causes under one text, or a retry loop over an answer that is final."""
    hub.refuse_listing = refusal
    error = failure()
    assert message in error.message
    assert hint in (error.hint or "")
    assert len(hub.requests) == 1
    assert error.exit_code == 5


def test_nothing_is_asked_besides(hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """huggingface_hub 2.4 asks for a list of coding agents before a process's first request."""
    import huggingface_hub.utils as utils

    detection = getattr(utils, "_detect_agent", None)
    monkeypatch.setattr(detection, "_registry", None, raising=False)
    hub.refuse_listing = Refusal(404, "RepoNotFound")
    failure()
    assert [path.partition("?")[0] for path, *_ in hub.requests] == [f"/api/models/{REPO}/revision/main"]


def test_an_expired_token_is_named(hub: FakeHub, cache: Path) -> None:
    """ "Repository not found" for a token that ran out sends people to check the spelling."""
    hub.refuse_listing = Refusal(
        401, headers={"X-Error-Message": "Invalid credentials in Authorization header"}
    )
    assert "access token" in failure().message


def test_a_file_gone_from_the_repository(hub: FakeHub, cache: Path) -> None:
    """The list promised it; a 404 for it is not a missing repository."""
    hub.refuse_file = Refusal(404, "EntryNotFound")
    assert "has no file config.json" in failure().message


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("route", ["listing", "file"])
def test_a_busy_hub_is_asked_a_few_times(hub: FakeHub, cache: Path, status: int, route: str) -> None:
    """23 s of retries, and then a text about the local cache."""
    setattr(hub, f"refuse_{route}", Refusal(status))
    error = failure()
    assert str(status) in error.message
    assert f"{REPO} is not in {cache}" in error.message
    assert len(hub.requests) - (route == "file") == client.MAX_TRIES


def test_a_long_retry_after_is_told_not_slept(hub: FakeHub, cache: Path) -> None:
    """A rate limit of an hour would look like a hang."""
    hub.refuse_listing = Refusal(429, headers={"Retry-After": "3600"})
    assert "asks to wait 3600 s" in failure().message


def test_nobody_listens(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The true cause, not "cannot find the file in the local cache"."""
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    error = failure()
    assert "cannot reach http://127.0.0.1:9" in error.message
    assert f"is not in {cache}" in error.message


@pytest.mark.parametrize("endpoint", ["example.org", "ftp://127.0.0.1", "http://"])
def test_an_endpoint_that_is_no_address(cache: Path, monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    """A misspelt HF_ENDPOINT ended in a traceback of the HTTP library."""
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    assert "HF_ENDPOINT is not a web address" in failure().message


def test_a_silent_server_is_left_in_time(hub: FakeHub, cache: Path) -> None:
    """A server that accepts and says nothing kept huggingface_hub waiting for over 100 s."""
    hub.silent = True
    assert "does not answer" in failure(timeout=0.6, within=2.0).message


def test_a_dripping_server_is_left_in_time(hub: FakeHub, cache: Path) -> None:
    """One byte now and then satisfies a read timeout for ever."""
    hub.drip = 0.02
    assert "too slowly" in failure(timeout=0.5, within=4.0).message


def test_a_flipped_byte_is_never_accepted(hub: FakeHub, cache: Path) -> None:
    """Same size, other content: huggingface_hub takes it."""
    hub.flipped = {"model.safetensors"}
    assert "arrived damaged twice" in failure().message
    assert orphans(cache) == []
    assert hub.file_requests().count("model.safetensors") == 2
    assert not list(cache.glob("models--*/snapshots/*/model.safetensors"))
    hub.flipped = set()
    resolve(REPO, kind="model")


def test_a_flipped_small_file_is_never_accepted(hub: FakeHub, cache: Path) -> None:
    """Small files have no sha256 on the Hub, but a git hash: a config must not go unchecked."""
    hub.flipped = {"config.json"}
    assert "config.json of some-org/some-model arrived damaged" in failure().message


@pytest.mark.parametrize(("where", "text"), [("listing", "list of files"), ("files", "a web page for")])
def test_a_login_page_instead_of_the_hub(hub: FakeHub, cache: Path, where: str, text: str) -> None:
    """The guest network of a hotel answers 200 to everything."""
    hub.html = where
    error = failure()
    assert text in error.message
    assert "login page" in (error.hint or "")


def test_a_web_page_of_the_right_length(hub: FakeHub, cache: Path) -> None:
    """A length check alone takes it for weights."""
    hub.html = "padded"
    assert "arrived as a web page" in failure().message


def test_cuts_lose_nothing(hub: FakeHub, cache: Path, weights: bytes) -> None:
    """Each retry started again at 0: with a cut every 70 kB no download ever ended."""
    hub.cut_after = 70_000
    resolved = resolve(REPO, kind="model")
    assert (resolved.folder / "model.safetensors").read_bytes() == weights
    assert hub.sent == sum(len(hub.files[path]) for path in ("config.json", "generation_config.json")) + len(
        weights
    )


def test_cut_at_random_points_over_many_runs(
    hub: FakeHub, cache: Path, weights: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes fetched again, orphans and corrupt content over 50 runs that each end at other bytes."""
    rng = random.Random(0)
    monkeypatch.setattr(client, "FIRST_PAUSE", 0.0)
    for _ in range(50):
        hub.cut_after = rng.randrange(1, 3_000)
        with pytest.raises(HubError, match="broke off"):
            resolve(REPO, kind="model", timeout=5.0)
    hub.cut_after = None
    resolved = resolve(REPO, kind="model")
    assert (resolved.folder / "model.safetensors").read_bytes() == weights
    assert hub.sent <= len(weights) + 100
    assert orphans(cache) == []


def test_a_server_that_ignores_range(hub: FakeHub, cache: Path, weights: bytes) -> None:
    """Appending a whole body to half a file; or asking for ever a server that cuts and starts over."""
    hub.cut_after, hub.ignore_range = 150_000, True
    failure()
    assert hub.file_requests().count("model.safetensors") <= client.MAX_TRIES + 1
    hub.cut_after = None
    resolved = resolve(REPO, kind="model")
    assert (resolved.folder / "model.safetensors").read_bytes() == weights


def test_a_foreign_part_is_not_trusted(hub: FakeHub, cache: Path, weights: bytes) -> None:
    """A part that another program or a power cut filled with zeros must not spoil the file for good."""
    hub.cut_after = 10_000
    failure()
    (part,) = cache.glob("models--*/blobs/*.dacse-part")
    part.write_bytes(bytes(200_000))
    hub.cut_after = None
    resolved = resolve(REPO, kind="model")
    assert (resolved.folder / "model.safetensors").read_bytes() == weights
    part.write_bytes(bytes(len(weights) + 5))
    (resolved.folder / "model.safetensors").resolve().unlink()
    resolve(REPO, kind="model")
    assert orphans(cache) == []


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_and_run_again(hub: FakeHub, cache: Path, weights: bytes, kills: int) -> None:
    """Each kill -9 left an orphan of up to 4 GB, and the next run started at 0."""
    hub.files["model.safetensors"] = weights * (10 * kills)
    code = f"from dacse_cli.hub import resolve; import time\nresolve({REPO!r}, kind='model', progress="
    code += (
        "lambda name, done, total: (print(done, flush=True), time.sleep(0.02)) if name[0] == 'm' else None)"
    )
    for _ in range(kills):
        with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as run:
            assert run.stdout is not None
            for _ in range(4):
                run.stdout.readline()
            os.kill(run.pid, signal.SIGKILL)
    (part,) = [p for p in cache.glob("models--*/blobs/*") if "." in p.name]
    kept = part.stat().st_size
    assert kept > 64_000
    hub.requests.clear()
    resolve(REPO, kind="model")
    assert [wanted for path, wanted, _ in hub.requests if path.endswith("model.safetensors")] == [
        f"bytes={kept}-"
    ]
    assert orphans(cache) == []


def test_orphans_of_other_programs_are_swept(hub: FakeHub, cache: Path) -> None:
    """`*.incomplete` files of killed downloads stay for ever; one being written now must stay."""
    folder = cache / "models--some-org--some-model" / "blobs"
    folder.mkdir(parents=True)
    old, fresh = folder / f"{'c' * 64}.12345678.incomplete", folder / f"{'d' * 64}.12345678.incomplete"
    for path in (old, fresh):
        path.write_bytes(b"x")
    os.utime(old, (0, 0))
    resolve(REPO, kind="model")
    assert orphans(cache) == [fresh.name]


def test_two_at_once_fetch_once(hub: FakeHub, cache: Path) -> None:
    """Two runs started together must not write into one part, nor fetch twice."""
    code = f"from dacse_cli.hub import resolve; print(resolve({REPO!r}, kind='model').sha256)"
    runs = [
        subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    outputs = {run.communicate(timeout=20)[0] for run in runs}
    assert [run.returncode for run in runs] == [0, 0]
    assert len(outputs) == 1
    assert hub.file_requests().count("model.safetensors") == 1


def test_a_stuck_neighbour_is_not_awaited_for_ever(hub: FakeHub, cache: Path) -> None:
    """A stopped process keeps its lock: the second one must say so."""
    from huggingface_hub.utils import WeakFileLock

    (entry,) = [e for e in hub.listing()["siblings"] if e["rfilename"] == "config.json"]
    lock = cache / ".locks" / "models--some-org--some-model" / f"{entry['blobId']}.lock"
    lock.parent.mkdir(parents=True)
    with WeakFileLock(lock):
        assert "another process holds" in failure(timeout=0.3, within=4.0).message


def test_no_room_is_seen_before_the_download(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk filled to the last byte by a download that could not end."""
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(10, 10, 300_000))
    error = failure()
    assert "needs 0 MB, 0 MB are free" in error.message
    assert error.exit_code == 6
    assert hub.file_requests() == []


@pytest.mark.parametrize(
    ("number", "text", "code"),
    [(errno.ENOSPC, "no space left", 6), (errno.EROFS, "is read-only", 5), (errno.EIO, "cannot be used", 5)],
)
def test_the_disk_fails_during_the_download(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch, number: int, text: str, code: int
) -> None:
    """An OSError with a traceback, and no word on which variable moves the cache."""

    def fsync(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(transfer.os, "fsync", fsync)
    error = failure()
    assert text in error.message
    assert str(cache) in error.message
    assert "HF_HOME" in (error.hint or "")
    assert error.exit_code == code


def test_a_read_only_cache_serves_what_it_has(
    hub: FakeHub, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A shared cache mounted read-only, with a home that cannot be written either."""
    first = resolve(REPO, kind="model")

    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setenv("DACSE_CACHE", str(cache / "elsewhere"))
    monkeypatch.setattr(Path, "mkdir", refuse)
    monkeypatch.setattr(layout.RepoCache, "link", refuse)
    assert resolve(REPO, kind="model", offline=True) == first
    assert resolve(REPO, kind="model").folder == first.folder


def test_a_crash_in_the_progress_bar_keeps_what_arrived(hub: FakeHub, cache: Path) -> None:
    """Ctrl-C arrives in the callback: the bytes that are here must serve the next run."""

    def stop(name: str, done: int, total: int) -> None:
        if name == "model.safetensors" and done > 100_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        resolve(REPO, kind="model", progress=stop)
    hub.requests.clear()
    resolve(REPO, kind="model")
    (wanted,) = [wanted for path, wanted, _ in hub.requests if path.endswith("model.safetensors")]
    assert wanted is not None and int(wanted.removeprefix("bytes=").rstrip("-")) > 100_000


@pytest.mark.parametrize("path", ["../evil.json", "/etc/evil", "a/../../config.json", "a\\..\\b", ""])
def test_a_list_with_paths_that_climb_out(hub: FakeHub, cache: Path, path: str) -> None:
    """A hostile Hub must not be able to place files beside the cache."""
    hub.files[path] = b"{}"
    failure()
    assert hub.file_requests() == []
