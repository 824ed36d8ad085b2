"""What is kept of a recording, for how long and in how much space; and that a removed one is gone."""

import asyncio
import shutil
import threading
from types import SimpleNamespace

import httpx
import numpy as np
import pytest
import soundfile
from serving import TOKEN, HalfAsLoud, samples_of, until, wav_bytes

from dacse_cli.api import rendering
from dacse_cli.config import SoundOptions
from dacse_cli.serve import downloads, uploads
from dacse_cli.serve.app import make_app
from dacse_cli.serve.downloads import MOST_RENDERINGS, make_file
from dacse_cli.serve.problems import ApiError
from dacse_cli.serve.recordings import KEPT_SECONDS, Recording, Shelf
from dacse_cli.serve.worker import Worker


class Joined(HalfAsLoud):
    """The same models over recordings that the library reads, not libsndfile."""

    def stream(self, audio, *, batch_size=None):
        from dacse_cli.audio.recording import open_recording

        with open_recording(audio) as reader:
            while (block := reader.read(16_000)).shape[1]:
                yield SimpleNamespace(samples=np.float32(0.5) * block, sample_rate=16_000, guard=None)


@pytest.fixture
def shelf(tmp_path):
    shelf = Shelf(tmp_path / "shelf")
    shelf.folder.mkdir()
    yield shelf
    shelf.close()


def added(shelf, data, name="original.wav", **options):
    folder = shelf.new_folder()
    (folder / name).write_bytes(data)
    recording = Recording(folder, folder / name, name, **options)
    shelf.add(recording)
    return recording


def enhanced(shelf, recording, models=HalfAsLoud):
    """Its work done by a worker."""
    worker = Worker(shelf, models)
    worker.start()
    until(lambda: not recording.unfinished)
    shelf.close()
    worker.join(20)
    return recording


@pytest.mark.parametrize("seconds", [1, 6])
def test_a_joined_recording_is_done(shelf, tmp_path, seconds):
    """Every one failed: only the first of its recordings was read for the preview."""
    data = wav_bytes(seconds)[0]
    recording = enhanced(shelf, added(shelf, 3 * data), Joined)
    assert recording.problem is None and recording.state == "done"
    assert recording.seconds == 3 * seconds
    preview = recording.preview["file"]["preview"]
    assert preview == {"start": 0.0, "seconds": min(10, 3 * seconds), "whole": seconds == 1}
    made = soundfile.read(make_file(recording, SoundOptions()))[0]
    np.testing.assert_allclose(made, 0.5 * np.tile(wav_bytes(seconds)[1][:, 0], 3), atol=1e-6)


@pytest.mark.parametrize("wants_preview", [True, False], ids=["page", "one request"])
@pytest.mark.parametrize("data", [wav_bytes(0.5)[0], b"no audio"], ids=["done", "failed"])
def test_a_result_is_kept_from_the_end_of_the_work(shelf, wants_preview, data):
    """One worked on for longer than six hours was removed the moment that it was done."""
    recording = added(shelf, data, wants_preview=wants_preview)
    recording.touched -= KEPT_SECONDS + 3600
    enhanced(shelf, recording)
    shelf.expire()
    assert not recording.removed and recording.folder.exists()
    shelf.expire(recording.touched + KEPT_SECONDS + 1)
    assert recording.removed and not recording.folder.exists()


def test_a_page_that_lists_recordings_keeps_them(shelf):
    """A page asks for the list only, and what it showed was removed under it after six hours."""
    recording = added(shelf, b"", state="done")
    alone = added(shelf, b"", state="done", wants_preview=False)
    for one in (recording, alone):
        one.touched -= KEPT_SECONDS + 1
    assert shelf.all() == [recording]
    shelf.expire()
    assert (recording.removed, alone.removed) == (False, True)


def asked(port, host, origin=None):
    """The status of a request to a server at `port`."""

    async def ask():
        shelf = SimpleNamespace(all=list)
        worker = SimpleNamespace(loaded=threading.Event())
        app = make_app(shelf, worker, "half", port=port, token=TOKEN)
        headers = {"Host": host, "Authorization": f"Bearer {TOKEN}", **({"Origin": origin} if origin else {})}
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url=f"http://{host}") as client:
            return (await client.get("/v1/models", headers=headers)).status_code

    return asyncio.run(ask())


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "[::1]"])
def test_at_port_80_the_host_has_no_port(name):
    """`dacse serve --port 80` answered 421 to every browser and to curl, which leave `:80` out."""
    assert asked(80, name) == asked(80, f"{name}:80") == 200
    assert asked(80, name, f"http://{name}") == 200
    assert asked(80, name, f"https://{name}") == asked(80, name, f"http://{name}:81") == 403
    assert asked(80, f"{name}:81") == asked(81, name) == asked(80, "evil.example") == 421


def test_a_removed_recording_is_gone(shelf):
    """A download made the folder of a removed recording again, or said that the disk was at fault."""
    recording = enhanced(shelf, added(shelf, wav_bytes(0.5)[0]))
    shelf.remove(recording.id)
    with pytest.raises(ApiError) as caught:
        make_file(recording, SoundOptions())
    assert (caught.value.status, caught.value.code) == (410, "removed")
    assert list(shelf.folder.iterdir()) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_recording_removed_during_a_rendering_is_gone(shelf, monkeypatch, when):
    """The folder was removed, and then made again by the part file of the download."""
    recording = enhanced(shelf, added(shelf, wav_bytes(0.5)[0]))
    render_file, open_sink = rendering.render_file, rendering.open_sink

    def removing(*args, **options):
        if when == "before":
            shelf.remove(recording.id)
        return open_sink(*args, **options)

    def removed(*args, **options):
        made = render_file(*args, **options)
        if when == "after":
            shelf.remove(recording.id)
        return made

    monkeypatch.setattr(rendering, "open_sink", removing)
    monkeypatch.setattr(rendering, "render_file", removed)
    with pytest.raises(ApiError, match="the recording was removed"):
        make_file(recording, SoundOptions())
    assert list(shelf.folder.iterdir()) == []


def test_a_recording_removed_while_its_first_piece_is_stored_leaves_nothing(shelf, monkeypatch):
    """A file that the worker made during the removal kept the folder."""
    recording, erase = added(shelf, wav_bytes(0.5)[0]), Recording.erase
    erased = threading.Event()

    def late(self):
        erase(self)
        if not erased.is_set():
            self.folder.mkdir()
            (self.folder / "enhanced").touch()
            erased.set()

    monkeypatch.setattr(Recording, "erase", late)
    models = HalfAsLoud()
    models.gate.clear()
    worker = Worker(shelf, lambda: models)
    worker.start()
    until(lambda: recording.state == "working")
    shelf.remove(recording.id)
    models.gate.set()
    until(lambda: list(shelf.folder.iterdir()) == [])
    shelf.close()
    worker.join(20)


def test_every_strength_can_be_had_and_had_again(fresh):
    data, samples = wav_bytes(0.5)
    key = fresh.post("/v1/recordings", content=data).json()["id"]
    until(lambda: fresh.get(f"/v1/recordings/{key}").json()["state"] == "done")

    def ask(strength):
        answer = fresh.get(f"/v1/recordings/{key}/audio", params={"strength": strength})
        np.testing.assert_allclose(samples_of(answer.content)[0], (1 - 0.5 * strength) * samples, atol=1e-6)

    for number in range(MOST_RENDERINGS + 4):
        ask(number / 20)
        ask(0)  # asked for again, it stays
    ask(0.05)  # was removed, is made again


def test_the_rendering_not_asked_for_longest_is_removed(shelf):
    """Every strength that was asked for left one more file of the size of the recording, without a bound."""
    recording = enhanced(shelf, added(shelf, wav_bytes(0.5)[0]))
    first = make_file(recording, SoundOptions(mix=0.0))
    others = []
    for number in range(MOST_RENDERINGS + 2):
        others.append(make_file(recording, SoundOptions(mix=0.01 + number / 100)))
        assert make_file(recording, SoundOptions(mix=0.0)) == first and first.exists()
    kept = [file for file in others if file.exists()]
    assert kept == others[-(MOST_RENDERINGS - 1) :]
    assert len(list(recording.folder.iterdir())) == 2 + MOST_RENDERINGS


def test_a_rendering_leaves_space_on_the_disk(shelf, monkeypatch):
    """Uploads and the models' output were refused on a full disk, renderings were not."""
    recording = enhanced(shelf, added(shelf, wav_bytes(0.5)[0]))
    needed = 2 * 4 * 8000 + recording.source.stat().st_size
    usage = SimpleNamespace(free=uploads.SPARE_BYTES + needed - 1)
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(ApiError) as caught:
        make_file(recording, SoundOptions())
    assert (caught.value.status, caught.value.code) == (507, "no_space")
    usage.free += 1
    assert downloads.make_file(recording, SoundOptions()).exists()


@pytest.mark.parametrize("form", [False, True], ids=["bare", "form"])
@pytest.mark.parametrize("declared", [False, True])
def test_an_upload_leaves_space_on_the_disk(fresh, monkeypatch, form, declared):
    """A form was stored twice and counted once, and a body of no declared length was not counted."""
    data = bytes(1_000_000)
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' if form else b""
    body = head + data + (b"\r\n--b--\r\n" if form else b"")
    headers = {"Content-Type": "multipart/form-data; boundary=b"} if form else {}
    left = [uploads.SPARE_BYTES + (1_500_000 if form and declared else 900_000)]
    received = uploads.Limited.__call__

    async def fill(self):
        message = await received(self)
        left[0] -= len(message.get("body", b""))
        return message

    monkeypatch.setattr(uploads.Limited, "__call__", fill)
    monkeypatch.setattr(uploads.shutil, "disk_usage", lambda folder: SimpleNamespace(free=left[0]))
    content = body if declared else (body[start : start + 50_000] for start in range(0, len(body), 50_000))
    answer = fresh.post("/v1/recordings", content=content, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "no_space")


def test_work_stops_before_the_disk_is_full(shelf, monkeypatch):
    """A joined recording is longer than its header says, and its pieces were not counted."""
    recording = added(shelf, wav_bytes(3)[0])
    usage = shutil.disk_usage(shelf.folder)
    monkeypatch.setattr(
        uploads.shutil,
        "disk_usage",
        lambda folder: SimpleNamespace(free=0) if recording.done_seconds >= 2 else usage,
    )
    enhanced(shelf, recording)
    assert recording.state == "failed" and recording.problem.code == "no_space"
    assert recording.done_seconds == 2
