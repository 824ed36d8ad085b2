"""A repository's model into the cache: an explicit list of files, each checked against the Hub's checksum."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from dacse_cli.errors import HubError
from dacse_cli.files.digest import file_sha256
from dacse_cli.hub.cache.layout import RepoCache, blob_digest
from dacse_cli.hub.cache.stamps import Stamps, git_blob_hash
from dacse_cli.hub.card import read_card
from dacse_cli.hub.fetch.client import HubClient
from dacse_cli.hub.fetch.published import PUBLISHED, Published, make_folder
from dacse_cli.hub.fetch.transfer import Transfer
from dacse_cli.hub.manifest import RemoteFile, Repository, holds_folder, select_files
from dacse_cli.hub.names import HubName
from dacse_cli.hub.problems import Subject, disk_problem, no_room

Progress = Callable[[str, int, int], None]
"""Called with (file name, bytes there, bytes in all) while a file arrives."""


def fetch_model(name: HubName, cache: RepoCache, client: HubClient, progress: Progress | None = None) -> str:
    """Bring the model's files into the cache and return the commit they are of (40 hex).

    Only missing or damaged files are downloaded. Raises `HubError`.
    """
    if published := PUBLISHED.get(name.repo):
        return _fetch_published(name, published, cache, client, progress or _ignore)
    repository = client.repository(name)
    fetch = _Fetch(name, repository, cache, client, progress or _ignore)
    try:
        fetch.folder("")
        card = read_card(cache.snapshot(repository.commit))
        for inner in (card.codec, card.filter):
            if inner and holds_folder(repository, inner):
                fetch.folder(inner)
        # last, so that a revision never points at an incomplete snapshot
        cache.set_commit(name.revision, repository.commit)
    except OSError as error:
        raise disk_problem(error, cache.root) from error
    return repository.commit


def _fetch_published(
    name: HubName, published: Published, cache: RepoCache, client: HubClient, progress: Progress
) -> str:
    """Fetch pickles of one or more repositories into the cache and convert them to a folder of safetensors.

    Raises `HubError`, `CodecError`.
    """
    files: list[Path] = []
    commit = ""
    try:
        for repo, file in published.files:
            own = name if repo == name.repo else HubName(repo)
            fetch = _Fetch(own, client.repository(own), RepoCache(cache.root, repo), client, progress)
            files.append(fetch.file(file))
            commit = commit or fetch.repository.commit
        _check_room(sum(path.stat().st_size for path in files), cache.snapshot(commit), cache.root)
        make_folder(published, files, cache.snapshot(commit))
        cache.set_commit(name.revision, commit)
    except OSError as error:
        raise disk_problem(error, cache.root) from error
    return commit


def _ignore(file: str, done: int, total: int) -> None:
    return


@dataclass(frozen=True)
class _Fetch:
    """One run of `fetch_model`."""

    name: HubName
    repository: Repository
    cache: RepoCache
    client: HubClient
    progress: Progress

    def folder(self, folder: str) -> None:
        """Fetch the model in one folder of the repository, and stamp its files."""
        files = select_files(self.repository, str(self.name), folder)
        stamps = Stamps(self.cache.snapshot(self.repository.commit) / folder)
        self._all(files, stamps)
        stamps.complete = True
        stamps.save()

    def file(self, name: str) -> Path:
        """Fetch one file of the repository's root; where it is. Raises `HubError` where there is none."""
        found = next((file for file in self.repository.files if file.path == name), None)
        if found is None:
            raise HubError(f"{self.name} has no {name}", hint="its author may have renamed it")
        stamps = Stamps(self.cache.snapshot(self.repository.commit))
        self._all([found], stamps)
        stamps.save()
        return self._pointer(found)

    def _all(self, files: list[RemoteFile], stamps: Stamps) -> None:
        missing = [file for file in files if not self._intact(file, stamps)]
        if missing:
            self.cache.blobs.mkdir(parents=True, exist_ok=True)
            self.cache.sweep(keep={self.cache.part(file) for file in self.repository.files})
            self._check_room(missing)
        for file in missing:
            self._one(file, stamps)

    def _intact(self, file: RemoteFile, stamps: Stamps) -> bool:
        """Whether the snapshot's file has the expected content; records its stamp if so."""
        path, name = self._pointer(file), PurePosixPath(file.path).name
        if not path.is_file() or path.stat().st_size != file.size:
            return False
        if blob_digest(path) not in (file.digest, None):
            return False
        sha256 = stamps.sha256(name)
        if (sha256 if len(file.digest) == 64 else git_blob_hash(path)) != file.digest:
            return False
        stamps.record(name, sha256)
        return True

    def _one(self, file: RemoteFile, stamps: Stamps) -> None:
        def report(done: int) -> None:
            self.progress(file.path, done, file.size)

        with self.cache.exclusive(file, self.client.timeout, report):
            if not self._intact(file, stamps):  # another process may have fetched it meanwhile
                url = self.client.file_url(self.name, self.repository.commit, file.path)
                subject = Subject(self.name, self.client.endpoint, file.path)
                self._reuse_blob(file)
                Transfer(self.client, url, subject, file, self.cache.part(file), report).run()
                self.cache.place(file, self.repository.commit)
                path = self._pointer(file)
                # checked a moment ago: a large file is not read a second time for its stamp
                sha256 = file.digest if len(file.digest) == 64 else file_sha256(path)
                stamps.record(path.name, sha256)
        report(file.size)

    def _reuse_blob(self, file: RemoteFile) -> None:
        """Take a blob that an earlier commit shares as the part: its checksum is then checked like any."""
        blob, part = self.cache.blobs / file.digest, self.cache.part(file)
        if blob.is_file() and blob.stat().st_size == file.size and not part.exists():
            with suppress(OSError):  # a disk without hard links: fetched again
                os.link(blob, part)

    def _check_room(self, files: list[RemoteFile]) -> None:
        needed = sum(file.size - _size(self.cache.part(file)) for file in files)
        _check_room(needed, self.cache.blobs, self.cache.root)

    def _pointer(self, file: RemoteFile) -> Path:
        return self.cache.snapshot(self.repository.commit) / file.path


def _check_room(needed: int, folder: Path, root: Path) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise no_room(needed, free, root)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
