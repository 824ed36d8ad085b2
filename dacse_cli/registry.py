"""The kinds of models that dacse runs: how each is recognised, and which function loads it.

A new family is added here and implements a protocol of `interfaces`; no other code depends on its name.
Functions are named as text, `module:function`, and imported when they are called, so that reading this list
is fast.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dacse_cli.errors import CheckpointError, CodecError, ModelError
from dacse_cli.files import documents
from dacse_cli.files.names import quoted
from dacse_cli.interfaces import Codec, CodecSpec, Filter, Translator

Role = Literal["codec", "translator", "filter"]
Config = Mapping[str, Any]
CONFIG = "config.json"


@dataclass(frozen=True)
class LoadOptions:
    """How a codec, translator or filter is loaded."""

    name: str = ""
    """Its name in token files and messages."""
    device: str = "cpu"
    dtype: str = "auto"
    kv: str = "auto"
    """Number type of a language model's cache."""
    beam: int | None = None
    """Hypotheses of a translator's beam search; None: as in its config.json."""
    expansion: str | None = None
    """How the beam search proposes codes; None: as in its config.json."""
    latents: bool = False
    """Of a codec with both: whether it makes latents instead of codes."""
    quantised: bool = False
    """With `latents`: whether they are taken after quantisation."""
    exact: bool = True
    """Of a codec on CUDA: whether it decodes in float32, without TF32."""
    codec: CodecSpec | None = None
    """For translators and guided filters: the codec beside them."""


def _type(*names: str) -> Callable[[Config], bool]:
    return lambda config: config.get("model_type") in names


def _has(key: str) -> Callable[[Config], bool]:
    return lambda config: bool(config.get(key))


def _always(config: Config) -> bool:
    return True


def _never(config: Config) -> bool:
    return False


@dataclass(frozen=True)
class Kind:
    """One kind of model."""

    name: str
    role: Role
    load: str
    """`module:function`, called with the path of its files and `LoadOptions`."""
    recognises: Callable[[Config], bool] = _never
    """Whether a folder's config.json is of this kind."""
    suffix: str = ""
    """Suffix of a single weights file; empty for a folder with config.json and safetensors."""
    needs_files: bool = True
    """False for a kind without a folder or file to load."""
    guided: Callable[[Config], bool] = _never
    """Of a filter: whether it is guided by the speech of a translator."""
    searched: Callable[[Config], bool] = _never
    """Of a translator: whether it uses beam search."""
    latents: Callable[[Config], bool] = _never
    """Of a translator: whether it reads and writes latents. Of a codec: whether it makes only latents."""
    spec: str = ""
    """Of a codec: `module:function` that reads its `CodecSpec` without weights, given path and name."""
    convert: str = ""
    """Of a kind published as pickles: `module:function` that converts them into a folder of safetensors,
    given the files and the folder."""


_LM, _SET, _CODEC, _FILTERS = (f"dacse_cli.{room}" for room in ("lm", "set", "codec", "filters"))

KINDS = (
    Kind("llama", "translator", f"{_LM}.translator:load", _type("llama")),
    Kind(
        "set",
        "translator",
        f"{_SET}.translator:load",
        _type("dacse-set"),
        latents=_has("latents"),
        searched=_has("predictor"),
    ),
    Kind("dac", "codec", f"{_CODEC}.loading:load", _type("dac"), spec=f"{_CODEC}.dac.shape:read_spec"),
    Kind(
        "dacse-units",
        "codec",
        f"{_CODEC}.loading:load",
        _type("dacse-units"),
        spec=f"{_CODEC}.units.shape:read_spec",
    ),
    Kind(
        "dc-speech-vae",
        "codec",
        f"{_CODEC}.loading:load",
        _type("dc-speech-vae"),
        latents=_always,
        spec=f"{_CODEC}.vae.shape:read_spec",
    ),
    Kind(
        "dc-speech-vae-published",
        "codec",
        f"{_CODEC}.loading:load",
        suffix=".pt",
        latents=_always,
        convert=f"{_CODEC}.vae.published:convert",
    ),
    Kind("descript", "codec", f"{_CODEC}.loading:load", suffix=".pth"),
    Kind("dacse-mask", "filter", f"{_FILTERS}.mask.load:load", _type("dacse-mask"), guided=_has("guides")),
    Kind("voice-gains", "filter", f"{_FILTERS}.voice_gains:load", needs_files=False, guided=_always),
    Kind("deepfilternet3", "filter", f"{_FILTERS}.deepfilternet:load", needs_files=False),
)
"""Every kind; a new family is one line here."""


def named(name: str) -> Kind | None:
    """The kind that a user can select by this name, without files; None if there is none."""
    alone = (kind for kind in KINDS if not kind.needs_files and not kind.guided({}))
    return next((kind for kind in alone if kind.name == name), None)


def by_name(name: str) -> Kind:
    """The kind of this name. Raises `ModelError`."""
    found = next((kind for kind in KINDS if kind.name == name), None)
    if found is None:
        raise ModelError(f"{quoted(name)} is not a kind of model that this dacse supports")
    return found


def recognise(config: object) -> Kind | None:
    """The kind of a folder whose config.json holds `config`; None for one that dacse does not run."""
    if not isinstance(config, dict):
        return None
    return next((kind for kind in KINDS if kind.recognises(config)), None)


def read_config(folder: Path, role: Role) -> Config:
    """The config.json of a folder, within the `Limits` of `files.documents` (1 MiB).

    Used only to recognise the family: its loader reads the file again and checks the keys. Raises
    `CheckpointError`, for a codec `CodecError`.
    """
    return documents.read_config(folder / CONFIG, CodecError if role == "codec" else CheckpointError)


def is_weights_file(path: Path) -> bool:
    """Whether a path has the suffix of a codec's single weights file and is not a folder."""
    return _of_weights_file(path) is not None


def _of_weights_file(path: Path) -> Kind | None:
    if path.is_dir():
        return None
    return next((kind for kind in KINDS if kind.suffix and path.suffix == kind.suffix), None)


def kind_of(path: Path, role: Role | None = None) -> tuple[Kind, Config]:
    """The kind of a folder or weights file, and its config; `role` restricts the kinds.

    Raises `CheckpointError` or `CodecError` that name the known kinds.
    """
    if role in (None, "codec") and (weights := _of_weights_file(path)):
        return weights, {}
    config = read_config(path, role or "translator")
    found = recognise(config)
    if found is not None and role in (None, found.role):
        return found, config
    failure = CodecError if role == "codec" else CheckpointError
    wanted = [kind.name for kind in KINDS if kind.needs_files and role in (None, kind.role)]
    is_a = (
        f"is a {found.role} ({found.name})" if found else f"has model_type {quoted(config.get('model_type'))}"
    )
    raise failure(f"{path} {is_a}", hint=f"dacse runs here: {', '.join(wanted)}")


def load_codec(kind: Kind, path: Path, options: LoadOptions) -> Codec:
    """The codec in `path`. Raises `CodecError`, `DeviceError`."""
    codec: Codec = _imported(kind.load)(path, options)
    return codec


def load_translator(kind: Kind, path: Path, options: LoadOptions) -> Translator:
    """The translator in `path`. Raises `CheckpointError`, `DeviceError`."""
    translator: Translator = _imported(kind.load)(path, options)
    return translator


def load_filter(kind: Kind, path: Path, options: LoadOptions) -> Filter:
    """The filter in `path`. Raises `ModelError`, `DeviceError`."""
    found: Filter = _imported(kind.load)(path, options)
    return found


def convert(kind: Kind, files: Sequence[Path], folder: Path) -> None:
    """Convert published pickles into `folder`, which can be loaded. Raises `CodecError`, `OSError`."""
    _imported(kind.convert)(files, folder)


def read_spec(kind: Kind, path: Path, name: str) -> CodecSpec | None:
    """A codec's `CodecSpec`, read without its weights; None if its kind has no function for that."""
    if not kind.spec:
        return None
    spec: CodecSpec = _imported(kind.spec)(path, name)
    return spec


def _imported(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)
