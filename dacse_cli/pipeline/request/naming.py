"""What an output is called, decided from names alone before any file is opened."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath, PurePosixPath

from dacse_cli.audio.formats import AUDIO_SUFFIXES, WRITABLE, can_write, suffix_for
from dacse_cli.audio.media import kinds
from dacse_cli.errors import UsageError, did_you_mean
from dacse_cli.pipeline.request.jobs import Found
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.wire.messages import Form
from dacse_cli.tokens.names import (
    LATENTS_SUFFIX,
    SUFFIX,
    has_token_suffix,
    is_token_name,
    token_name,
    token_stem,
)

FIELDS = ("stem", "ext")
"""What a pattern may hold: an input's name without its suffix, and the output's suffix without its dot."""


def split_pattern(output: str | None) -> tuple[str | None, str | None]:
    """Folder and pattern of `out/{stem}_clean.{ext}`; an output without fields as it is, and None.

    Raises `UsageError` for other fields.
    """
    folder, slash, name = (output or "").rpartition("/")
    if "{" not in name:
        return output, None
    if set(re.findall(r"\{(.*?)\}", name)) - set(FIELDS) or name.count("{") != name.count("}"):
        raise UsageError(f"{output}: a pattern may have {{stem}} and {{ext}}")
    return folder or slash or ".", name


def accepts(form: Form) -> Callable[[str], bool]:
    """Which files of a folder a command takes."""
    if form is Form.TOKENIZE:
        return is_audio_name
    if form is Form.DETOKENIZE:
        return is_token_name
    return lambda name: is_audio_name(name) or is_token_name(name)


def is_audio_name(name: str) -> bool:
    """Whether a file of this name is a recording."""
    return PurePath(name).suffix.lower() in AUDIO_SUFFIXES


def names_file(output: PurePath, form: Form) -> bool:
    """Whether an output that is not an existing folder names a file: it has a suffix that can be written."""
    if form is Form.TOKENIZE:
        return has_token_suffix(output.name)
    return can_write(output.suffix) or (form is Form.ENHANCE and output.suffix.lower() == ".safetensors")


def refuse_file_name(output: PurePath, form: Form) -> None:
    """Raise `UsageError` for an output folder that is named like a file of another kind."""
    suffix = output.suffix.lower()
    if form is Form.TOKENIZE and suffix in AUDIO_SUFFIXES:
        hint = f"Tokens go to a folder or to a name such as {output.stem}{SUFFIX}.safetensors."
        raise UsageError(f"{output} is named like audio, and tokenize writes token files", hint=hint)
    if form is Form.DETOKENIZE and has_token_suffix(output.name):
        raise UsageError(f"{output} is named like a token file, and detokenize writes audio")
    if form is not Form.TOKENIZE and suffix in AUDIO_SUFFIXES:
        hint = f"Choose one of {' '.join(WRITABLE)}, or a folder."
        raise UsageError(f"{suffix} cannot be written", hint=hint)


def refuse_unknown_format(output: str, form: Form) -> None:
    """Raise `UsageError` for the output of one file that ends like a file name: `x.xyz`, but not `x.xyz/`."""
    suffix = re.search(r"(?<=[^/.])\.([a-zA-Z0-9]{1,5})$", output)
    if suffix is None or suffix[1].isdigit():
        return
    if form is Form.TOKENIZE:
        raise UsageError(
            f"{output} does not name a token file",
            hint=f"Write {output[: suffix.start()]}{SUFFIX}.safetensors; for a folder, {output}/",
        )
    known = [name.lstrip(".") for name in (*WRITABLE, *kinds.WRITABLE)]
    likely = did_you_mean(suffix[1], known, f"There are {', '.join(known)}.")
    hint = f"{likely} For a folder write {output}/"
    raise UsageError(f"{output}: no format is called {suffix[1]}", hint=hint)


def check_single(request: Request, output: PurePath, source: PurePath) -> None:
    """Raise `UsageError` where one named output contradicts the options or its input."""
    asked = suffix_for(request.sound.format, output.suffix)
    if (
        request.form is not Form.TOKENIZE
        and request.sound.format != "keep"
        and asked != output.suffix.lower()
    ):
        raise UsageError(f"`format` {request.sound.format} and the name {output.name} contradict each other")
    tokens_out, tokens_in = has_token_suffix(output.name), has_token_suffix(source.name)
    if request.form is Form.ENHANCE and tokens_out and not tokens_in:
        raise UsageError(
            f"{output.name} is a token file, but the input is audio",
            hint="Enhance into an audio file, or `dacse tokenize` the input first.",
        )


def output_name(request: Request, found: Found) -> str:
    """The name of an input's output, without folders. Raises `UsageError` for a pattern's impossible name."""
    name, source = _own_name(request, found), found.source
    if request.pattern is None:
        return name
    stem = token_stem(source.name) if has_token_suffix(source.name) else source.stem
    ext = name[len(stem) + 1 :] if request.form is Form.TOKENIZE else name.rsplit(".", 1)[-1]
    values = {"{stem}": stem, "{ext}": ext}
    output = PurePosixPath(re.sub(r"\{\w+\}", lambda field: values[field[0]], request.pattern))
    if not names_file(output, request.form):
        words = f"{request.pattern} gives {output}, which cannot be written"
        raise UsageError(words, hint="Let it end with .{ext}")
    check_single(request, output, source)
    return output.name


def _own_name(request: Request, found: Found) -> str:
    """What an output is called where no pattern is given."""
    form, sound, file = request.form, request.sound, found.source.name
    is_tokens = has_token_suffix(file)
    stem = token_stem(file) if is_tokens else PurePath(file).stem
    if form is Form.TOKENIZE:
        return token_name(stem, request.codes_format, latents=request.latents is not None)
    if form is Form.DETOKENIZE:
        suffix = suffix_for("wav" if sound.format == "keep" else sound.format, ".wav")
        return f"{stem}{suffix}" if request.output else f"{stem}.decoded{suffix}"
    if is_tokens and sound.format == "keep":
        return token_name(stem, "safetensors", latents=f"{LATENTS_SUFFIX}." in file.lower())
    return stem + suffix_for(sound.format, ".wav" if is_tokens else PurePath(file).suffix)
