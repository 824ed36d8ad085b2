"""Who gets nothing: foreign pages, foreign names, no token, too much, and readers of what is left behind."""

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from serving import TOKEN, until, wav_bytes

from dacse_cli.errors import UsageError
from dacse_cli.serve import server, uploads
from dacse_cli.serve.problems import ApiError
from dacse_cli.serve.recordings import KEPT_SECONDS, Recording, Shelf


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Host": "evil.example:{port}"}, 421, "wrong_host"),
        ({"Host": "127.0.0.1"}, 421, "wrong_host"),
        ({"Origin": "https://evil.example"}, 403, "foreign_origin"),
        ({"Origin": "http://127.0.0.1:1"}, 403, "foreign_origin"),
        ({"Origin": "null"}, 403, "foreign_origin"),
        ({"Authorization": "Bearer wrong"}, 401, "wrong_token"),
        ({"Authorization": ""}, 401, "wrong_token"),
        ({"Authorization": f"Basic {TOKEN}"}, 401, "wrong_token"),
    ],
)
@pytest.mark.parametrize("path", ["/", "/v1/models", "/v1/audio/enhance", "/nowhere"])
def test_strangers_are_refused(client, headers, status, code, path):
    headers = {name: value.format(port=client.base_url.port) for name, value in headers.items()}
    answer = client.request("POST" if path.endswith("enhance") else "GET", path, headers=headers)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_our_own_page_and_names_are_served(client):
    port = client.base_url.port
    for name in ("127.0.0.1", "localhost", "[::1]"):
        headers = {"Host": f"{name}:{port}", "Origin": f"http://{name}:{port}"}
        assert client.get("/v1/models", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/", "/v1/models", "/nowhere"])
def test_every_answer_has_one_policy(client, path):
    headers = client.get(path).headers
    (policy,) = headers.get_list("content-security-policy")
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy
    assert headers["referrer-policy"] == "no-referrer" and headers["cache-control"] == "no-store"


def test_only_this_machine_can_connect():
    listening = server.listen(None)
    with listening:
        assert listening.getsockname()[0] == "127.0.0.1"


def test_a_taken_port_is_said_and_the_usual_one_has_a_substitute():
    with server.listen(None) as one, server.listen(None) as two:
        assert one.getsockname() != two.getsockname()
        with pytest.raises(UsageError, match="port"):
            server.listen(one.getsockname()[1])


def raw(client, *lines, body=b""):
    """The status of a request written by hand."""
    with socket.create_connection((client.base_url.host, client.base_url.port), 10) as connection:
        head = [*lines, f"Host: 127.0.0.1:{client.base_url.port}", f"Authorization: Bearer {TOKEN}"]
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        return int(connection.makefile("rb").readline().split()[1])


@pytest.mark.parametrize("path", ["/v1/recordings", "/v1/audio/enhance"])
@pytest.mark.parametrize("length", ["5000000", "2000000001", "9" * 18])
def test_what_says_it_is_too_long_is_refused_unread(client, path, length):
    assert raw(client, f"POST {path} HTTP/1.1", f"Content-Length: {length}") == 413


@pytest.mark.parametrize("path", ["/v1/recordings", "/v1/audio/enhance"])
@pytest.mark.parametrize("form", [False, True])
def test_what_does_not_say_so_is_refused_when_it_has_grown_too_long(client, path, form):
    def chunks():
        if form:
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
        for _ in range(50):
            yield bytes(100_000)

    headers = {"Content-Type": "multipart/form-data; boundary=b"} if form else {}
    answer = client.post(path, content=chunks(), headers=headers)
    assert answer.json()["error"]["code"] == "too_large"


def test_two_gigabytes_is_the_limit_unless_a_test_says_otherwise():
    assert uploads.MOST_BYTES == 2_000_000_000


def test_a_full_disk_refuses_before_it_is_full(client, monkeypatch):
    monkeypatch.setattr(uploads, "SPARE_BYTES", 10**18)
    answer = client.post("/v1/recordings", content=wav_bytes(0.1)[0])
    assert (answer.status_code, answer.json()["error"]["code"]) == (507, "no_space")


def test_a_sender_who_leaves_in_the_middle_leaves_nothing(client, monkeypatch):
    folder = Path(next(iter(Path(os.environ.get("TMPDIR", "/tmp")).glob("dacse-serve-*"))))
    before = set(folder.rglob("*"))
    with socket.create_connection((client.base_url.host, client.base_url.port), 10) as connection:
        head = f"POST /v1/recordings HTTP/1.1\r\nHost: 127.0.0.1:{client.base_url.port}\r\n"
        head += f"Authorization: Bearer {TOKEN}\r\nContent-Length: 1000000\r\n\r\n"
        connection.sendall(head.encode() + bytes(200_000))
        until(lambda: set(folder.rglob("*")) - before)
    until(lambda: not set(folder.rglob("*")) - before)


@pytest.mark.parametrize(
    ("given", "shown", "stored"),
    [
        ("talk.WAV", "talk.WAV", "original.wav"),
        ("../../etc/passwd", "passwd", "original"),
        ("C:\\x\\a.flac", "a.flac", "original.flac"),
        ("a\n\x1b[31m\u202eb.mp3", "a[31mb.mp3", "original.mp3"),
        ("", "recording", "original"),
        ("x" * 900 + ".wav", "x" * 190 + ".wav", "original.wav"),
        ("a.exe", "a.exe", "original"),
    ],
)
def test_names_from_outside(given, shown, stored):
    assert uploads.plain_name(given) == shown
    assert uploads.stored_name(uploads.plain_name(given)) == stored


def test_what_nobody_asks_for_any_more_is_removed(tmp_path):
    shelf = Shelf(tmp_path)
    kept = [Recording(shelf.new_folder(), tmp_path / "a", "a", state=state) for state in ("done", "working")]
    for one in kept:
        shelf.add(one)
    shelf.expire(kept[0].touched + KEPT_SECONDS + 1)
    assert [one.folder.exists() for one in kept] == [False, True]
    with pytest.raises(ApiError, match="it was removed"):
        shelf.get(kept[0].id)


VICTIM = """
import sys, threading
from dacse_cli.serve import server
class Never:
    batch_size = 1
    def stream(self, audio, *, batch_size=None):
        threading.Event().wait()
        yield
    def close(self): pass
server.run(Never, "never", lambda address, token: print(address, flush=True))
"""


@pytest.mark.skipif(os.name != "posix", reason="signals")
@pytest.mark.parametrize("name", ["SIGKILL", "SIGTERM", "SIGINT"])
def test_a_server_that_ends_leaves_nothing(tmp_path, name):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    child = subprocess.Popen(
        [sys.executable, "-c", VICTIM],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        address = child.stdout.readline().strip()
        base, token = address.split("/?token=")
        headers = {"Authorization": f"Bearer {token}"}
        httpx.post(f"{base}/v1/recordings", content=wav_bytes(1)[0], headers=headers).raise_for_status()
        (folder,) = tmp_path.iterdir()
        assert list(folder.rglob("original")) and folder.stat().st_mode & 0o777 == 0o700
        child.send_signal(getattr(signal, name))
        child.wait(20)
        until(lambda: not list(tmp_path.iterdir()))
    finally:
        child.kill()
        child.wait()
        child.stdout.close()


def test_models_that_cannot_be_loaded_end_the_server():
    from dacse_cli.errors import ModelError

    def load():
        raise ModelError("the weights are damaged")

    found = []

    def serve():
        try:
            server.run(load, "none", lambda address, token: None)
        except ModelError as error:
            found.append(error.message)

    thread = threading.Thread(target=serve)
    thread.start()
    thread.join(20)
    assert found == ["the weights are damaged"]


@pytest.mark.parametrize("token", ["short", "with space and more", "ümlaut-token-123456"])
def test_a_token_that_can_be_guessed_or_not_be_sent_is_refused(token):
    with pytest.raises(UsageError, match="token"):
        server.run(lambda: None, "none", lambda address, token: None, token=token)
