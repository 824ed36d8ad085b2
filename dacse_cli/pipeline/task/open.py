"""A job message -> a task: which source, which sink, which way through the models."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import numpy as np

from dacse_cli.audio.atomic import stage_bytes
from dacse_cli.audio.formats import choose_format
from dacse_cli.audio.info import AudioInfo, AudioScan
from dacse_cli.audio.loudness import loudness
from dacse_cli.codec.descript.container import DacFile, read_dac, write_dac
from dacse_cli.config import SoundOptions
from dacse_cli.errors import InputError
from dacse_cli.pipeline.task.enhance_audio import EnhanceAudio
from dacse_cli.pipeline.task.sources import FileSink, FileSource, Signal, Source
from dacse_cli.pipeline.task.task import Chain, Task
from dacse_cli.pipeline.task.tokens import Detokenise, EnhanceTokens, Save, Tokenise, check_codec
from dacse_cli.pipeline.wire.outcome import OutputFile
from dacse_cli.pipeline.wire.process import Message
from dacse_cli.tokens.files import TokenFile, has_token_suffix, token_form, token_stem
from dacse_cli.tokens.formats import dump, load

MAX_TOKEN_FILE = 1 << 30
"""Bytes; 24 hours of 9 codebooks at 86 frames a second are 0.14 GB."""


def open_task(job: Message, chain: Chain) -> Task:
    """Raises `InputError` for a bad token file or format, `OutputError` where nothing can be written."""
    source, target = Path(job["source"]), Path(job["target"])
    sound = SoundOptions.from_json(job["sound"])
    to_tokens = has_token_suffix(target.name)
    if job["scan"] is None:
        if job["form"] == "tokenize":
            raise InputError("a token file, not audio", reason="not-audio")
        tokens = check_codec(read_tokens(source), chain)
        _check_sound(tokens, sound)
        if job["form"] == "enhance" and chain.recogniser is not None:
            raise InputError("--second-opinion needs a recording, this is a token file", reason="options")
        if to_tokens:
            return EnhanceTokens(tokens, chain, save=saver(target), guard=sound.guard)
        sink = _sink_for_tokens(target, tokens, sound)
        if job["form"] == "detokenize":
            return Detokenise(tokens, sink, chain, sink.sample_rate)
        return EnhanceTokens(tokens, chain, sink=sink, rate=sink.sample_rate, guard=sound.guard)
    if job["form"] == "detokenize":
        raise InputError("audio, not a token file", reason="not-tokens")
    scan = AudioScan.from_json(job["scan"])
    recording = FileSource(source, Signal.of_scan(scan))
    if to_tokens:
        return Tokenise(recording, source.name, chain, sound.channels, saver(target))
    sink = open_sink(target, scan.info, sound, source)
    return EnhanceAudio(recording, sink, chain, replace(sound, rate=sink.sample_rate))


def _check_sound(tokens: TokenFile, sound: SoundOptions) -> None:
    """Codes can be mixed neither with each other nor with a recording that is not there."""
    if sound.channels == "mono" and len(tokens.codes) > 1:
        raise InputError("--channels mono needs a recording, this is a token file", reason="options")
    if sound.method == "filter":
        raise InputError("--method filter needs a recording, this is a token file", reason="options")
    if sound.changes_level:
        raise InputError(
            "--mix, --profile and --loudness need a recording, this is a token file", reason="options"
        )


def open_sink(target: Path, info: AudioInfo, sound: SoundOptions, source: Path | None = None) -> FileSink:
    """Where the result of a recording goes; the sink says at which rate it wants it.

    What `source` holds beside its sound (tags, pictures, other streams) goes there, too.

    Raises `InputError` with reason `format` where `target` cannot hold the result, `OutputError`.
    """
    channels = 1 if sound.channels == "mono" else info.channels
    rate = sound.rate or info.sample_rate
    form = choose_format(sound.format, info, source_suffix=target.suffix, rate=rate, channels=channels)
    if form.suffix != target.suffix:  # names were settled before files were opened
        raise InputError(
            form.note or f"{target.suffix} cannot hold the result", reason="format", hint="use --format wav"
        )
    note = form.note if form.sample_rate != rate else None
    return FileSink(target, form, channels, note, (source, info) if source is not None else None)


def _sink_for_tokens(target: Path, tokens: TokenFile, sound: SoundOptions) -> FileSink:
    rate = tokens.original_sample_rate
    info = AudioInfo(tokens.original_length, rate, len(tokens.codes), "WAV", "PCM_16", 0)
    return open_sink(target, info, sound)


def read_tokens(path: Path) -> TokenFile:
    """A token file of any form; `InputError` where it is none."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a read from a pipe would wait for ever
            raise InputError("not a regular file", reason="not-a-file")
        if status.st_size > MAX_TOKEN_FILE:
            raise InputError(f"{status.st_size} bytes are more than any token file", reason="not-tokens")
        data = path.read_bytes()
    except FileNotFoundError:
        raise InputError("no such file", reason="missing") from None
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", reason="permission") from None
    form = token_form(path.name)
    if form == "dac":
        return _from_dac(read_dac(data))
    return load(data, form)


def _from_dac(file: DacFile) -> TokenFile:
    """Descript's container names neither codec nor rates: `check_codec` fills them in."""
    return TokenFile(file.on_grid(), "", 0, 0, 0, file.sample_rate, file.original_length, "")


def saver(target: Path) -> Save:
    """Writes token files under temporary names beside `target`; text holds one channel a file."""

    def save(tokens: TokenFile, source: Source | None) -> list[OutputFile]:
        form = token_form(target.name)
        if form == "dac":
            return [_write(target, write_dac(_to_dac(tokens, source)))]
        if form != "txt" or len(tokens.codes) == 1:
            return [_write(target, dump(tokens, form))]
        stem = token_stem(target.name)
        files = []
        for c in range(len(tokens.codes)):
            one = tokens.with_units(tokens.codes[c : c + 1])
            files.append(_write(target.with_name(f"{stem}.ch{c + 1}.tokens.txt"), dump(one, form)))
        return files

    return save


def _to_dac(tokens: TokenFile, source: Source | None) -> DacFile:
    """One padded window, which is what our codes are; the loudness is read from the whole recording."""
    assert source is not None
    samples = np.concatenate(list(source.blocks()), axis=1)
    levels = tuple(loudness(channel, source.signal.sample_rate) for channel in samples[: len(tokens.codes)])
    frames = tokens.codes.shape[2]
    rate, length = tokens.original_sample_rate, tokens.original_length
    return DacFile(tokens.codes, levels, length, rate, frames, padding=True)


def _write(target: Path, data: bytes) -> OutputFile:
    written = stage_bytes(target, data)
    return OutputFile(written.temp, target, written.size, written.sha256)
