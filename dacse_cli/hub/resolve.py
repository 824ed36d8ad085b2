"""From what a user calls a model to a folder on this disk, by way of the Hub only where that is needed.

Order: a name that ships with dacse, an existing folder, a Hub id. A Hub model that dacse fetched before is
used without any network; its files are checked against their checksums (by stamp, so in no time).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dacse_cli.config import DEFAULT_CODEC
from dacse_cli.errors import CheckpointError, CodecError, HubError, ModelError
from dacse_cli.files.documents import DocumentError, read_json
from dacse_cli.files.names import quoted
from dacse_cli.files.places import expanded
from dacse_cli.files.problems import reason
from dacse_cli.hub.cache import RepoCache, cache_root
from dacse_cli.hub.card import read_card
from dacse_cli.hub.client import DEFAULT_TIMEOUT, HubClient
from dacse_cli.hub.fetch import Progress, fetch_model
from dacse_cli.hub.folder import Kind, ModelFiles, model_files
from dacse_cli.hub.manifest import CARD, CONFIG
from dacse_cli.hub.names import HubName, is_inside, parse_hub_name
from dacse_cli.hub.problems import TransientError
from dacse_cli.hub.stamps import Stamps
from dacse_cli.hub.verify import damages, verify_folder

BUILT_IN: Mapping[str, Path] = {"nano": Path(__file__).parent.parent / "models" / "nano"}


@dataclass(frozen=True)
class Resolved:
    """A model or codec on this disk."""

    folder: Path
    name: str
    """As the user or a model card called it."""
    revision: str | None
    """The commit (40 hex) of a Hub model."""
    sha256: str
    """Stands for the content of config and weights: equal exactly when they are."""
    built_in: bool = False
    kind: Kind = "model"
    note: str | None = None
    """Something the user should know, such as that the Hub could not be asked for a newer version."""


@dataclass(frozen=True)
class Downloaded:
    """A model and the codec it speaks; no codec where the name was a codec's own."""

    model: Resolved
    codec: Resolved | None


@dataclass(frozen=True)
class _Access:
    """How the Hub may be used."""

    offline: bool
    progress: Progress | None
    cache_dir: Path | None
    timeout: float
    refresh: bool


def is_offline() -> bool:
    """Whether the environment forbids the network (`HF_HUB_OFFLINE=1`), read at call time."""
    value = os.environ.get("HF_HUB_OFFLINE") or os.environ.get("TRANSFORMERS_OFFLINE") or ""
    return value.upper() in ("1", "ON", "YES", "TRUE")


def resolve(
    name: str,
    *,
    kind: Kind,
    offline: bool = False,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    refresh: bool = False,
) -> Resolved:
    """The local folder of the model or codec `name`, fetched first if it is a Hub id and not here.

    `refresh` asks the Hub whether a branch has moved, even if the model is here. `timeout` is how many
    seconds the Hub may stay silent in all. Raises `HubError` where the model cannot be had,
    `CheckpointError` or `CodecError` where its folder is incomplete.
    """
    access = _Access(offline or is_offline(), progress, cache_dir, timeout, refresh)
    if name in BUILT_IN:
        model = _local(BUILT_IN[name], name, "model", built_in=True)
        return model if kind == "model" else resolve_codec(model, offline=offline)
    folder = expanded(name) or Path(name)
    if name and folder.is_dir():
        return _local(folder, name, kind)
    if name and folder.exists():
        raise HubError(f"{name} is a file", hint="name the folder with the config.json and the safetensors")
    hub_name = parse_hub_name(name)
    if hub_name is None:
        raise HubError(
            f"{quoted(name)} is no folder here and no Hub id",
            hint=f"known: {', '.join(BUILT_IN)}, a folder, org/name, or org/name@revision",
        )
    return _from_hub(hub_name, kind, access)


def resolve_codec(
    model: Resolved,
    codec: str | None = None,
    *,
    offline: bool = False,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
    timeout: float = DEFAULT_TIMEOUT,
    refresh: bool = False,
) -> Resolved:
    """The codec of a resolved model: `codec` if given, else what the model's card names, else the default.

    A card may name a Hub id or a folder inside the model's own, nothing outside of it. The card of a local
    folder reaches no network, except for the codec that dacse itself takes by default: it may come from a
    stranger, and a request tells an address and an access token to whoever it names.
    """
    named = codec
    if named is None:
        named = read_card(model.folder).codec or DEFAULT_CODEC
        if is_inside(named) and (model.folder / named).is_dir():
            inner = _local(model.folder / named, f"{model.name}/{named}", "codec", built_in=model.built_in)
            return replace(inner, revision=model.revision)
        if parse_hub_name(named) is None:
            says = f"{model.folder / CARD} names the codec {quoted(named)}"
            raise CheckpointError(f"{says}: no folder beside it and no Hub id")
        if model.revision is None and named != DEFAULT_CODEC and not (offline or is_offline()):
            return _cached_codec(model, named, cache_dir)
    return resolve(
        named,
        kind="codec",
        offline=offline,
        progress=progress,
        cache_dir=cache_dir,
        timeout=timeout,
        refresh=refresh,
    )


def _cached_codec(model: Resolved, named: str, cache_dir: Path | None) -> Resolved:
    """The codec that a local folder's card names, if it is in the cache."""
    try:
        return resolve(named, kind="codec", offline=True, cache_dir=cache_dir)
    except HubError as error:
        raise HubError(
            f"{model.folder / CARD} names the codec {named}, which is not in the cache",
            hint=f"if you trust it, run `dacse download {named}`, or name it: --codec {named}",
        ) from error


def download(
    name: str,
    *,
    codec: str | None = None,
    offline: bool = False,
    progress: Progress | None = None,
    cache_dir: Path | None = None,
    timeout: float = DEFAULT_TIMEOUT,
) -> Downloaded:
    """Fetch a model in its newest version, and the codec its card names. Raises like `resolve`."""
    model = resolve(
        name,
        kind="model",
        offline=offline,
        progress=progress,
        cache_dir=cache_dir,
        timeout=timeout,
        refresh=True,
    )
    if codec is None and (role := _role_of(model.folder)) in ("codec", "filter"):
        return Downloaded(replace(model, kind="codec") if role == "codec" else model, None)
    speaks = resolve_codec(
        model,
        codec,
        offline=offline,
        progress=progress,
        cache_dir=cache_dir,
        timeout=timeout,
        refresh=True,
    )
    return Downloaded(model, speaks)


def verify(resolved: Resolved) -> list[str]:
    """What is wrong with a resolved model's files, one sentence each, after reading every byte.

    What is found damaged is not trusted again: the next `resolve` or `download` fetches it anew.
    """
    return verify_folder(resolved.folder, resolved.kind)


def _role_of(folder: Path) -> str | None:
    """What a folder holds: a codec, a translator or a filter; None where loading it says what is wrong."""
    from dacse_cli.registry import recognise  # with numpy

    with suppress(OSError, DocumentError):
        if kind := recognise(read_json(folder / CONFIG)):
            return kind.role
    return None


def _local(folder: Path, name: str, kind: Kind, *, built_in: bool = False) -> Resolved:
    files = model_files(folder, kind)
    stamps = Stamps(folder)
    try:
        lines = [f"{_remember(stamps, file)}  {file}\n" for file in files.identity]
    except OSError as error:
        failure = CheckpointError if kind == "model" else CodecError
        raise failure(f"{folder} cannot be read: {reason(error)}") from error
    stamps.save()
    sha256 = hashlib.sha256("".join(lines).encode()).hexdigest()
    return Resolved(folder, name, None, sha256, built_in, kind)


def _remember(stamps: Stamps, file: str) -> str:
    stamps.record(file, sha256 := stamps.sha256(file))
    return sha256


def _from_hub(name: HubName, kind: Kind, access: _Access) -> Resolved:
    cache = RepoCache(cache_root(access.cache_dir), name.repo)
    commit = cache.commit_of(name.revision)
    state = _State.of(cache.snapshot(commit), kind) if commit else _State()
    if (
        commit
        and state.usable
        and (access.offline or (state.complete and (name.pinned or not access.refresh)))
    ):
        return _snapshot(cache, name, commit, kind)
    if access.offline:
        raise _not_here(name, cache, state)
    try:
        fetched = fetch_model(name, cache, HubClient(access.timeout), access.progress)
    except HubError as error:
        passing = isinstance(error, TransientError)
        if commit and state.usable and (passing or not access.refresh):
            resolved = _snapshot(cache, name, commit, kind)
            return replace(resolved, note=f"{error.message}; using the copy of {name} that is here")
        if passing:
            damaged = state.problem and f"the copy here is damaged: {state.problem}"
            lack = damaged or f"{name} is not in {cache.root}"
            raise HubError(f"{error.message}, and {lack}", hint=error.hint) from error
        raise
    return _snapshot(cache, name, fetched, kind)


def _snapshot(cache: RepoCache, name: HubName, commit: str, kind: Kind) -> Resolved:
    return replace(_local(cache.snapshot(commit), str(name), kind), revision=commit)


@dataclass(frozen=True)
class _State:
    """What the cache holds of a model: all files whole (`usable`), and surely all there are (`complete`)."""

    usable: bool = False
    complete: bool = False
    problem: str | None = None

    @staticmethod
    def of(snapshot: Path, kind: Kind) -> _State:
        if not snapshot.is_dir():
            return _State()
        try:
            problems = _inner_damages(snapshot, model_files(snapshot, kind))
        except ModelError as error:
            return _State(problem=error.message)
        if problems:
            return _State(problem=problems[0])
        return _State(usable=True, complete=Stamps(snapshot).complete)


def _inner_damages(snapshot: Path, files: ModelFiles) -> list[str]:
    found, card = damages(snapshot, files), read_card(snapshot)
    for name in (card.codec, card.filter):
        if not found and name and is_inside(name) and (snapshot / name).is_dir():
            found = damages(snapshot / name, model_files(snapshot / name, "codec"))
    return found


def _not_here(name: HubName, cache: RepoCache, state: _State) -> HubError:
    command = f"`dacse download {name}`"
    if state.problem:
        return HubError(
            f"the cached {name} is damaged: {state.problem}",
            hint=f"run {command} with the network on: only what is damaged is fetched again",
        )
    return HubError(
        f"{name} is not in {cache.root}, and offline mode is on",
        hint=f"run {command} where there is a network, or use `--model nano`, which needs none",
    )
