"""A report as text: aligned columns, Markdown, JSON or CSV. Computes nothing but means, writes nothing."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dacse_cli.errors import UsageError
from dacse_cli.evaluation.bootstrap import Estimate
from dacse_cli.evaluation.metric import Column
from dacse_cli.evaluation.pairs import NOISY
from dacse_cli.evaluation.published import TABLES, PublishedTable
from dacse_cli.evaluation.report import Report
from dacse_cli.files.names import csv_text, markdown_text, shown

FORMAT = "dacse-scores"
VERSION = 1
Rows = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Markup:
    """How a report is written out."""

    text: Callable[[str], str]
    """Makes text from outside safe to show."""
    table: Callable[[Rows], str]
    """Rows, the first of which is the head."""


def published_table(test_set: str) -> PublishedTable:
    """The published scores for a test set. Raises `UsageError` where there are none."""
    if test_set not in TABLES:
        raise UsageError(f"no published scores for {test_set}", hint=f"There are: {', '.join(TABLES)}.")
    return TABLES[test_set]


def to_markdown(report: Report, *, published: str | None = None, same_set: bool = False) -> str:
    """Means, gains over the noisy input, means by group, published rows, remarks.

    `published` names a table of `published.py`; unless `same_set` says that these are the recordings it was
    measured on, a note warns against comparing.
    """
    return _written(report, Markup(markdown_text, _markdown), "- ", published, same_set)


def to_text(report: Report, *, published: str | None = None, same_set: bool = False) -> str:
    """The same for a terminal."""
    return _written(report, Markup(shown, _aligned), "", published, same_set)


def to_json(report: Report) -> str:
    """All of the report as one JSON object; a score without a value is null."""
    document = {
        "format": FORMAT,
        "version": VERSION,
        "columns": [
            {"name": c.name, "unit": c.unit, "higher_is_better": c.higher_is_better} for c in report.columns
        ],
        "systems": _all_means(report),
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
    if report.groups is not None:
        document["groups"] = {
            "property": report.groups.property,
            "systems": {value: _all_means(part) for value, part in report.grouped()},
        }
    return json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def to_csv(report: Report) -> str:
    """One line per file and system, every score in full, empty where it has no value.

    No cell begins a formula, and none holds a control character, whatever the files are called.
    """
    out = io.StringIO()
    names = [column.name for column in report.columns]
    groups = report.groups
    writer = csv.writer(out, lineterminator="\n")
    extra = [csv_text(groups.property)] if groups is not None else []
    writer.writerow(["file", "system", *extra, "seconds", *names, "remarks"])
    for file in report.files:
        values = [file.scores[name].value if name in file.scores else None for name in names]
        notes = csv_text("; ".join([*file.remarks, *([file.failure] if file.failure else [])]))
        place = [csv_text(file.key), csv_text(file.system)]
        if groups is not None:
            place.append(csv_text(groups.of(file.key)))
        writer.writerow([*place, f"{file.seconds:.3f}", *values, notes])
    return out.getvalue()


def _all_means(report: Report) -> dict[str, Any]:
    return {system: _estimates(report.means(system)) for system in report.systems}


def _estimates(means: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: mean._asdict() for name, mean in means.items()}


def _markdown(rows: Rows) -> str:
    lines = ["| " + " | ".join(map(markdown_text, row)) + " |" for row in rows]
    lines.insert(1, "|---" + "|---:" * (len(rows[0]) - 1) + "|")
    return "\n".join(lines)


def _aligned(rows: Rows) -> str:
    """The first column to the left, the others to the right."""
    cells = [[shown(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = []
    for first, *others in cells:
        right = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        lines.append("  ".join([first.ljust(widths[0]), *right]))
    return "\n".join(lines)


def _written(report: Report, markup: Markup, bullet: str, published: str | None, same_set: bool) -> str:
    parts = [markup.table(_means(report))]
    if NOISY in report.systems and len(report.systems) > 1:
        parts.append(f"Difference to {NOISY}, over the same files:\n\n{markup.table(_gains(report))}")
    if report.groups is not None:
        parts.append(f"By {markup.text(report.groups.property)}:\n\n{markup.table(_by_group(report))}")
    if published is not None:
        parts.append(_published(report, published_table(published), same_set, markup))
    parts.append("\n".join(f"{bullet}{markup.text(line)}" for line in _remarks(report)))
    return "\n\n".join(parts) + "\n"


def _heads(columns: Sequence[Column]) -> list[str]:
    return [f"{column.name} {'↑' if column.higher_is_better else '↓'}" for column in columns]


def _cell(column: Column, mean: Estimate | None, sign: str = "") -> str:
    """`3.12 (3.05 to 3.20)`, or a dash."""
    if mean is None:
        return "-"
    form = f"{sign}.{column.decimals}f"
    interval = "" if mean.low is None or mean.high is None else f" ({mean.low:{form}} to {mean.high:{form}})"
    return f"{mean.mean:{form}}{interval}"


def _means(report: Report) -> Rows:
    rows = [["system", "files", *_heads(report.columns)]]
    for system in report.systems:
        means = report.means(system)
        scored = sum(file.system == system and file.failure is None for file in report.files)
        rows.append([system, str(scored), *(_cell(c, means.get(c.name)) for c in report.columns)])
    return rows


def _by_group(report: Report) -> Rows:
    assert report.groups is not None
    rows = [[report.groups.property, "system", "files", *_heads(report.columns)]]
    for value, part in report.grouped():
        rows += [[value, *row] for row in _means(part)[1:]]
    return rows


def _gains(report: Report) -> Rows:
    rows = [["system", *_heads(report.columns)]]
    for system in report.systems:
        if system != NOISY:
            gains = report.gains(system, NOISY)
            rows.append([system, *(_cell(c, gains.get(c.name), "+") for c in report.columns)])
    return rows


def _published(report: Report, table: PublishedTable, same_set: bool, markup: Markup) -> str:
    columns = [c for c in report.columns if any(c.name in row.scores for row in table.rows)]
    rows = [["system", *_heads(columns)]]
    rows += [
        [row.system, *(f"{row.scores[c.name]:.2f}" if c.name in row.scores else "-" for c in columns)]
        for row in table.rows
    ]
    note = table.remark
    if not same_set:
        note = (
            f"Measured on {table.test_set}, not on the recordings above: not to be compared with them. {note}"
        )
    return f"Published ({table.source}; {table.test_set}):\n\n{markup.table(rows)}\n\n{note}"


def _remarks(report: Report) -> list[str]:
    lines = [f"Not computed: {name}: {why}" for name, why in report.missing.items()]
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
    return lines + [f"{metric.name}: {metric.method}." for metric in report.metrics]
