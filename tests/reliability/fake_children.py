"""Stand-ins for the decoder and the worker that live in the same process: real files, no models.

The decoder reads with the real reader. The worker copies: samples through the real `OutputWriter`, token
files through `stage_bytes`. So everything around the models is the real thing, at milliseconds per file.
A word in the name of an input makes a stand-in misbehave: see `misbehave`.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import ClassVar

from dacse_cli.audio.formats import OutputFormat
from dacse_cli.audio.probe import probe, scan
from dacse_cli.audio.read import AudioReader
from dacse_cli.audio.write import OutputWriter
from dacse_cli.config import ChunkOptions
from dacse_cli.errors import DacseError, InputError
from dacse_cli.files.atomic import stage_bytes
from dacse_cli.hub import Resolved
from dacse_cli.pipeline.request.find_models import FoundModels
from dacse_cli.pipeline.run import decoders, forecast, run, workers
from dacse_cli.pipeline.wire.failures import failure_of
from dacse_cli.pipeline.wire.messages import (
    Advanced,
    Failed,
    Load,
    Loaded,
    Look,
    Ready,
    Seen,
    Unreadable,
    Work,
)
from dacse_cli.pipeline.wire.model_plan import ModelPlan, Part
from dacse_cli.pipeline.wire.outcome import Finished, OutputFile
from dacse_cli.pipeline.wire.process import Child

CHUNK = ChunkOptions(1.0, 0.0, 0.25)
PLAN = ModelPlan(Part("dac", "codec"), Part("llama", "model"), None, "cpu", "float32", 2, CHUNK)


class FakeChild(Child):
    """Answers at once, in the caller's thread."""

    started: ClassVar[list[str]] = []

    def __init__(self, module, inbox):
        self.module, self.inbox = module, inbox
        self.alive, self.stuck, self.cause = True, False, "crashed (SIGSEGV)"
        self.started.append(module.rsplit(".", 1)[1])

    def answer(self, message):
        self.inbox.put((self, message))

    def die(self, cause="crashed (SIGSEGV)"):
        self.alive, self.cause = False, cause
        self.answer(None)

    def send(self, message):
        if self.alive:
            handle = self._look if self.module.endswith("decoder") else self._work
            handle(message)

    def kill(self):
        self.alive = False

    def stop(self, cause):
        if self.alive:
            self.die(cause)

    def cause_of_death(self):
        return self.cause

    def _look(self, look):
        assert isinstance(look, Look)
        if "bad-decoder" in look.path.name and look.whole:
            return self.die()
        self.stuck |= "stuck-decoder" in look.path.name
        if self.stuck:
            return None
        try:
            if not look.whole:
                return self.answer(Seen(look.id, probe(look.path)))
            found = scan(look.path)
            return self.answer(Seen(look.id, found.info, found))
        except InputError as error:
            return self.answer(Unreadable(look.id, failure_of(error)))

    def _work(self, message):
        if isinstance(message, Load):
            return self.answer(Loaded(2, 1.0, "a fake"))
        if isinstance(message, Work):
            misbehave(self, message) or self._job(message)
        return None

    def _job(self, work):
        try:
            files, seconds = copy(work)
        except DacseError as error:
            return self.answer(Failed(work.id, failure_of(error)))
        self.answer(Advanced(seconds))
        return self.answer(Ready(work.id, Finished(files, seconds)))


def misbehave(child, work):
    """What the name of an input asks for; True where the job is not to be done."""
    source = work.source
    name = source.name
    if "kills-worker" in name or ("kills-once" in name and child.started.count("model") == 1):
        child.die("killed, most likely because memory ran out")
        return True
    for word in ("sigint", "sigterm", "sighup"):
        if word in name:
            os.kill(os.getpid(), getattr(signal, word.upper()))
    if "grows" in name:
        with source.open("ab") as file:
            file.write(b"more")
    if "vanishes" in name:
        source.rename(source.with_name("away"))
    return "never-ends" in name


def copy(work):
    """The output under a temporary name, and seconds of audio."""
    if work.scan is None:
        written, seconds = stage_bytes(work.target, work.source.read_bytes()), 0.0
    else:
        info = work.scan.info
        subtype = info.subtype if info.container == "WAV" else "PCM_16"
        fmt = OutputFormat(info.container, subtype, work.target.suffix, info.sample_rate, None)
        with AudioReader(work.source) as reader, OutputWriter(work.target, fmt, info.channels) as writer:
            while (samples := reader.read(65536)).shape[1]:
                writer.write(samples)
            written, seconds = writer.finish(info.frames), info.seconds
    return (OutputFile(written.temp, work.target, written.size, written.sha256),), seconds


def found_for(request, model="m"):
    """Models that lie nowhere; `model` is a letter of the model's hash."""
    return FoundModels(
        request,
        Resolved(Path("model"), "model", None, model * 64, False),
        Resolved(Path("codec"), "codec", None, "c" * 64, False),
        PLAN.translator,
        None,
        None,
        PLAN.codec,
        "generate",
        CHUNK,
    )


def install(put=setattr):
    """Let `run` use the stand-ins. `put` may be a monkeypatch's `setattr`, which undoes it."""
    FakeChild.started.clear()
    put(workers, "Child", FakeChild)
    put(decoders, "Child", FakeChild)
    install_models(put)


def install_models(put=setattr):
    """Let `run` look for no models."""
    for module in (run, forecast):
        put(module, "find_models", lambda request, progress=None: found_for(request))
