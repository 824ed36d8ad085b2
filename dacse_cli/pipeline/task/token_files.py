"""Token files on disk: read with the units of a codec, written under temporary names."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dacse_cli.codec.descript.container import DacFile, read_dac, write_dac
from dacse_cli.errors import InputError
from dacse_cli.files.atomic import stage_bytes
from dacse_cli.files.problems import reason
from dacse_cli.files.regular import NotRegularError, read_bytes
from dacse_cli.interfaces import CodecSpec, Codes, Latents, in_words
from dacse_cli.pipeline.wire.outcome import OutputFile
from dacse_cli.tokens.files import TokenFile, check
from dacse_cli.tokens.formats import dump, load
from dacse_cli.tokens.names import channel_names, token_form

MAX_TOKEN_FILE = 1 << 30
"""Most bytes of a token file; 24 hours of 9 codebooks at 86 frames per second take 0.14 GB."""
Levels = tuple[float, ...]
"""LUFS of each channel."""


def read_tokens(path: Path) -> TokenFile:
    """A token file of any form. Raises `InputError`."""
    try:
        data = read_bytes(path, MAX_TOKEN_FILE)
    except FileNotFoundError:
        raise InputError("no such file", reason="missing") from None
    except NotRegularError:
        raise InputError("not a regular file", reason="not-a-file") from None
    except OSError as error:
        raise InputError(f"cannot be read: {reason(error)}", reason="permission") from None
    if len(data) > MAX_TOKEN_FILE:
        raise InputError("larger than any token file", reason="not-tokens")
    form = token_form(path.name)
    if form != "dac":
        return load(data, form)
    file = read_dac(data)  # contains neither codec nor rates: `fitted` fills them in
    return TokenFile(file.on_grid(), "", 0, 0, 0, file.sample_rate, file.original_length, "")


def fitted(tokens: TokenFile, spec: CodecSpec, codec_name: str) -> TokenFile:
    """The file with missing fields filled in. Raises `InputError` where it was made for another codec."""
    units = next((u for u in (spec.units, spec.also) if isinstance(u, Codes) == tokens.holds_codes), None)
    size = units.size if isinstance(units, Codes) else 0
    too_high = tokens.holds_codes and bool(tokens.units.size) and int(tokens.units.max()) >= size
    if units is None or tokens.units.shape[1] != _width(units) or too_high:
        raise InputError(
            f"it holds {_content(tokens)}, the codec has {in_words(units or spec.units)}",
            reason="other-codec",
        )
    if not tokens.codec:  # text and .dac files do not say which codec made them
        whole = replace(
            tokens,
            codec=codec_name,
            sample_rate=spec.sample_rate,
            hop_length=spec.hop_length,
            codebook_size=size,
            original_sample_rate=tokens.original_sample_rate or spec.sample_rate,
            original_length=tokens.original_length or tokens.units.shape[2] * spec.hop_length,
        )
        check(whole)
        return whole
    theirs = (tokens.sample_rate, tokens.hop_length, tokens.codebook_size)
    if theirs != (spec.sample_rate, spec.hop_length, size) or _differ(tokens.codec, codec_name):
        ours = (
            codec_name if codec_name != tokens.codec else f"another codec of that name, {spec.sample_rate} Hz"
        )
        raise InputError(
            f"made for codec {tokens.codec} ({tokens.sample_rate} Hz), not for {ours}",
            reason="other-codec",
            hint="Name the codec it was made with by `codec`.",
        )
    return tokens


def _width(units: Codes | Latents) -> int:
    return units.books if isinstance(units, Codes) else units.width


def _content(tokens: TokenFile) -> str:
    width = tokens.units.shape[1]
    if not tokens.holds_codes:
        return f"latents of width {width}"
    return f"{width} codebooks of {int(tokens.units.max(initial=0)) + 1} or more codes"


def _differ(theirs: str, ours: str) -> bool:
    """Whether two codec names are of one kind (both hashes or both names) and not the same."""
    hashed = [name.startswith("sha256:") for name in (theirs, ours)]
    return hashed[0] == hashed[1] and theirs.split("@")[0] != ours.split("@")[0]


Save = Callable[[TokenFile, Levels], list[OutputFile]]
"""Writes a token file under temporary names; the levels are those of the recording's channels."""


def saver(target: Path) -> Save:
    """Writes beside `target`; text holds one channel per file."""
    form = token_form(target.name)

    def save(tokens: TokenFile, levels: Levels) -> list[OutputFile]:
        if form == "dac":
            return [_write(target, write_dac(_to_dac(tokens, levels)))]
        if form != "txt" or len(tokens.units) == 1:
            return [_write(target, dump(tokens, form))]
        names = [target.with_name(name) for name in channel_names(target.name, len(tokens.units))]
        ones = [tokens.with_units(tokens.units[c : c + 1]) for c in range(len(tokens.units))]
        return [_write(name, dump(one, form)) for name, one in zip(names, ones, strict=True)]

    return save


def _to_dac(tokens: TokenFile, levels: Levels) -> DacFile:
    """Store the codes as one padded window, the way dacse encodes."""
    frames, rate, length = tokens.codes.shape[2], tokens.original_sample_rate, tokens.original_length
    return DacFile(tokens.codes, levels, length, rate, frames, padding=True)


def _write(target: Path, data: bytes) -> OutputFile:
    written = stage_bytes(target, data)
    return OutputFile(written.temp, target, written.size, written.sha256)
