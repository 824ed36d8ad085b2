"""A model of the Hub: the cached copy if it is complete, else fetched.

Built-in models and the user's folders are handled in `resolve`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from dacse_cli.errors import HubError, ModelError
from dacse_cli.hub.cache.layout import RepoCache, cache_root
from dacse_cli.hub.cache.stamps import Stamps
from dacse_cli.hub.cache.verify import damages
from dacse_cli.hub.card import read_card
from dacse_cli.hub.fetch.client import HubClient
from dacse_cli.hub.fetch.model import Progress, fetch_model
from dacse_cli.hub.folder import Kind, ModelFiles, model_files
from dacse_cli.hub.names import HubName, guess, is_inside
from dacse_cli.hub.problems import TransientError
from dacse_cli.hub.resolved import Resolved, local_model


@dataclass(frozen=True)
class Access:
    """How the Hub may be used."""

    offline: bool
    progress: Progress | None
    cache_dir: Path | None
    timeout: float
    refresh: bool


def model_from_hub(name: HubName, kind: Kind, access: Access) -> Resolved:
    """The folder of a Hub model. Raises `HubError` where it is neither cached nor available."""
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
            hint = " ".join(filter(None, (guess(name.repo), error.hint)))
            raise HubError(f"{error.message}, and {lack}", hint=hint or None) from error
        raise
    return _snapshot(cache, name, fetched, kind)


def _snapshot(cache: RepoCache, name: HubName, commit: str, kind: Kind) -> Resolved:
    return replace(local_model(cache.snapshot(commit), str(name), kind), revision=commit)


@dataclass(frozen=True)
class _State:
    """State of a cached model: all its files are intact (`usable`), and none can be missing (`complete`)."""

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
        hint=guess(name.repo)
        or f'run {command} where there is a network, or use `model="nano"`, which needs none',
    )
