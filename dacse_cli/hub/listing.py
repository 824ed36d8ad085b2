"""The available models: built in, in the cache, and known by name. Uses only files' names and sizes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from dacse_cli.config import DEFAULT_CODEC, DEFAULT_MODEL
from dacse_cli.errors import HubError, ModelError
from dacse_cli.files.documents import DocumentError, read_json
from dacse_cli.hub.cache.layout import RepoCache, cache_root
from dacse_cli.hub.card import read_card
from dacse_cli.hub.folder import Kind, model_files
from dacse_cli.hub.manifest import CONFIG
from dacse_cli.hub.resolve import BUILT_IN
from dacse_cli.registry import recognise

KNOWN: tuple[tuple[str, Kind, str], ...] = (
    (DEFAULT_MODEL, "model", "generates speech; 920 million parameters; slow without a GPU"),
    (DEFAULT_CODEC, "codec", "codec of DAC-SE1; 44.1 kHz"),
    ("KdaiP/DC-Speech-VAE", "codec", "22 kHz; 5.4 latents per second"),
)


@dataclass(frozen=True)
class Listed:
    """One model or codec. `bytes` is its size on this disk; 0 where it is absent."""

    name: str
    kind: Kind
    state: str
    """`built-in`, `cached`, `incomplete` or `known`."""
    bytes: int = 0
    licence: str | None = None
    """Licence by its own card; None where that names none."""
    revision: str | None = None
    folder: str | None = None
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """One line of `--json`."""
        return asdict(self)


def list_models(cache_dir: Path | None = None) -> list[Listed]:
    """Built-in models, then cached ones of the kinds dacse runs, then others known to `dacse download`."""
    found = [_built_in(name, folder) for name, folder in BUILT_IN.items()]
    try:
        cached = list(_cached(cache_root(cache_dir)))
    except HubError:  # no home folder, so no cache
        cached = []
    here = {entry.name for entry in cached}
    known = [Listed(name, kind, "known", note=note) for name, kind, note in KNOWN if name not in here]
    return [*found, *cached, *known]


def _built_in(name: str, folder: Path) -> Listed:
    card = read_card(folder)
    codec = folder / card.codec if card.codec else folder
    size = _size(folder, "model") + _size(codec, "codec")
    note = "a filter, and a token model with its codec; for any CPU"
    return Listed(name, "model", "built-in", size, card.licence, None, str(folder), note)


def _cached(root: Path) -> Iterator[Listed]:
    for folder in sorted(root.glob("models--*")):
        name = folder.name.removeprefix("models--").replace("--", "/", 1)
        cache = RepoCache(root, name)
        for ref in sorted(path for path in (folder / "refs").rglob("*") if path.is_file()):
            revision = ref.relative_to(folder / "refs").as_posix()
            commit = cache.commit_of(revision)
            kind = _kind(cache.snapshot(commit)) if commit else None
            if commit and kind:
                shown = name if revision == "main" else f"{name}@{revision}"
                yield _snapshot(shown, kind, commit, cache.snapshot(commit))


def _snapshot(name: str, kind: Kind, commit: str, folder: Path) -> Listed:
    try:
        size, card = _size(folder, kind), read_card(folder)
    except ModelError as error:
        return Listed(name, kind, "incomplete", 0, None, commit, str(folder), error.message)
    return Listed(name, kind, "cached", size, card.licence, commit, str(folder))


def _kind(folder: Path) -> Kind | None:
    """The kind of the model in `folder`; None for models that dacse cannot run."""
    try:
        found = recognise(read_json(folder / CONFIG))
    except (OSError, DocumentError):
        return None
    if found is None:
        return None
    return "codec" if found.role == "codec" else "model"


def _size(folder: Path, kind: Kind) -> int:
    return sum((folder / name).stat().st_size for name in model_files(folder, kind).all)
