"""From a model's name to a folder on this disk, using the Hub only where necessary.

Order: a name that ships with dacse, an existing folder, a Hub id. A Hub model that dacse fetched before is
used without any network; its files are checked against their checksums (by stamp, so in no time).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from dacse_cli.config import DEFAULT_CODEC
from dacse_cli.errors import CheckpointError, HubError
from dacse_cli.files.documents import DocumentError, read_json
from dacse_cli.files.names import quoted
from dacse_cli.files.places import expanded
from dacse_cli.hub.cache.verify import verify_folder
from dacse_cli.hub.card import read_card
from dacse_cli.hub.fetch.client import DEFAULT_TIMEOUT
from dacse_cli.hub.fetch.model import Progress
from dacse_cli.hub.folder import Kind
from dacse_cli.hub.from_hub import Access, model_from_hub
from dacse_cli.hub.manifest import CARD, CONFIG
from dacse_cli.hub.names import WITHOUT_HUB, guess, is_inside, parse_hub_name
from dacse_cli.hub.resolved import Resolved, local_model
from dacse_cli.registry import recognise

BUILT_IN: Mapping[str, Path] = {"nano": Path(__file__).parent.parent / "models" / "nano"}


@dataclass(frozen=True)
class Downloaded:
    """A model and its codec; no codec where the name is that of a codec."""

    model: Resolved
    codec: Resolved | None


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
    access = Access(offline or is_offline(), progress, cache_dir, timeout, refresh)
    if name in BUILT_IN:
        model = local_model(BUILT_IN[name], name, "model", built_in=True)
        return model if kind == "model" else resolve_codec(model, offline=offline)
    folder = expanded(name) or Path(name)
    if name and os.path.isdir(folder):  # noqa: PTH112 (a `Path` raises for a name that no disk takes)
        return local_model(folder, name, kind)
    if name and os.path.exists(folder):  # noqa: PTH110
        raise HubError(f"{name} is a file", hint="name the folder with the config.json and the safetensors")
    hub_name = parse_hub_name(name)
    if hub_name is None:
        every = f"known: {', '.join(WITHOUT_HUB)}, a folder, org/name, or org/name@revision"
        raise HubError(f"{quoted(name)} is neither a folder here nor a Hub id", hint=guess(name) or every)
    return model_from_hub(hub_name, kind, access)


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
    folder reaches no network, except for the codec that dacse itself takes by default: the folder may come
    from a stranger, and a request would reveal an address and an access token to the named server.
    """
    named = codec
    if named is None:
        named = read_card(model.folder).codec or DEFAULT_CODEC
        if is_inside(named) and (model.folder / named).is_dir():
            inner = local_model(
                model.folder / named, f"{model.name}/{named}", "codec", built_in=model.built_in
            )
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
            hint=f'if you trust it, run `dacse download {named}`, or name it: `codec="{named}"`',
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
    with suppress(OSError, DocumentError):
        if kind := recognise(read_json(folder / CONFIG)):
            return kind.role
    return None
