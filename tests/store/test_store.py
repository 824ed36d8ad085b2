"""Objects of a real S3 server and of memory: listed in pages, fetched unchanged, put whole or not at all."""

import hashlib

import fsspec
import pytest

from dacse_cli.errors import InputError, OutputError, UsageError
from dacse_cli.store.listing import stamp_of
from dacse_cli.store.retries import Retries
from dacse_cli.store.store import Entry, Store
from dacse_cli.store.urls import as_local, is_url

HASTY = Retries(pauses=(0.0,))


def fill(url, **objects):
    fs, root = fsspec.core.url_to_fs(url)
    for name, data in objects.items():
        fs.pipe_file(f"{root}/{name.replace('__', '/')}.wav", data)
    return fs, root


@pytest.mark.parametrize(
    ("name", "url", "local"),
    [
        ("s3://b/in", True, "s3://b/in"),
        ("C:\\in", False, "C:\\in"),
        ("in/a:b//c.wav", False, "in/a:b//c.wav"),
        ("file:///data/a%20b.wav", True, "/data/a b.wav"),
        ("LOCAL:///data/a%20b.wav", True, "/data/a%20b.wav"),
    ],
)
def test_is_url_recognises_urls(name, url, local):
    assert (is_url(name), as_local(name)) == (url, local)


@pytest.fixture(params=["s3", "memory"])
def bucket(request):
    if request.param == "memory":
        return f"memory://{request.node.name}"
    return request.getfixturevalue("s3")


def test_listing_and_looking_agree(bucket):
    """A stamp that differs between the two would make every input look changed."""
    fill(f"{bucket}/in", a=b"123", sub__b=b"45678", sub__deep__c=b"9")
    fill(f"{bucket}/inner", x=b"no part of it")
    store = Store(f"{bucket}/in", HASTY)
    entries = {entry.key: entry for entry in store.entries()}
    assert [(key, e.size) for key, e in entries.items()] == [
        ("a.wav", 3),
        ("sub/b.wav", 5),
        ("sub/deep/c.wav", 1),
    ]
    assert {key: store.entry(key) for key in entries} == entries
    assert store.entry("sub") is None
    assert store.entry("missing.wav") is None
    assert list(Store(f"{bucket}/empty", HASTY).entries()) == []


def test_fetch(bucket, tmp_path):
    fill(f"{bucket}/in", a=b"123")
    store = Store(f"{bucket}/in", HASTY)
    entry = store.entry("a.wav")
    store.fetch(entry, tmp_path / "new" / "a.wav")
    assert (tmp_path / "new/a.wav").read_bytes() == b"123"
    fill(f"{bucket}/in", a=b"124")  # of the same length
    if bucket.startswith("s3"):
        with pytest.raises(InputError) as failure:
            store.fetch(entry, tmp_path / "a.wav")
        assert failure.value.reason == "changed"
    with pytest.raises(InputError) as failure:
        store.fetch(Entry("b.wav", 1, 1), tmp_path / "b.wav")
    assert failure.value.reason == "vanished"


def test_put_and_its_hash(bucket, tmp_path):
    path = tmp_path / "a.wav"
    path.write_bytes(b"x" * 100_000)
    store = Store(f"{bucket}/out", HASTY)
    store.put(path, "sub/a.wav")
    assert store.entry("sub/a.wav").size == 100_000
    assert store.sha256("sub/a.wav") == hashlib.sha256(path.read_bytes()).hexdigest()
    assert store.sha256("sub/b.wav") is None


def test_a_put_of_many_parts_that_breaks_leaves_nothing(s3, tmp_path, monkeypatch):
    """Parts are there, the key is not: it comes with the last request."""
    path = tmp_path / "long.wav"
    path.write_bytes(bytes(11 << 20))
    store = Store(f"{s3}/out", Retries(pauses=()))
    fs, seen = store._fs, []

    call = type(fs)._call_s3

    async def breaks(self, method, *args, **kwargs):
        seen.append(method)
        if method == "complete_multipart_upload":
            raise OSError("the line is cut")
        return await call(self, method, *args, **kwargs)

    monkeypatch.setattr(type(fs), "_call_s3", breaks)
    put_file = fs.put_file
    monkeypatch.setattr(fs, "put_file", lambda a, b: put_file(a, b, chunksize=5 << 20))
    with pytest.raises(OutputError, match="the line is cut"):
        store.put(path, "long.wav")
    monkeypatch.undo()
    assert seen.count("upload_part") == 3
    assert list(Store(f"{s3}/out", HASTY).entries()) == []


def test_stores_that_show_partial_objects_get_the_final_name_last(tmp_path):
    """SFTP and its like: another reader must never see the final name before the object is whole."""
    path = tmp_path / "a.wav"
    path.write_bytes(b"123")
    store = Store(f"memory://{tmp_path.name}/out", HASTY)
    store._whole = False
    calls, fs = [], store._fs
    moves = fs.mv
    fs.mv = lambda a, b: (calls.append((a, b, fs.exists(b))), moves(a, b))
    try:
        store.put(path, "a.wav")
    finally:
        del fs.mv
    ((part, final, was_there),) = calls
    assert part == f"{final}.dacse-part"
    assert not was_there
    assert [entry.key for entry in store.entries()] == ["a.wav"]


def test_errors_of_stores_have_plain_messages(s3):
    with pytest.raises(UsageError, match="cannot be listed"):
        list(Store("s3://no-such-bucket-here/in", HASTY).entries())
    with pytest.raises(UsageError):
        Store("nonsense://a/b")
    with pytest.raises(OutputError, match="no-such-bucket-here"):
        Store("s3://no-such-bucket-here/out", HASTY).put_bytes(b"", "a")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://127.0.0.1:1/x", "cannot be opened: ConnectionRefusedError"),
        ("github://foo", "does not say what it is in"),
        ("reference://x", "does not say what it is in"),
        ("dir://x", "does not say what it is in"),
        ("zip://x", "does not say what it is in"),
        ("simplecache://x", "cannot be opened: ValueError"),
    ],
)
def test_a_url_that_cannot_be_opened_is_wrong_usage(url, words):
    """A wrong or unreachable URL was reported as a bug of dacse, with exit code 1."""
    with pytest.raises(UsageError, match=words) as failure:
        Store(url)
    assert len(failure.value.message.splitlines()) == 1


def test_pages_follow_each_other(s3):
    """A listing that stops after its first page loses all but 1,000 inputs."""
    from moto.core import DEFAULT_ACCOUNT_ID
    from moto.s3.models import s3_backends

    backend = s3_backends[DEFAULT_ACCOUNT_ID]["aws"]
    bucket = s3.removeprefix("s3://")
    for i in range(2300):
        backend.put_object(bucket, f"in/{i:05}.wav", b"")
    keys = [entry.key for entry in Store(f"{s3}/in", HASTY).entries()]
    assert keys == [f"{i:05}.wav" for i in range(2300)]


def test_retries_after_connection_errors_but_not_after_refusals():
    calls = []

    def act():
        calls.append(1)
        if len(calls) < 3:
            raise OSError("connection reset")
        return "done"

    assert Retries((0.0, 0.0)).run(act) == "done"
    assert len(calls) == 3

    def gone():
        calls.append(1)
        raise FileNotFoundError

    with pytest.raises(FileNotFoundError):
        Retries((0.0, 0.0)).run(gone)
    assert len(calls) == 4


def test_the_identity_is_the_contents_where_the_store_has_one():
    assert stamp_of({"ETag": '"ab"', "LastModified": 1}) == stamp_of({"ETag": "ab", "LastModified": 2})
    assert stamp_of({"ETag": "ab"}) != stamp_of({"ETag": "ac"})
    assert stamp_of({"created": 1}) != stamp_of({"created": 2})
