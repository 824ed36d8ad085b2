"""How long a corpus takes on a fleet, what it costs, what breaks on the way, and what is in the way first.

    python examples/scale/predict.py --files 10e6 --seconds 10 --workers 1000
    python examples/scale/predict.py --files 10e6 --seconds 10 --workers 1000 --parts 125

Every stage is a queue; the slowest one sets the pace. Stage times are arguments. Those of planning and of
settling were measured on one shared core of a small machine (see the changelog); the speeds of decoders and
GPUs are assumptions, to be replaced by what `dacse enhance --json` says of a first thousand files.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Corpus:
    """What is to be done."""

    files: float = 10e6
    seconds: float = 10.0
    """Of audio a file, on average."""
    spread: float = 1.0
    """Standard deviation of a file's length, as a share of the average."""


@dataclass(frozen=True)
class Fleet:
    """What does it: `parts` runs of `dacse enhance` (1, or --shard), `workers` in all."""

    workers: float = 1000
    parts: float = 1
    lookers: float = 0
    """Decoders in all; 0 is what a run starts: one a part."""
    price: float = 3.0
    """Of a worker's machine, an hour."""
    hours_between_losses: float = 100.0
    """Of one worker; spot machines live for hours or days."""

    @property
    def decoders(self) -> float:
        """Decoders in all."""
        return self.lookers or self.parts


@dataclass(frozen=True)
class Stages:
    """Seconds each stage takes."""

    list_file: float = 70e-6
    """Finding and planning a file; each part does it for the whole corpus, one after the other."""
    look_file: float = 1e-3
    """Header of a file, in a decoder."""
    look_second: float = 1 / 500
    """Decoding a second of audio, in a decoder."""
    generate_second: float = 1 / 5
    """Enhancing a second of audio, in a worker."""
    write_second: float = 1 / 300
    """Reading, resampling and writing a second of audio, in a worker."""
    settle_file: float = 10e-3
    """Rename, syncs, records, messages: one file after the other in the part's supervisor.

    An upper bound: all of a file of one second but the models.
    """
    load: float = 60.0
    """Start of a worker until its model is ready."""
    plan_bytes: float = 1500.0
    """Memory of a part's supervisor, a file of the corpus (of its wave, 10,000 files, in object stores)."""


@dataclass(frozen=True)
class Prediction:
    """Hours of each stage if it were alone, and what follows."""

    stages: dict[str, float]
    bottleneck: str
    hours: float
    cost: float
    losses: float
    redone_hours: float
    """Worker hours lost with machines that were taken away: the work in their hands, and loading."""
    supervisor_gigabytes: float


def slack(corpus: Corpus, parts: float) -> float:
    """How much longer the fullest of `parts` is than the average: parts are drawn by hash, not by length.

    The largest of n sums that are nearly normal lies sqrt(2 ln n) deviations above their mean.
    """
    if parts <= 1:
        return 1.0
    relative = math.sqrt((1 + corpus.spread**2) / (corpus.files / parts))
    return 1 + math.sqrt(2 * math.log(parts)) * relative


def predict(corpus: Corpus, fleet: Fleet, stages: Stages) -> Prediction:
    """The account of a run."""
    files, audio = corpus.files, corpus.files * corpus.seconds
    work = audio * (stages.generate_second + stages.write_second)
    even = slack(corpus, fleet.parts)
    seconds = {
        "list and plan": files * stages.list_file,
        "look": (files * stages.look_file + audio * stages.look_second) / fleet.decoders,
        "enhance": work / fleet.workers * even,
        "settle": files * stages.settle_file / fleet.parts * even,
    }
    bottleneck = max(seconds, key=lambda name: seconds[name])
    # listing comes first; then all stages run side by side, and in the end the last file runs alone
    tail = corpus.seconds * (1 + 3 * corpus.spread) * stages.generate_second
    wall = seconds["list and plan"] + max(v for k, v in seconds.items() if k != "list and plan")
    wall += stages.load + tail
    losses = fleet.workers * wall / 3600 / fleet.hours_between_losses
    in_flight = corpus.seconds * stages.generate_second  # two files in a worker's hands, each half done
    redone = losses * (in_flight + stages.load)
    wall += redone / fleet.workers
    return Prediction(
        stages={name: value / 3600 for name, value in seconds.items()},
        bottleneck=bottleneck,
        hours=wall / 3600,
        cost=fleet.workers * wall / 3600 * fleet.price,
        losses=losses,
        redone_hours=redone / 3600,
        supervisor_gigabytes=files * stages.plan_bytes / 1e9,
    )


def report(corpus: Corpus, fleet: Fleet, result: Prediction) -> str:
    """The account in words."""
    lines = [f"{corpus.files:,.0f} files, {corpus.files * corpus.seconds / 3600:,.0f} hours of audio"]
    for name, hours in result.stages.items():
        mark = "  <- the bottleneck" if name == result.bottleneck else ""
        lines.append(f"  {name:<14} {hours:10.2f} h{mark}")
    lines += [
        f"in all {result.hours:.2f} h with {fleet.workers:,.0f} workers in {fleet.parts:,.0f} parts, "
        f"{result.cost:,.0f} at {fleet.price:g} an hour",
        f"about {result.losses:,.0f} workers are lost, which costs {result.redone_hours:,.1f} worker hours",
        f"a supervisor that plans the whole corpus from a folder holds {result.supervisor_gigabytes:.1f} GB",
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> Prediction:
    """Read the arguments, print the account."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for kind in (Corpus, Fleet, Stages):
        for field in fields(kind):
            flag = "--" + field.name.replace("_", "-")
            parser.add_argument(flag, type=float, default=field.default, dest=field.name)
    given = vars(parser.parse_args(arguments))
    corpus, fleet, stages = (
        kind(**{field.name: given[field.name] for field in fields(kind)}) for kind in (Corpus, Fleet, Stages)
    )
    result = predict(corpus, fleet, stages)
    print(report(corpus, fleet, result))
    return result


if __name__ == "__main__":
    main()
