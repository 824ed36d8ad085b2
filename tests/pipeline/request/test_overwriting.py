"""No input is ever written to: on this disk, in an object store, and where a command names both."""

import time
from dataclasses import replace

import fsspec
import pytest

from dacse_cli.config import ChunkOptions, ModelOptions, SoundOptions
from dacse_cli.errors import UsageError
from dacse_cli.pipeline.request.plan import plan
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.shards import Shard
from dacse_cli.pipeline.wire.messages import Form

OPTIONS = ModelOptions(), ChunkOptions(), SoundOptions()


def request(*inputs, output, **more):
    return Request(Form.ENHANCE, tuple(map(str, inputs)), str(output), *OPTIONS, overwrite=True, **more)


def targets(todo):
    return [job.target.name for wave in todo.waves for job in wave]


@pytest.fixture
def bucket():
    """The URL of a folder in memory with `in/a.wav` and `in/b.wav`, by an address of its own."""
    url = f"memory://{time.time_ns()}"
    for name in ("a", "b"):
        fsspec.filesystem("memory").pipe(f"{url}/in/{name}.wav", b"1")
    return url


@pytest.fixture
def talk(tmp_path):
    """A recording in the output folder."""
    path = tmp_path / "out" / "talk.wav"
    path.parent.mkdir()
    path.write_bytes(b"1")
    return path


@pytest.mark.parametrize("limit", [None, 1])
def test_a_url_beside_it_does_not_make_an_input_an_output(bucket, talk, tmp_path, limit):
    """With a URL among the inputs, a file on this disk was replaced by its own output."""
    (tmp_path / "talk.wav").write_bytes(b"2")
    named = [tmp_path / "talk.wav", talk] if limit else [talk]  # the limit leaves only the first one
    for inputs in ([f"{bucket}/in", *named], [*named, f"{bucket}/in"]):
        with pytest.raises(UsageError, match=r"talk\.wav is itself an input"):
            plan(replace(request(*inputs, output=talk.parent, limit=limit), filters=("in/*", "talk.wav")))
    fine = plan(request(f"{bucket}/in", tmp_path / "talk.wav", output=talk.parent))
    assert targets(fine) == ["talk.wav", "a.wav", "b.wav"]


def test_a_link_that_is_an_input_is_not_replaced(tmp_path):
    """A symbolic link that was named as an input was replaced by its own output."""
    (tmp_path / "a.wav").write_bytes(b"1")
    (tmp_path / "link.wav").symlink_to("a.wav")
    with pytest.raises(UsageError, match=r"link\.wav is itself an input"):
        plan(request(tmp_path / "link.wav", output=tmp_path))
    assert targets(plan(request(tmp_path / "a.wav", output=tmp_path / "link.wav"))) == ["link.wav"]


@pytest.mark.parametrize("output", ["in/a.wav", "in/./a.wav", "/in/a.wav", "in/sub/../a.wav"])
def test_an_object_is_not_its_own_output(bucket, output):
    """`enhance URL URL --overwrite` replaced the object that it had read."""
    for source in ("in/a.wav", "in"):
        with pytest.raises(UsageError, match=r"a\.wav is itself an input"):
            plan(request(f"{bucket}/{source}", output=f"{bucket}/{output}"))
    assert targets(plan(request(f"{bucket}/in/a.wav", output=f"{bucket}/in/c.wav"))) == ["c.wav"]


@pytest.mark.parametrize("output", ["in", "/in/", "in/.", "other/../in", ""])
def test_a_folder_of_objects_is_not_its_own_output(bucket, output):
    """URLs were compared as text, so another spelling of the input's folder was taken as an output."""
    with pytest.raises(UsageError, match="holds the inputs"):
        plan(request(f"{bucket}/in", output=f"{bucket}/{output}"))


def test_a_limit_leaves_no_object_unchecked(bucket):
    """The limit ended the search before the second object was compared with the output."""
    fsspec.filesystem("memory").pipe(f"{bucket}/out/a.wav", b"1")
    inputs = f"{bucket}/in/a.wav", f"{bucket}/out/a.wav"
    with pytest.raises(UsageError, match="holds the inputs"):
        plan(request(*inputs, output=f"{bucket}/out", limit=1))


def test_names_of_one_kind_of_store_are_one(s3):
    """`s3a://` passed as another store than `s3://`, and its outputs replaced the inputs."""
    fsspec.filesystem("s3").pipe(f"{s3}/in/a.wav", b"1")
    alias = s3.replace("s3://", "s3a://")
    with pytest.raises(UsageError, match="itself an input"):
        plan(request(f"{s3}/in/a.wav", output=f"{alias}/in/a.wav"))
    with pytest.raises(UsageError, match="holds the inputs"):
        plan(request(f"{s3}/in", output=f"{alias}/in"))
    fsspec.filesystem("s3").pipe(f"{s3}/in/out/a.wav", b"1")
    assert plan(request(f"{s3}/in", output=f"{alias}/in/out")).count == 1


@pytest.mark.parametrize("kind", ["file", "local"])
def test_a_url_of_this_disk_is_a_path(talk, kind):
    """By `local://` an input could be given as the output, and was replaced."""
    for url, path in ((f"{kind}://{talk}", talk.parent), (str(talk), f"{kind}://{talk}")):
        with pytest.raises(UsageError, match="itself an input"):
            plan(request(url, output=path))


def test_one_relative_output_in_two_folders_is_two_places(bucket, tmp_path, monkeypatch):
    """Runs in two folders shared the folder of fetched inputs, and each emptied it for the other."""
    places = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        places.append(plan(request(f"{bucket}/in", output="out")).own)
    assert places[0] != places[1]


@pytest.mark.parametrize("remote", [True, False])
def test_a_part_of_one_file_is_refused(bucket, talk, remote):
    """With one output file, every part of a run did all of the work."""
    source, output = (f"{bucket}/in/a.wav", f"{bucket}/x.wav") if remote else (talk, talk.parent / "x.wav")
    with pytest.raises(UsageError, match=r"`shard` needs an output folder, but .*x\.wav names one file"):
        plan(request(source, output=output, shard=Shard(1, 2)))


@pytest.mark.parametrize("key", ["x/../../a.wav", "../a.wav", "x/.hidden/a.wav", "a\0b.wav"])
def test_a_key_that_is_no_name_on_this_disk_is_no_input(bucket, key):
    """A key with a zero byte ended the run as a bug; one with `..` must not leave the output folder."""
    memory = fsspec.filesystem("memory")
    path = f"/{bucket.removeprefix('memory://')}/in/{key}"
    memory.store[path] = memory.store[path.removesuffix(key) + "a.wav"]
    try:
        assert targets(plan(request(f"{bucket}/in", output=f"{bucket}/out"))) == ["a.wav", "b.wav"]
    finally:
        del memory.store[path]
