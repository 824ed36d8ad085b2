"""A piece of work -> a task: its source, its sink and the models it goes through.

Used by the command's worker and by the library. Tasks are imported when they are needed, so that a filter
alone loads no codec.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from dacse_cli.audio.formats import format_for
from dacse_cli.audio.info import AudioInfo, AudioScan
from dacse_cli.config import SoundOptions
from dacse_cli.errors import InputError
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.reading.sources import FileSource, Signal, Source
from dacse_cli.pipeline.task.task import Task
from dacse_cli.pipeline.task.writing.sinks import FileSink, Sink
from dacse_cli.pipeline.wire.messages import Form, Work
from dacse_cli.tokens.files import TokenFile
from dacse_cli.tokens.names import has_token_suffix, token_form


def open_task(work: Work, models: Models) -> Task:
    """Raises `InputError` for a bad token file or format, `OutputError` where nothing can be written."""
    if work.scan is None:
        return _open_tokens(work, models)
    if work.form is Form.DETOKENIZE:
        raise InputError("audio, not a token file", reason="not-tokens")
    source = FileSource(work.source, Signal.of_scan(work.scan))
    if has_token_suffix(work.target.name):
        from dacse_cli.pipeline.task.token_files import saver
        from dacse_cli.pipeline.task.tokens import Tokenise

        dac = token_form(work.target.name) == "dac"
        save, channels = saver(work.target), work.sound.channels
        stored = np.dtype(work.latents)
        return Tokenise(source, work.source.name, models, channels, save, levels=dac, latents=stored)
    return file_task(source, work.scan, work.target, models, work.sound)


def file_task(source: FileSource, scan: AudioScan, target: Path, models: Models, sound: SoundOptions) -> Task:
    """The task that enhances a recording into a file. Raises `InputError`, `OutputError`."""
    sink = open_sink(target, scan.info, sound, source.path)
    try:
        return enhance_task(source, sink, models, replace(sound, rate=sink.sample_rate))
    except BaseException:
        sink.abandon()
        raise


def enhance_task(source: Source, sink: Sink, models: Models, sound: SoundOptions) -> Task:
    """The task that enhances a recording with the loaded models."""
    if models.translator is None or sound.share == 0:
        from dacse_cli.pipeline.task.filtering import FilterAudio

        return FilterAudio(source, sink, models, sound)
    from dacse_cli.pipeline.task.enhance_audio import EnhanceAudio

    return EnhanceAudio(source, sink, models, sound)


def _open_tokens(work: Work, models: Models) -> Task:
    if work.form is Form.TOKENIZE:
        raise InputError("a token file, not audio", reason="not-audio")
    spec = models.spec  # raises where there is no codec
    from dacse_cli.pipeline.task.token_files import fitted, read_tokens, saver
    from dacse_cli.pipeline.task.tokens import Detokenise, EnhanceTokens

    if work.form is Form.ENHANCE:
        spec = replace(spec, also=None)  # units of another kind cannot be used by the model
    tokens = fitted(read_tokens(work.source), spec, models.codec_name)
    sound = work.sound
    if work.form is Form.ENHANCE:
        if tokens.quantised:
            raise InputError("latents after quantisation, which no model reads", reason="other-units")
        _check_sound(tokens, sound, models)
    if has_token_suffix(work.target.name):
        return EnhanceTokens(tokens, models, save=saver(work.target), guard=sound.guard)
    sink = _sink_for_tokens(work.target, tokens, sound)
    if work.form is Form.DETOKENIZE:
        return Detokenise(tokens, sink, models, sink.sample_rate)
    return EnhanceTokens(tokens, models, sink=sink, rate=sink.sample_rate, guard=sound.guard)


def _check_sound(tokens: TokenFile, sound: SoundOptions, models: Models) -> None:
    """Refuse sound options for token files: units cannot be mixed, and there is no recording to mix with."""
    refused = {
        "channels mono": sound.channels == "mono" and len(tokens.units) > 1,
        f"method {sound.method}": sound.method not in ("auto", "generate"),
        "mix, profile and loudness": sound.changes_level,
        "a second opinion": models.recogniser is not None,
    }
    for what, asked in refused.items():
        if asked:
            raise InputError(f"{what}: needs a recording, this is a token file", reason="options")


def open_sink(target: Path, info: AudioInfo, sound: SoundOptions, source: Path | None = None) -> FileSink:
    """The sink for the result of a recording; the sink determines the result's sample rate.

    What `source` holds beside its sound (tags, pictures, other streams) is written too.

    Raises `InputError` with reason `format` where `target` cannot hold the result, `OutputError`.
    """
    form = format_for(target.suffix, info, sound)
    channels = 1 if sound.channels == "mono" else info.channels
    note = form.note if form.sample_rate != (sound.rate or info.sample_rate) else None
    return FileSink(target, form, channels, note, (source, info) if source is not None else None)


def _sink_for_tokens(target: Path, tokens: TokenFile, sound: SoundOptions) -> FileSink:
    rate = tokens.original_sample_rate
    info = AudioInfo(tokens.original_length, rate, len(tokens.units), "WAV", "PCM_16", 0)
    return open_sink(target, info, sound)
