"""What a command was asked for -> the jobs it means, checked before anything is loaded. Imports no torch."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dacse_cli.audio.formats import AUDIO_SUFFIXES, WRITABLE, can_write, suffix_for
from dacse_cli.errors import UsageError
from dacse_cli.pipeline.request.inputs import Found, Inputs, Job, choose, find_inputs, plan_jobs
from dacse_cli.pipeline.request.request import Request
from dacse_cli.tokens.files import SUFFIX, has_token_suffix, is_token_name, token_name, token_stem


def is_descript_weights(codec: str) -> bool:
    """Whether a codec is named by a weights file of Descript's instead of a `DacModel`'s folder."""
    return codec.endswith(".pth")


@dataclass(frozen=True)
class ChainFiles:
    """Where the networks of a run lie and how they shall run; crosses process borders as JSON."""

    codec_folder: str
    """Or a weights file of Descript's."""
    codec_name: str
    """What token files say made them: a Hub id, a built-in name or a hash."""
    model_folder: str | None
    """None where only the codec is needed."""
    device: str
    dtype: str
    batch_size: int | None
    chunk: dict[str, Any]
    """`ChunkOptions` with nothing left open."""
    deterministic: bool = False
    kv: str = "auto"
    method: str = "generate"
    """What `--method auto` means for this model."""
    second_opinion: str | None = None
    """Whisper that compares words: a folder, or a size."""


@dataclass(frozen=True)
class Plan:
    """Jobs, and the folder that remembers them (None: single files beside their inputs)."""

    request: Request
    jobs: list[Job]
    journal: Path | None
    ignored: int


def plan(request: Request) -> Plan:
    """Raises `UsageError`, `NoInputError`."""
    request.check()
    output = Path(request.output) if request.output else None
    inputs = find_inputs(request.inputs, accepts(request.form), leave_out=output)
    if request.filters or request.settled is not None:
        choose(inputs, request.filters, request.settled)
    single = output is not None and names_file(output, request.form)
    if single:
        assert output is not None
        return _single(request, inputs, output)
    if output is not None:
        _refuse_file_name(output, request.form)
    name = namer(request)
    jobs = plan_jobs(inputs.files, lambda found: _place(found, output) / name(found))
    if request.shard is not None:  # after the whole was found free of collisions
        if output is None:
            raise UsageError("--shard needs an output folder, which holds the journals of all parts")
        mine = [request.shard.holds(found.relative) for found in inputs.files]
        jobs = [job for job, here in zip(jobs, mine, strict=True) if here]
    return Plan(request, jobs[: request.limit], output, inputs.ignored)


def accepts(form: str) -> Callable[[str], bool]:
    """Which files of a folder a command takes."""
    if form == "tokenize":
        return _is_audio
    if form == "detokenize":
        return is_token_name
    return lambda name: _is_audio(name) or is_token_name(name)


def _is_audio(name: str) -> bool:
    return Path(name).suffix.lower() in AUDIO_SUFFIXES


def names_file(output: Path, form: str) -> bool:
    """Whether the output names a file: it has a suffix that can be written and is no folder."""
    if output.is_dir():
        return False
    if form == "tokenize":
        return has_token_suffix(output.name)
    return can_write(output.suffix) or (form == "enhance" and output.suffix.lower() == ".safetensors")


def _refuse_file_name(output: Path, form: str) -> None:
    """Raise `UsageError` for what would become a folder and was surely meant as a file of another kind."""
    if output.is_dir():
        return
    suffix = output.suffix.lower()
    if form == "tokenize" and suffix in AUDIO_SUFFIXES:
        hint = f"Tokens go to a folder or to a name such as {output.stem}{SUFFIX}.safetensors."
        raise UsageError(f"{output} is named like audio, and tokenize writes token files", hint=hint)
    if form == "detokenize" and has_token_suffix(output.name):
        raise UsageError(f"{output} is named like a token file, and detokenize writes audio")
    if form != "tokenize" and suffix in AUDIO_SUFFIXES:  # one that can be written was taken for a file
        raise UsageError(
            f"{suffix} cannot be written", hint=f"Choose one of {' '.join(WRITABLE)}, or a folder."
        )


def _single(request: Request, inputs: Inputs, output: Path) -> Plan:
    """One input, one output file; the output's suffix decides the format."""
    if len(inputs.files) != 1:
        raise UsageError(
            f"{output} names one file, but there are {len(inputs.files)} inputs",
            hint="Give a folder as output.",
        )
    asked = suffix_for(request.sound.format, output.suffix)
    if request.form != "tokenize" and request.sound.format != "keep" and asked != output.suffix.lower():
        raise UsageError(f"--format {request.sound.format} and the name {output.name} contradict each other")
    sound = replace(request.sound, format="keep")
    source = inputs.files[0].source
    if request.form == "enhance" and has_token_suffix(output.name) and not has_token_suffix(source.name):
        raise UsageError(
            f"{output.name} is a token file, but the input is audio",
            hint="Enhance into an audio file, or `dacse tokenize` the input first.",
        )
    jobs = plan_jobs(inputs.files, lambda found: output)
    return Plan(replace(request, sound=sound), jobs, None, inputs.ignored)


def _place(found: Found, output: Path | None) -> Path:
    """The folder an output goes to: mirrored below `output`, or beside its input."""
    return found.source.parent if output is None else output / Path(found.relative).parent


def namer(request: Request) -> Callable[[Found], str]:
    """Names of outputs, without their folders."""
    form, sound = request.form, request.sound

    def name(found: Found) -> str:
        file = found.source.name
        stem = _stem(file)
        if form == "tokenize":
            return token_name(stem, request.codes_format)
        if form == "detokenize":
            suffix = suffix_for("wav" if sound.format == "keep" else sound.format, ".wav")
            return f"{stem}{suffix}" if request.output else f"{stem}.decoded{suffix}"
        if has_token_suffix(file) and sound.format == "keep":
            return token_name(stem, "safetensors")
        source_suffix = ".wav" if has_token_suffix(file) else Path(file).suffix
        return stem + suffix_for(sound.format, source_suffix)

    return name


def _stem(name: str) -> str:
    """A file's name without its suffix; a token file's without both of its suffixes."""
    return token_stem(name) if has_token_suffix(name) else Path(name).stem
