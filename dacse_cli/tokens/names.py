"""Names of token files. Imports no slow packages: the process that plans a run does not load numpy."""

from __future__ import annotations

import os

SUFFIX, LATENTS_SUFFIX = ".tokens", ".latents"
TOKEN_FORMATS = ("safetensors", "npz", "txt")
LATENT_FORMATS = ("safetensors", "npz")
MAX_CHANNELS = 64
"""Channels of one token file."""


def is_token_name(name: str) -> bool:
    """Whether a file found in a folder is a token file (`x.tokens.npz`, ..., or Descript's `.dac`)."""
    lower = name.lower()
    codes = (f"{SUFFIX}.{form}" for form in TOKEN_FORMATS)
    latents = (f"{LATENTS_SUFFIX}.{form}" for form in LATENT_FORMATS)
    return lower.endswith((*codes, *latents, ".dac"))


def has_token_suffix(name: str) -> bool:
    """Whether a file named by the user can only be a token file (`codes.safetensors`)."""
    return token_form(name) in (*TOKEN_FORMATS, "dac")


def token_form(name: str) -> str:
    """The format of a token file by its name: one of `TOKEN_FORMATS`, or `dac`."""
    return name.lower().rpartition(".")[2]


def token_stem(name: str) -> str:
    """A token file's name without its suffixes: `speech` of `speech.latents.safetensors`."""
    stem = os.path.splitext(name)[0]  # noqa: PTH122 (no path)
    return stem.removesuffix(SUFFIX).removesuffix(LATENTS_SUFFIX)


def channel_names(name: str, channels: int) -> list[str]:
    """The names of a token file in text, which holds one channel: `a.ch1.tokens.txt`, ... of several."""
    stem = token_stem(name)
    return [f"{stem}.ch{c + 1}{SUFFIX}.txt" for c in range(channels)]


def token_name(stem: str, form: str, *, latents: bool = False) -> str:
    """The name of a token file: `speech.tokens.safetensors`, `speech.latents.safetensors`, `speech.dac`."""
    return f"{stem}.dac" if form == "dac" else f"{stem}{LATENTS_SUFFIX if latents else SUFFIX}.{form}"
