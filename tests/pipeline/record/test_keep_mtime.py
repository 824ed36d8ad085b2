"""`--keep-mtime`: outputs are as old as their inputs, also those that were done before it was asked for."""

import hashlib
import os

import pytest

from dacse_cli.pipeline.record.journal import Journal
from dacse_cli.pipeline.record.ledger import Ledger
from dacse_cli.pipeline.record.place import LocalPlace
from dacse_cli.pipeline.request.jobs import Job
from dacse_cli.pipeline.wire.outcome import Finished, Outcome, OutputFile

OLD = 981_173_106_123_456_789


@pytest.fixture
def job(tmp_path):
    source = tmp_path / "a.wav"
    source.write_bytes(b"sound")
    os.utime(source, ns=(OLD, OLD))
    return Job(0, str(source), str(tmp_path / "out" / "a.wav"), "a.wav")


def do(job, *, keep_mtime):
    """One run over one file; how it ended."""
    with Journal(LocalPlace(job.target.parent)) as journal:
        ledger = Ledger(journal, "settings", lambda event: None, keep_mtime=keep_mtime)
        if ledger.begin([job]):
            temp = job.target.with_name("part")
            temp.write_bytes(b"better sound")
            digest = hashlib.sha256(b"better sound").hexdigest()
            file = OutputFile(temp, job.target, 12, digest)
            ledger.settle(0, Finished((file,), 1.0), [], damaged=False)
        ledger.close()
        return ledger.summary.results[0].outcome


@pytest.mark.parametrize("first", [True, False])
def test_outputs_are_as_old_as_their_inputs(job, first):
    assert do(job, keep_mtime=first) is Outcome.DONE
    assert (job.target.stat().st_mtime_ns == OLD) is first
    assert do(job, keep_mtime=True) is Outcome.SKIPPED  # the time is no part of what was made
    assert job.target.stat().st_mtime_ns == OLD
