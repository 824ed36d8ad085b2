"""The contents of a repository and the files to fetch: the Hub's answer -> a list of files. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from dacse_cli.errors import HubError
from dacse_cli.hub.names import is_commit, is_inside
from dacse_cli.weights.folder import INDEX, ONLY_SAFETENSORS, SINGLE, no_safetensors

CARD = "dacse.json"
CONFIG = "config.json"
SMALL_FILES = frozenset({CONFIG, "generation_config.json", "preprocessor_config.json", CARD})


@dataclass(frozen=True)
class RemoteFile:
    """A file of a commit. `digest` is a sha256 (64 hex), or the git blob hash (40 hex) of a small file.

    It is also the name of the file's blob in the cache, as huggingface_hub calls it.
    """

    path: str
    size: int
    digest: str


@dataclass(frozen=True)
class Repository:
    """One commit."""

    commit: str
    files: tuple[RemoteFile, ...]


def parse_repository(answer: Any) -> Repository:
    """The Hub's JSON (`/api/models/ID/revision/REV?blobs=true`) -> `Repository`.

    Raises KeyError, TypeError or ValueError for an invalid answer.
    """
    commit = str(answer["sha"])
    if not is_commit(commit):
        raise ValueError(f"not a commit: {commit[:60]}")
    return Repository(commit, tuple(_remote_file(entry) for entry in answer["siblings"]))


def _remote_file(entry: Any) -> RemoteFile:
    path, lfs = str(entry["rfilename"]), entry.get("lfs")
    digest, size = (lfs["sha256"], lfs["size"]) if lfs else (entry["blobId"], entry["size"])
    if not is_inside(path):
        raise ValueError(f"path leaves the repository: {path}")
    if len(digest) != (64 if lfs else 40) or int(digest, 16) < 0 or int(size) < 0:
        raise ValueError(f"no size and checksum for {path}")
    return RemoteFile(path, int(size), digest)


def select_files(repository: Repository, name: str, folder: str = "") -> list[RemoteFile]:
    """The files of one model in `folder` ("" is the root), small ones first; nothing else is fetched.

    Raises `HubError` where they are not a model: no config, or no safetensors (a pickle is never fetched).
    """
    here = {PurePosixPath(file.path).name: file for file in repository.files if _parent(file.path) == folder}
    weights = [SINGLE] if SINGLE in here else sorted(n for n in here if n.endswith(".safetensors"))
    where = f"{name}/{folder}" if folder else name
    if CONFIG not in here:
        raise HubError(f"{where} has no {CONFIG}", hint="it is not a model: check the name")
    if not weights:
        raise HubError(no_safetensors(where, here), hint=f"{ONLY_SAFETENSORS} Ask its author for one.")
    wanted = sorted(SMALL_FILES & here.keys())
    if SINGLE not in here and INDEX in here:
        wanted.append(INDEX)
    return [here[n] for n in wanted + weights]


def holds_folder(repository: Repository, folder: str) -> bool:
    """Whether the commit has files directly in `folder`."""
    return any(_parent(file.path) == folder for file in repository.files)


def _parent(path: str) -> str:
    parent = str(PurePosixPath(path).parent)
    return "" if parent == "." else parent
