"""What may be opened, what errors mean, what a stand-in of a file is."""

import errno
import hashlib
import os
import zlib
from pathlib import Path

import pytest

from dacse_cli.errors import InputError, OutputError
from dacse_cli.files import problems
from dacse_cli.files.atomic import PartFile, commit, part_path, write_bytes_atomically
from dacse_cli.files.digest import file_digest, file_sha256
from dacse_cli.files.foreign import foreign_content, missing_content
from dacse_cli.files.problems import file_error, output_error, reason, writing
from dacse_cli.files.regular import NotRegularError, open_own, open_regular, read_bytes


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_only_regular_files_are_opened(tmp_path, kind):
    path = Path("/dev/zero") if kind == "device" else tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    for opening in (open_regular, lambda path: open_own(path, os.O_RDWR)):
        with pytest.raises(NotRegularError) as caught:
            opening(path)
        assert reason(caught.value) == "not a regular file"


def test_our_own_files_are_opened_through_no_link(tmp_path):
    """A lock that was a link to somebody's file emptied that file."""
    (tmp_path / "victim").write_text("precious")
    (tmp_path / "lock").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic link") as caught:
        open_own(tmp_path / "lock", os.O_RDWR | os.O_TRUNC)
    assert caught.value.errno == errno.ELOOP
    assert (tmp_path / "victim").read_text() == "precious"
    assert read_bytes(tmp_path / "lock", 100) == b"precious"  # but read


def test_a_name_that_is_none(tmp_path):
    with pytest.raises(OSError, match="no name"):
        open_regular(f"{tmp_path}/a\0b")


def test_no_more_is_read_than_allowed(tmp_path):
    (tmp_path / "x").write_bytes(b"0123456789")
    assert read_bytes(tmp_path / "x", 10) == b"0123456789"
    assert read_bytes(tmp_path / "x", 4) == b"01234"


@pytest.mark.parametrize(
    "code", [errno.EINVAL, errno.EILSEQ, errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR]
)
def test_errors_of_one_file(code):
    """A name that the disk refuses stopped the run; no later run got past it."""
    error = OSError(code, os.strerror(code))
    assert isinstance(file_error(error, Path("out/a.wav")), InputError)
    assert isinstance(output_error(error, Path("out/a.wav")), OutputError)


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO, errno.EDQUOT])
def test_errors_of_every_file(code):
    assert isinstance(file_error(OSError(code, os.strerror(code)), Path("out/a.wav")), OutputError)


def test_a_disk_without_inodes_is_not_said_to_have_room(monkeypatch, tmp_path):
    """A disk without free inodes was reported as `1.0 MB free`."""
    error = OSError(errno.ENOSPC, "full")
    assert "MB free" in output_error(error, tmp_path / "x").message
    monkeypatch.setattr(problems, "_free_files", lambda folder: 0)
    assert "no inodes left" in output_error(error, tmp_path / "x").message


def test_writing_translates_errors(tmp_path):
    with pytest.raises(OutputError, match="no such file"), writing(tmp_path / "no" / "x"):
        (tmp_path / "no" / "x").write_text("")


def test_names_that_begin_alike_have_part_files_of_their_own(tmp_path):
    """80 equal bytes and an equal CRC32 made two outputs share a part file, and the run stop as locked."""
    names = ["n" * 80 + end for end in ("70755edee7d9", "2aafdca574b0")]
    assert len({zlib.crc32(name.encode()) for name in names}) == 1
    assert len({part_path(Path(name)) for name in names}) == 2


def test_a_folder_in_the_way_fails_this_file_alone(tmp_path):
    (tmp_path / "x.wav").mkdir()
    with pytest.raises(InputError, match="in the way") as caught:
        commit(PartFile(tmp_path / "x.wav").seal().temp, tmp_path / "x.wav")
    assert caught.value.reason == "in-the-way"
    with pytest.raises(OutputError, match="in the way"):  # the only file there is
        write_bytes_atomically(tmp_path / "x.wav", b"")
    assert os.listdir(tmp_path) == ["x.wav"]


def test_digests(tmp_path):
    (tmp_path / "x").write_bytes(b"tokens" * 1000)
    assert file_sha256(tmp_path / "x") == hashlib.sha256(b"tokens" * 1000).hexdigest()
    assert file_digest(tmp_path / "x", hashlib.md5(b"a")) == hashlib.md5(b"a" + b"tokens" * 1000).hexdigest()


@pytest.mark.parametrize(
    ("head", "what"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 123\n", "Git LFS"),
        (b"\xef\xbb\xbf  <!DOCTYPE html><html>", "web page"),
        (b"/annex/objects/SHA256E-s123--4d7a.wav\n", "git-annex"),
    ],
)
def test_stand_ins_are_known(head, what):
    assert what in foreign_content(head)[0]
    assert foreign_content(b"RIFF....WAVE") is None


def test_links_to_nowhere(tmp_path):
    (tmp_path / "a").symlink_to(".git/annex/objects/Xx/Yy/SHA256E-s1--4d/SHA256E-s1--4d")
    (tmp_path / "b").symlink_to("gone")
    assert "git-annex" in missing_content(tmp_path / "a")[0]
    assert "missing file" in missing_content(tmp_path / "b")[0]
    assert missing_content(tmp_path / "c") is None
