"""The process that gives out work and commits results, and outlives its workers. Imports no torch.

All events arrive in one inbox: answers of the decoder processes, messages and deaths of the model processes,
signals. Each is handled in one short step, so signals are handled without delay.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from dacse_cli.audio.info import AudioInfo, AudioScan
from dacse_cli.errors import InputError
from dacse_cli.files.atomic import discard_part
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.request.jobs import Job
from dacse_cli.pipeline.request.request import Request
from dacse_cli.pipeline.request.scans import check_scan
from dacse_cli.pipeline.run import stopping
from dacse_cli.pipeline.run.decoders import Answer, Here, MakeDecoders
from dacse_cli.pipeline.run.stopping import StoppedError, Stopping
from dacse_cli.pipeline.run.workers import Item, MakeWorkers, Slot
from dacse_cli.pipeline.wire.events import Detail, Planned, Progress, Stage, Tell
from dacse_cli.pipeline.wire.failures import Failure
from dacse_cli.pipeline.wire.messages import (
    Advanced,
    Failed,
    Fatal,
    Form,
    Loaded,
    Look,
    Ready,
    Started,
    Unreadable,
    Work,
)
from dacse_cli.pipeline.wire.model_plan import ModelPlan
from dacse_cli.pipeline.wire.outcome import Outcome
from dacse_cli.pipeline.wire.process import Inbox

SCAN_AHEAD = 8
"""Inputs decoded before the workers ask for them; more where there are more workers."""


class Supervisor:
    """Runs all jobs; the ledger holds their outcomes."""

    def __init__(
        self,
        request: Request,
        plan: ModelPlan,
        ledger: Ledger,
        tell: Tell,
        workers: MakeWorkers,
        decoders: MakeDecoders,
    ) -> None:
        self._request, self._ledger, self._tell = request, ledger, tell
        self._inbox: Inbox = queue.SimpleQueue()
        self._decoders = decoders(self._inbox)
        self._workers = workers(plan, self._inbox)
        self._infos: dict[int, AudioInfo] = {}
        self._scans: dict[int, AudioScan] = {}
        self._to_scan: deque[int] = deque()
        self._ready: deque[Item] = deque()
        self._damage: dict[int, str] = {}
        self._stopping = Stopping()
        self._probing = False
        self._stepped_at = time.monotonic()
        self._loaded_at = 0.0

    @property
    def pace(self) -> tuple[float, float]:
        """Seconds of audio done, and seconds of work since the models were ready."""
        return self._workers.seconds, time.monotonic() - self._loaded_at if self._loaded_at else 0.0

    def probe(self, jobs: list[Job]) -> dict[int, AudioInfo]:
        """Read the headers of all recordings; bad ones end as failed."""
        self._probing = True
        for job in jobs:
            if not job.is_tokens:
                self._decoders.ask(Look(job.index, job.source, whole=False))
        while self._decoders.busy:
            self._step()
        self._probing = False
        return self._infos

    def run(self, jobs: list[Job], *, probed: bool) -> None:
        """Process every job without an outcome. Raises `DacseError` for an error that stops the whole run."""
        jobs = [job for job in jobs if self._ledger.is_open(job.index)]
        if not jobs:
            return
        seconds = sum(info.seconds for index, info in self._infos.items() if self._ledger.is_open(index))
        known = probed and all(job.index in self._infos for job in jobs)  # token files are not probed
        ended = self._ledger.summary.results
        done = sum(result.reason == "already-done" for result in ended)
        self._tell(Planned(len(jobs), seconds if known else None, len(jobs) + len(ended), done))
        if not self._loaded_at:
            self._tell(Stage("loading the models"))
        self._workers.start(seconds)
        # the longest first, so that what is left at the end shares batches
        infos = self._infos
        for job in sorted(jobs, key=lambda job: -infos[job.index].seconds if job.index in infos else 0.0):
            if scan := self._scans.pop(job.index, None):
                self._scanned(job, scan)
            elif job.entry is not None or not job.is_tokens:
                self._to_scan.append(job.index)
            else:
                self._ready.append(self._item(job, None))
        while self._ledger.open_count:
            self._hand_out()
            self._step()
        self._infos.clear()

    def end(self) -> None:
        """Tell the workers that no more jobs will come, so that they exit."""
        self._workers.end()

    def _hand_out(self) -> None:
        """Keep the decoders a little ahead of the workers, and the workers a little ahead of the models."""
        if self._stopping.asked:
            return
        ahead = max(SCAN_AHEAD, 2 * self._workers.size)
        while self._to_scan and self._decoders.busy + len(self._ready) < ahead:
            job = self._ledger.job(self._to_scan.popleft())
            self._decoders.ask(Look(job.index, job.source))
        for slot in self._workers.slots:
            if suspect := slot.next_suspect():
                slot.give(suspect)
        while self._ready and (roomiest := self._workers.roomiest()):
            roomiest.give(self._ready.popleft())

    def _item(self, job: Job, scan: AudioScan | None) -> Item:
        request = self._request
        keep = self._ledger.keep(job.index) if request.form is Form.ENHANCE else None
        latents = request.latents or "float32"
        work = Work(job.index, job.source, job.target, request.form, request.sound, scan, keep, latents)
        rows = len(set(scan.duplicates)) if scan and request.sound.channels == "keep" else 1
        return Item(work, scan.frames / scan.info.sample_rate if scan else 0.0, rows)

    # -- one message at a time ---------------------------------------------------------------------------

    def _step(self) -> None:
        try:
            sender, message = self._inbox.get(timeout=self._stopping.wait())
        except queue.Empty:
            self._stopping.check()
            return
        finally:
            self._count_time()
        if isinstance(message, Fatal):
            raise message.failure.error()
        if sender is None:
            self._signalled()
        elif self._decoders.owns(sender):
            self._answered(self._decoders.take(sender, message))
        elif slot := self._workers.slot_of(sender):
            if message is None:
                self._worker_died(slot)
            else:
                self._worker_says(slot, message)
        if self._stopping.asked and not any(self._workers.held):
            raise StoppedError

    def _count_time(self) -> None:
        """Advance the timeouts of the child processes, not counting time in which the machine slept."""
        now = time.monotonic()
        passed = min(now - self._stepped_at, 2 * stopping.TICK)
        self._decoders.passed(passed)
        self._workers.passed(passed)
        self._stepped_at = now

    def _answered(self, answer: Answer | None) -> None:
        if answer is None or not self._ledger.is_open(answer.id):
            return
        job = self._ledger.job(answer.id)
        if isinstance(answer, Unreadable):
            self._ledger.fail(answer.id, answer.failure)
        elif isinstance(answer, Here):
            self._ready.append(self._item(job, None))
        elif self._probing:
            self._infos[answer.id] = answer.info
            if answer.scan is not None:  # its length could only be found by decoding it completely
                self._scans[answer.id] = answer.scan
        elif answer.scan is not None:
            self._infos.pop(answer.id, None)
            self._scanned(job, answer.scan)

    def _scanned(self, job: Job, scan: AudioScan) -> None:
        try:
            check_scan(scan, strict=self._request.strict)
        except InputError as error:
            self._ledger.fail(job.index, Failure(error.reason, error.message, error.hint))
            return
        if scan.warning:
            self._damage[job.index] = scan.warning
        self._ready.append(self._item(job, scan))

    def _worker_says(self, slot: Slot, message: object) -> None:
        slot.silent = 0.0
        if isinstance(message, Loaded):
            self._workers.loaded(slot, message)
            self._loaded_at = self._loaded_at or time.monotonic()
            self._tell(Detail(f"{message.runs}, batches of {message.batch}"))
            self._tell(Stage("enhancing" if self._request.form is Form.ENHANCE else "working"))
        elif isinstance(message, Advanced):
            slot.advanced(message.seconds, message.resumed)
            self._tell(Progress(*self.pace, self._workers.resumed))
        elif isinstance(message, Started):
            self._ledger.start(message.id)
        elif isinstance(message, Ready):
            slot.release(message.id)
            damage = self._damage.pop(message.id, None)
            warnings = [damage] if damage else []
            self._ledger.settle(message.id, message.finished, warnings, damaged=bool(damage))
        elif isinstance(message, Failed):
            slot.release(message.id)
            self._job_failed(message)

    def _job_failed(self, message: Failed) -> None:
        failure = message.failure
        if failure.reason in ("output", "locked"):  # an error that every other input would also cause
            raise failure.error()
        if failure.trace:
            self._tell(Detail(failure.trace))
        self._ledger.fail(message.id, failure)

    def _worker_died(self, slot: Slot) -> None:
        held = list(slot.held)
        reaped = self._workers.reap(slot)
        self._discard_parts(held)
        cause = f"the model process {reaped.cause}"
        for item in reaped.given_up:
            self._ledger.fail(item.work.id, Failure("worker-died", f"{cause}, twice, on this file"))
        if reaped.last:
            raise self._workers.gone(reaped.cause)
        self._tell(Detail(f"{cause}; the files it held are tried again one by one"))
        self._ready.extendleft(reversed(reaped.free))
        if not self._stopping.asked:
            self._workers.start()

    def _discard_parts(self, indices: Iterable[int]) -> None:
        """Remove what a dead worker had begun. By name: other runs may be writing into the same folders."""
        for index in indices:
            for target in self._ledger.job(index).targets:
                discard_part(target)

    # -- signals -----------------------------------------------------------------------------------------

    def stop(self, signum: int) -> None:
        """A stop signal arrived: the run ends soon, at the second one now. May be called at any moment."""
        self._ledger.summary.stopped_by = self._ledger.summary.stopped_by or signum
        self._inbox.put((None, None))

    def check_stopped(self) -> None:
        """Raise `StoppedError` after a stop signal: for work before the first job is given out."""
        if self._ledger.summary.stopped_by is not None:
            raise StoppedError

    @contextmanager
    def ending_children(self) -> Iterator[None]:
        """Context manager: ends all children on exit; a stopped run is no error."""
        try:
            yield
        except StoppedError:
            self._drop()
        except BaseException:
            self._drop()
            raise
        finally:
            self.close()

    def close(self) -> None:
        """End all children."""
        self._decoders.close()
        self._workers.kill()

    def _signalled(self) -> None:
        if self._stopping.signalled(ends_soon=self._ends_soon()):
            self._tell(Stage("finishing open files; press Ctrl-C again to stop now"))

    def _ends_soon(self) -> bool:
        """Whether the files that workers hold will be done within the grace period."""
        seconds, elapsed = self.pace
        if not any(self._workers.held) or not seconds:
            return False
        done = sum(r.seconds for r in self._ledger.summary.results if r.outcome is not Outcome.SKIPPED)
        left = sum(item.seconds for item in self._workers.held) - (seconds + self._workers.resumed - done)
        return left * elapsed / seconds < stopping.GRACE_SECONDS

    def _drop(self) -> None:
        """Kill the workers and remove their unfinished files."""
        held = [item.work.id for item in self._workers.held]
        self._workers.kill()
        self._discard_parts(held)
