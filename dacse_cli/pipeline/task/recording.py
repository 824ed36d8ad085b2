"""A recording on its way through a task: what the options do before and after the models.

The input is decoded once for the task and for every option that needs it: the mix, the recogniser, the
loudness. So these are set up together.
"""

from __future__ import annotations

from dataclasses import dataclass

from dacse_cli.audio.loudness import LoudnessMeter
from dacse_cli.config import MATCH, SoundOptions
from dacse_cli.interfaces import Samples
from dacse_cli.pipeline.task.models import Models
from dacse_cli.pipeline.task.reading.rows import Rows
from dacse_cli.pipeline.task.reading.sources import DryBlocks, OnePass, Source
from dacse_cli.pipeline.task.writing.levelling import LevelledSink
from dacse_cli.pipeline.task.writing.output import Mix, Output
from dacse_cli.pipeline.task.writing.second_opinion import CheckedSink, SecondOpinion
from dacse_cli.pipeline.task.writing.sinks import Sink, Written
from dacse_cli.pipeline.wire.guard_report import GuardReport


@dataclass(frozen=True)
class TaskRecording:
    """A recording and its result, for the use of a task."""

    source: Source
    rows: Rows
    rate: int
    """Sample rate of the result."""
    one_pass: OnePass
    output: Output
    sink: Sink
    check: SecondOpinion | None

    def dry(self, rate: int) -> DryBlocks:
        """The input's rows `[R, n]` at a rate, for the task; counts as one of its readers."""
        rates = self.source.signal.sample_rate, rate
        return DryBlocks(self.one_pass.reader(), self.rows.select, rates, self.rows.count)

    def finish(self, guard: GuardReport | None, mode: str) -> tuple[Written, GuardReport | None]:
        """Flush and close: files, warnings, and the report of all checks."""
        self.output.close()
        files, warnings = self.sink.finish(self.output.frames)
        if self.check is not None:
            guard = self.check.report(guard or GuardReport(mode))
        return (files, [*self.rows.warnings, *warnings]), guard


def open_task_recording(
    source: Source, sink: Sink, models: Models, sound: SoundOptions, *, rate_in: int | None, readers: int
) -> TaskRecording:
    """`rate_in`: rate of the rows that the task writes to `TaskRecording.output`; None: that of the result.

    The task itself reads the recording `readers` times.
    """
    signal = source.signal
    rows = Rows(signal, sound.channels)
    rate = sound.rate or signal.sample_rate
    enhanced = sound.share > 0
    mixed = 0 < sound.share < 1
    checked = enhanced and models.recogniser is not None
    meter = LoudnessMeter(signal.sample_rate, rows.channels) if sound.loudness == MATCH else None

    def on_block(block: Samples) -> None:
        rows.measure(block)
        if meter is not None:
            meter.push(rows.mix_down(block))

    one_pass = OnePass(source, readers + mixed + checked, on_block)

    def dry() -> DryBlocks:
        return DryBlocks(one_pass.reader(), rows.mix_down, (signal.sample_rate, rate), rows.channels)

    if sound.loudness is not None:
        goal = meter.integrated if meter is not None else lambda: float(sound.loudness or 0.0)
        sink = LevelledSink(sink, rate, rows.channels, goal, sound.true_peak, limit=sound.limiter)
    check = None
    if checked:
        assert models.recogniser is not None
        check = SecondOpinion(models.recogniser, rate, strict=sound.guard == "strict")
        sink = CheckedSink(sink, dry(), check)
    mix = Mix(sound.share, dry() if mixed else None, enhanced and sound.profile == "strong")
    output = Output(sink, rows, (rate_in or rate, rate), signal.frames_at(rate), mix)
    return TaskRecording(source, rows, rate, one_pass, output, sink, check)
