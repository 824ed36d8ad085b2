"""Whether model files are unchanged since they were fetched. Reads only."""

from __future__ import annotations

from pathlib import Path

from dacse_cli.errors import ModelError
from dacse_cli.files.digest import file_sha256
from dacse_cli.files.foreign import foreign_content
from dacse_cli.files.problems import reason
from dacse_cli.hub.cache.layout import blob_digest
from dacse_cli.hub.cache.stamps import Stamps, git_blob_hash
from dacse_cli.hub.folder import Kind, ModelFiles, model_files


def damages(folder: Path, files: ModelFiles) -> list[str]:
    """Damages of a Hub snapshot's files, one sentence each; stamped files are not read again."""
    stamps = Stamps(folder)
    found = [problem for name in files.all if (problem := _damage(stamps, name))]
    stamps.save()
    return found


def verify_folder(folder: Path, kind: Kind) -> list[str]:
    """Damages of the model in `folder`, one sentence each, after reading every byte.

    A cached Hub file must have the checksum it was fetched under. A file of a local folder may be edited,
    which changes its time; a file with changed content but the same size and time is damaged.
    """
    try:
        files = model_files(folder, kind)
    except ModelError as error:
        return [error.message]
    stamps = Stamps(folder)
    unchanged = {name for name in files.all if stamps.is_current(name)}
    for name in files.all:
        stamps.distrust(name)
    found = []
    for name in files.all:
        if blob_digest(folder / name) or stamps.complete or name in unchanged:
            problem = _damage(stamps, name)
            if problem:
                found.append(problem)
        else:
            stamps.record(name, file_sha256(folder / name))
    stamps.save()
    return found


def _damage(stamps: Stamps, name: str) -> str | None:
    """A sentence if the file is not what its blob's name, or else its stamp, says; else remember it."""
    path = stamps.folder / name
    expected = blob_digest(path) or stamps.remembered(name)
    try:
        sha256 = stamps.sha256(name)
        actual = git_blob_hash(path) if expected and len(expected) == 40 else sha256
        if expected in (actual, None):
            stamps.record(name, sha256)
            return None
        with path.open("rb") as content:
            foreign = foreign_content(content.read(512))
    except OSError as error:
        return f"{path} cannot be read: {reason(error)}"
    return (
        f"{path} is {foreign[0]}" if foreign else f"{path} has the checksum {actual:.12}, not {expected:.12}"
    )
