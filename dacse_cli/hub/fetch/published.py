"""Models that were published as pickles: their files, and the folder that dacse makes from them.

The files are read without unpickling and kept in the snapshot of the model's repository as config.json and
safetensors, so that everything else finds a folder like any other. The checksums of the original files are
stored beside them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dacse_cli import registry
from dacse_cli.files.documents import DocumentError, read_json
from dacse_cli.hub.cache.layout import blob_digest
from dacse_cli.hub.cache.stamps import Stamps
from dacse_cli.hub.manifest import CONFIG
from dacse_cli.weights.folder import SINGLE

SOURCES = "dacse-sources.json"
"""Name of the file with the checksums of the original files, in the folder."""


@dataclass(frozen=True)
class Published:
    """A model's pickles."""

    kind: str
    """In `dacse_cli.registry`."""
    files: tuple[tuple[str, str], ...]
    """Repository and file, the model's own repository first."""


PUBLISHED: Mapping[str, Published] = {
    "KdaiP/DC-Speech-VAE": Published(
        "dc-speech-vae-published",
        (
            ("KdaiP/DC-Speech-VAE", "generator_700000.pt"),
            ("nvidia/bigvgan_v2_22khz_80band_256x", "bigvgan_generator.pt"),
        ),
    )
}
"""By the name of the repository."""


def make_folder(published: Published, files: Sequence[Path], folder: Path) -> None:
    """Convert the fetched `files` into `folder`, unless it was made of the same ones.

    Raises `CodecError` where they are not what they should be, `OSError`.
    """
    digests = {path.name: blob_digest(path) or Stamps(path.parent).sha256(path.name) for path in files}
    stamps = Stamps(folder)
    if not (stamps.complete and _made_of(folder) == digests and _intact(stamps)):
        registry.convert(registry.by_name(published.kind), files, folder)
        (folder / SOURCES).write_text(json.dumps(digests, indent=2) + "\n", encoding="utf-8")
    for name in (CONFIG, SINGLE):
        stamps.record(name, stamps.sha256(name))
    stamps.complete = True
    stamps.save()


def _made_of(folder: Path) -> object:
    try:
        return read_json(folder / SOURCES)
    except (OSError, DocumentError):
        return None


def _intact(stamps: Stamps) -> bool:
    """Whether the folder's files are unchanged since they were written."""
    try:
        return all(stamps.remembered(name) == stamps.sha256(name) for name in (CONFIG, SINGLE))
    except OSError:
        return False
