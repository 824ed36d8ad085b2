"""Stand-ins for the intake and the worker that live in the same process: real files, no networks.

The intake reads with the real reader. The worker copies: samples through the real `OutputWriter`, token
files through `stage_bytes`. So everything around the models is the real thing, at milliseconds a file.
A word in the name of an input makes a stand-in misbehave: see `Misbehaviour`.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import ClassVar

from dacse_cli.audio.atomic import stage_bytes
from dacse_cli.audio.formats import OutputFormat
from dacse_cli.audio.info import AudioScan
from dacse_cli.audio.probe import probe, scan
from dacse_cli.audio.read import AudioReader
from dacse_cli.audio.write import OutputWriter
from dacse_cli.errors import DacseError, InputError
from dacse_cli.hub import Resolved
from dacse_cli.pipeline.request import networks
from dacse_cli.pipeline.request.plan import ChainFiles
from dacse_cli.pipeline.run import decoders as looking
from dacse_cli.pipeline.run import run
from dacse_cli.pipeline.run import store_run as cloud_run
from dacse_cli.pipeline.run import workers as crew
from dacse_cli.pipeline.wire.outcome import OutputFile
from dacse_cli.pipeline.wire.process import Child

FILES = ChainFiles("codec", "codec", "model", "cpu", "float32", 2, {"seconds": 1.0, "overlap": 0.0})


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

    def _look(self, message):
        path = Path(message["path"])
        if "bad-decoder" in path.name and message["type"] == "scan":
            return self.die()
        self.stuck |= "stuck-decoder" in path.name
        if self.stuck:
            return None
        try:
            found = scan(path) if message["type"] == "scan" else probe(path)
        except InputError as error:
            facts = {"reason": error.reason, "message": error.message, "hint": error.hint}
            return self.answer({"type": "bad", "id": message["id"], **facts})
        return self.answer({"type": message["type"], "id": message["id"], "facts": found.to_json()})

    def _work(self, message):
        if message["type"] == "load":
            facts = {"batch": 2, "stride_seconds": 1.0, "chunk_seconds": 1.0, "runs": "a fake"}
            return self.answer({"type": "loaded", **facts})
        if message["type"] == "job":
            misbehave(self, message) or self._job(message)
        return None

    def _job(self, message):
        try:
            files, seconds = copy(message)
        except DacseError as error:
            facts = {"reason": getattr(error, "reason", "output"), "message": error.message}
            facts |= {"hint": error.hint, "exit_code": error.exit_code, "trace": None}
            return self.answer({"type": "failed", "id": message["id"], **facts})
        self.answer({"type": "progress", "seconds": seconds})
        return self.answer(
            {"type": "ready", "id": message["id"], "files": files, "seconds": seconds, "warnings": []}
        )


def misbehave(child, message):
    """What the name of an input asks for; True where the job is not to be done."""
    source = Path(message["source"])
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


def copy(message):
    """The job's output under a temporary name, and seconds of audio."""
    source, target = Path(message["source"]), Path(message["target"])
    if message["scan"] is None:
        written, seconds = stage_bytes(target, source.read_bytes()), 0.0
    else:
        info = AudioScan.from_json(message["scan"]).info
        subtype = info.subtype if info.container == "WAV" else "PCM_16"
        fmt = OutputFormat(info.container, subtype, target.suffix, info.sample_rate, None)
        with AudioReader(source) as reader, OutputWriter(target, fmt, info.channels) as writer:
            while (samples := reader.read(65536)).shape[1]:
                writer.write(samples)
            written, seconds = writer.finish(info.frames), info.seconds
    return [OutputFile(written.temp, target, written.size, written.sha256).to_json()], seconds


def install(put=setattr):
    """Let `run` use the stand-ins. `put` may be a monkeypatch's `setattr`, which undoes it."""
    FakeChild.started.clear()
    put(crew, "Child", FakeChild)
    put(looking, "Child", FakeChild)
    install_networks(put)


def install_networks(put=setattr):
    """Let `run` look for no models."""
    found = networks.Networks(
        Resolved(Path("model"), "model", None, "m" * 64, False),
        Resolved(Path("codec"), "codec", None, "c" * 64, False),
    )
    for module in (run, cloud_run):
        put(module, "find_networks", lambda *args, **kwargs: found)
        put(module, "chain_files", lambda request, networks: FILES)
