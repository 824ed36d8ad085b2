"""The process that owns the truth: gives out work, commits results, survives its workers. Imports no torch.

One inbox takes everything that happens: answers of the intake (is this an audio file?), answers of the
worker (models), their deaths, signals. Each message is handled in one short step, so a signal is never
late. First signal: finish what ends within `GRACE_SECONDS`, drop the rest. Second: out at once.
"""

from __future__ import annotations

import os
import queue
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from dacse_cli.audio.atomic import discard_part
from dacse_cli.audio.info import AudioInfo, AudioScan
from dacse_cli.errors import LockedError, OutputError
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.request.inputs import Job
from dacse_cli.pipeline.request.plan import ChainFiles, Plan
from dacse_cli.pipeline.run.decoders import Intake, Look, MakeLooker
from dacse_cli.pipeline.run.workers import Crew, Load, MakeCrew, Station
from dacse_cli.pipeline.wire.events import Detail, Event, Planned, Progress, Stage
from dacse_cli.pipeline.wire.failures import fatal_error
from dacse_cli.pipeline.wire.outcome import Outcome
from dacse_cli.pipeline.wire.process import Inbox, Message
from dacse_cli.tokens.files import has_token_suffix

GRACE_SECONDS = 10.0
TICK = 1.0
"""Seconds after which the supervisor looks around although nothing has happened."""
SCAN_AHEAD = 8
"""Inputs scanned before the workers ask for them; more where there are more workers."""


class _InterruptedError(Exception):
    """The grace period is over, or a second signal came."""


class Supervisor:
    """Runs the jobs of a plan to their ends; the ledger holds the outcome."""

    def __init__(
        self,
        plan: Plan,
        files: ChainFiles,
        ledger: Ledger,
        tell: Callable[[Event], None],
        crew: MakeCrew = Crew,
        intake: MakeLooker = Intake,
    ) -> None:
        self._request, self._ledger, self._tell = plan.request, ledger, tell
        self._inbox: Inbox = queue.SimpleQueue()
        self._intake = intake(self._inbox)
        self._crew = crew(files, self._inbox)
        self._infos: dict[int, AudioInfo] = {}
        self._to_scan: deque[int] = deque()
        self._loads: deque[Load] = deque()
        self._warnings: dict[int, list[str]] = {}
        self._deadline: float | None = None
        self._stepped_at = time.monotonic()
        self._loaded_at = 0.0

    @property
    def pace(self) -> tuple[float, float]:
        """Seconds of audio done, and seconds of work since the models were ready."""
        return self._crew.seconds, time.monotonic() - self._loaded_at if self._loaded_at else 0.0

    def probe(self, jobs: list[Job]) -> dict[int, AudioInfo]:
        """Look at the headers of all inputs; bad ones end as failed. Token files are not audio."""
        for job in jobs:
            if not has_token_suffix(os.path.basename(job.reads)):
                self._intake.ask(Look("probe", job.index, job.source))
        while self._intake.busy:
            self._step()
        return self._infos

    def run(self, jobs: list[Job]) -> None:
        """Bring every job that is still open to its end. Raises `DacseError` for what stops the whole run."""
        jobs = [job for job in jobs if self._ledger.is_open(job.index)]
        if not jobs:
            return
        seconds = sum(info.seconds for index, info in self._infos.items() if self._ledger.is_open(index))
        self._tell(Planned(len(jobs), seconds))
        self._tell(Stage("loading the models"))
        self._crew.start()
        # the longest first, so that what is left at the end shares batches
        infos = self._infos
        for job in sorted(jobs, key=lambda job: -infos[job.index].seconds if job.index in infos else 0.0):
            if job.remote or not has_token_suffix(os.path.basename(job.reads)):
                self._to_scan.append(job.index)
            else:
                self._loads.append(self._load(job, None))
        while self._ledger.open_count:
            self._hand_out()
            self._step()
        self._crew.dismiss()

    def _hand_out(self) -> None:
        """Keep the intake a little ahead of the worker, and the worker a little ahead of the model."""
        if self._stopping:
            return
        ahead = max(SCAN_AHEAD, 2 * self._crew.size)
        while self._to_scan and self._intake.busy + len(self._loads) < ahead:
            job = self._ledger.job(self._to_scan.popleft())
            kind = "fetch" if has_token_suffix(job.source.name) else "scan"
            self._intake.ask(Look(kind, job.index, job.source))
        for station in self._crew.stations:
            if suspect := station.next_suspect():
                station.give(suspect)
        while self._loads and (roomiest := self._crew.roomiest()):
            roomiest.give(self._loads.popleft())

    def _load(self, job: Job, scan: AudioScan | None) -> Load:
        request = self._request
        message = {
            "type": "job",
            "id": job.index,
            "source": job.reads,
            "target": job.writes,
            "form": request.form,
            "sound": request.sound.to_json(),
            "scan": scan.to_json() if scan else None,
            "keep": self._ledger.keeping(job.index) if request.form == "enhance" else None,
        }
        rows = len(set(scan.twins)) if scan and request.sound.channels == "keep" else 1
        return Load(job.index, message, scan.frames / scan.info.sample_rate if scan else 0.0, rows)

    # -- one message at a time ---------------------------------------------------------------------------

    @property
    def _stopping(self) -> bool:
        return self._deadline is not None

    def _step(self) -> None:
        try:
            child, message = self._inbox.get(timeout=self._wait())
        except queue.Empty:
            if self._deadline is not None and time.monotonic() >= self._deadline:
                raise _InterruptedError from None
            return
        finally:
            self._watch_children()
        if child is None:
            self._signalled()
        elif self._intake.owns(child):
            answer = self._intake.take(child, message)
            if answer is not None:
                self._looked(*answer)
        elif station := self._crew.station_of(child):
            if message is None:
                self._worker_died(station)
            else:
                self._worker_says(station, message)
        if self._stopping and not any(self._crew.held):
            raise _InterruptedError

    def _wait(self) -> float:
        """Seconds until there is something to do even if nothing happens."""
        return TICK if self._deadline is None else min(TICK, max(0.0, self._deadline - time.monotonic()))

    def _watch_children(self) -> None:
        """Count the time they take, but no time in which the machine slept or this process stood."""
        now = time.monotonic()
        passed = min(now - self._stepped_at, 2 * TICK)
        self._intake.passed(passed)
        self._crew.passed(passed)
        self._stepped_at = now

    def _looked(self, look: Look, answer: Message) -> None:
        if answer["type"] == "fatal":
            raise fatal_error(answer)
        if not self._ledger.is_open(look.index):
            return
        if answer["type"] == "bad":
            self._ledger.fail(look.index, answer["reason"], answer["message"])
        elif look.type == "probe":
            self._infos[look.index] = AudioInfo.from_json(answer["facts"])
        elif look.type == "fetch":
            self._loads.append(self._load(self._ledger.job(look.index), None))
        else:
            self._infos.pop(look.index, None)
            self._scanned(self._ledger.job(look.index), AudioScan.from_json(answer["facts"]))

    def _scanned(self, job: Job, scan: AudioScan) -> None:
        if scan.bad_samples:
            total = scan.frames * scan.info.channels
            what = f"{scan.bad_samples:,} of {total:,} samples are NaN or infinite"
            self._ledger.fail(job.index, "nan", what)
            return
        if scan.frames == 0:
            self._ledger.fail(job.index, "no-samples", "there are no samples in it")
            return
        if scan.warning and self._request.strict:
            self._ledger.fail(job.index, "damaged", scan.warning)
            return
        if scan.warning:
            self._warnings.setdefault(job.index, []).append(scan.warning)
        self._loads.append(self._load(job, scan))

    def _worker_says(self, station: Station, message: Message) -> None:
        kind = message["type"]
        station.silent = 0.0
        if kind == "loaded":
            self._crew.loaded(station, message)
            self._loaded_at = self._loaded_at or time.monotonic()
            self._tell(Detail(f"{message['runs']}, batches of {message['batch']}"))
            self._tell(Stage("enhancing" if self._request.form == "enhance" else "working"))
        elif kind == "progress":
            station.progress(message["seconds"], message.get("resumed", 0.0))
            self._tell(Progress(*self.pace, self._crew.resumed))
        elif kind == "started":
            self._ledger.start(message["id"])
        elif kind == "ready":
            station.release(message["id"])
            self._ledger.settle(message["id"], message, self._warnings.pop(message["id"], []))
        elif kind == "failed":
            station.release(message["id"])
            self._job_failed(message)
        elif kind == "fatal":
            raise fatal_error(message)

    def _job_failed(self, message: Message) -> None:
        for kind in (OutputError, LockedError):  # what would meet every other input as well
            if message["exit_code"] == kind.exit_code:
                raise kind(message["message"], hint=message["hint"])
        if message["trace"]:
            self._tell(Detail(message["trace"]))
        self._ledger.fail(message["id"], message["reason"], message["message"])

    def _worker_died(self, station: Station) -> None:
        held = list(station.held)
        cause, given_up, orphans = self._crew.bury(station)
        self._discard_parts(held)
        for load in given_up:
            self._ledger.fail(load.index, "worker-died", f"the model worker {cause}, twice, on this file")
        self._tell(Detail(f"the model worker {cause}; the files it held are tried again one by one"))
        self._loads.extendleft(reversed(orphans))
        if not self._stopping:
            self._crew.start()

    def _discard_parts(self, indices: Iterable[int]) -> None:
        """Remove what a dead worker had begun. By name: others may be writing into the same folders."""
        for index in indices:
            discard_part(self._ledger.job(index).target)

    # -- signals -----------------------------------------------------------------------------------------

    @contextmanager
    def watching_signals(self) -> Iterator[None]:
        """While inside, INT, TERM and HUP are messages; on leaving, no child is left."""

        def note(signum: int, frame: FrameType | None) -> None:
            self._ledger.summary.stopped_by = self._ledger.summary.stopped_by or signum
            self._inbox.put((None, None))

        before: dict[int, Any] = {}
        for name in ("SIGINT", "SIGTERM", "SIGHUP"):
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, note)
        try:
            yield
        except _InterruptedError:
            self._drop()
        except BaseException:
            self._drop()
            raise
        finally:
            self.close()
            for number, handler in before.items():
                signal.signal(number, handler)

    def close(self) -> None:
        """Leave no child behind."""
        self._intake.close()
        self._crew.kill()

    def _signalled(self) -> None:
        if self._stopping:
            raise _InterruptedError
        self._deadline = time.monotonic() + (GRACE_SECONDS if self._ends_soon() else 0.0)
        if self._deadline > time.monotonic():
            self._tell(Stage("finishing the files under way; once more to stop at once"))

    def _ends_soon(self) -> bool:
        """Whether the files in the worker's hands will be done within the grace period."""
        seconds, elapsed = self.pace
        if not any(self._crew.held) or not seconds:
            return False
        done = sum(r.seconds for r in self._ledger.summary.results if r.outcome is not Outcome.SKIPPED)
        left = sum(load.seconds for load in self._crew.held) - (seconds + self._crew.resumed - done)
        return left * elapsed / seconds < GRACE_SECONDS

    def _drop(self) -> None:
        """Kill the workers and remove what they had begun."""
        held = [load.index for load in self._crew.held]
        self._crew.kill()
        self._discard_parts(held)
