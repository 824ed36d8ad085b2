"""A report as Markdown, JSON or CSV text. Pure: nothing is computed here but means, nothing is written."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from dacse_cli.errors import UsageError
from dacse_cli.evaluation.bootstrap import Estimate
from dacse_cli.evaluation.metric import Column
from dacse_cli.evaluation.pairs import NOISY
from dacse_cli.evaluation.published import TABLES, PublishedTable
from dacse_cli.evaluation.report import Report

FORMAT = "dacse-scores"
VERSION = 1


def published_table(test_set: str) -> PublishedTable:
    """The published scores for a test set. Raises `UsageError` where there are none."""
    if test_set not in TABLES:
        raise UsageError(f"no published scores for {test_set}", hint=f"There are: {', '.join(TABLES)}.")
    return TABLES[test_set]


def to_markdown(report: Report, *, published: str | None = None, same_set: bool = False) -> str:
    """Means, gains over the noisy input, published rows, remarks.

    `published` names a table of `published.py`; unless `same_set` says that these are the recordings it was
    measured on, a note warns against comparing.
    """
    parts = [_means(report)]
    if NOISY in report.systems and len(report.systems) > 1:
        parts.append(_gains(report))
    if published is not None:
        parts.append(_published(report, published_table(published), same_set))
    parts.append(_remarks(report))
    return "\n\n".join(part for part in parts if part) + "\n"


def to_json(report: Report) -> str:
    """All of the report as one JSON object; a score without a value is null."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "columns": [
            {"name": c.name, "unit": c.unit, "higher_is_better": c.higher_is_better} for c in report.columns
        ],
        "systems": {system: _estimates(report.means(system)) for system in report.systems},
        "gains": {
            system: _estimates(report.gains(system, NOISY))
            for system in report.systems
            if NOISY in report.systems and system != NOISY
        },
        "files": [
            {
                "file": file.key,
                "system": file.system,
                "path": file.path,
                "seconds": file.seconds,
                "scores": {name: score.value for name, score in file.scores.items()},
                "remarks": list(file.remarks),
                "failure": file.failure,
            }
            for file in report.files
        ],
        "methods": {metric.name: metric.method for metric in report.metrics},
        "missing": dict(report.missing),
        "remarks": list(report.remarks),
        "packages": dict(report.packages),
        "options": report.options.to_json(),
    }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(report: Report) -> str:
    """One line a file and system, every score in full, empty where it has no value."""
    out = io.StringIO()
    names = [column.name for column in report.columns]
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(["file", "system", "seconds", *names, "remarks"])
    for file in report.files:
        values = [file.scores[name].value if name in file.scores else None for name in names]
        notes = [*file.remarks, *([file.failure] if file.failure else [])]
        writer.writerow([file.key, file.system, f"{file.seconds:.3f}", *values, "; ".join(notes)])
    return out.getvalue()


def _estimates(means: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: mean._asdict() for name, mean in means.items()}


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [header, *rows]]
    lines.insert(1, "|---" + "|---:" * (len(header) - 1) + "|")
    return "\n".join(lines)


def _heads(columns: Sequence[Column]) -> list[str]:
    return [f"{column.name} {'↑' if column.higher_is_better else '↓'}" for column in columns]


def _cell(column: Column, mean: Estimate | None, sign: str = "") -> str:
    """`3.12 [3.05, 3.20]`, or a dash."""
    if mean is None:
        return "-"
    form = f"{sign}.{column.decimals}f"
    interval = "" if mean.low is None or mean.high is None else f" [{mean.low:{form}}, {mean.high:{form}}]"
    return f"{mean.mean:{form}}{interval}"


def _means(report: Report) -> str:
    rows = []
    for system in report.systems:
        means = report.means(system)
        scored = sum(file.system == system and file.failure is None for file in report.files)
        rows.append([system, str(scored), *(_cell(c, means.get(c.name)) for c in report.columns)])
    return _table(["system", "files", *_heads(report.columns)], rows)


def _gains(report: Report) -> str:
    rows = []
    for system in report.systems:
        if system != NOISY:
            gains = report.gains(system, NOISY)
            rows.append([system, *(_cell(c, gains.get(c.name), "+") for c in report.columns)])
    return f"Difference to {NOISY}, over the same files:\n\n" + _table(
        ["system", *_heads(report.columns)], rows
    )


def _published(report: Report, table: PublishedTable, same_set: bool) -> str:
    shown = [c for c in report.columns if any(c.name in row.scores for row in table.rows)]
    rows = [
        [row.system, *(f"{row.scores[c.name]:.2f}" if c.name in row.scores else "-" for c in shown)]
        for row in table.rows
    ]
    note = table.remark
    if not same_set:
        note = (
            f"Measured on {table.test_set}, not on the recordings above: not to be compared with them. {note}"
        )
    body = _table(["system", *_heads(shown)], rows)
    return f"Published ({table.source}; {table.test_set}):\n\n{body}\n\n{note}"


def _remarks(report: Report) -> str:
    lines = [f"Not computed: {name}: {reason}" for name, reason in report.missing.items()]
    lines += report.remarks
    lines += [f"Not scored: {file.path}: {file.failure}" for file in report.failures]
    partly: dict[str, int] = {}
    for file in report.files:
        for remark in file.remarks:
            line = f"{file.system}: {remark}"
            partly[line] = partly.get(line, 0) + 1
    lines += [f"{line} ({count} file{'s' if count > 1 else ''})" for line, count in partly.items()]
    lines.append(
        f"Means over files with 95 % bootstrap intervals ({report.options.resamples} resamples, "
        f"seed {report.options.seed})."
    )
    lines += [f"{metric.name}: {metric.method}." for metric in report.metrics]
    return "\n".join(f"- {line}" for line in lines)
