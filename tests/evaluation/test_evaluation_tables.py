"""What a reader and a script get from a report."""

import csv
import io
import json

import pytest

from dacse_cli.errors import UsageError
from dacse_cli.evaluation.metric import Score, ScoringOptions
from dacse_cli.evaluation.published import TABLES
from dacse_cli.evaluation.registry import BY_NAME
from dacse_cli.evaluation.report import Report
from dacse_cli.evaluation.scoring import FileScores
from dacse_cli.evaluation.tables import to_csv, to_json, to_markdown


@pytest.fixture
def report() -> Report:
    """Two files, two systems; one word error rate has no words, one file failed."""

    def file(system: str, key: str, stoi: float, errors: int, count: int) -> FileScores:
        scores = {"stoi": Score(stoi), "wer": Score(errors, count)}
        return FileScores(
            system, key, f"{system}/{key}.wav", 2.0, scores, ("pesq: no speech",) if not count else ()
        )

    files = [
        file("noisy", "a", 0.5, 2, 10),
        file("ours|new", "a", 0.75, 1, 10),
        file("noisy", "b,c", 0.75, 1, 0),
        FileScores("ours|new", "b,c", "ours/b,c.wav", failure="not audio"),
    ]
    metrics = (BY_NAME["stoi"], BY_NAME["wer"])
    return Report(
        metrics,
        {"pesq": "package pesq is not installed"},
        files,
        ["a remark"],
        ScoringOptions(),
        {"pystoi": "1"},
    )


def rows(markdown: str) -> list[list[str]]:
    return [[c.strip() for c in line.split(" | ")] for line in markdown.splitlines() if line.startswith("| ")]


def test_markdown(report):
    """Arrows, digits, corpus-level word errors (3 in 10), gains over the files both have, an escaped name."""
    text = to_markdown(report)
    table = rows(text)
    assert table[0] == ["| system", "files", "stoi ↑", "wer ↓ |"]
    assert table[1][:2] == ["| noisy", "2"]
    assert table[1][2].startswith("0.625 [")
    assert table[1][3].startswith("0.300")
    assert table[2] == ["| ours\\|new", "1", "0.750", "0.100 |"]
    assert table[4] == ["| ours\\|new", "+0.250", "-0.100 |"]
    for line in (
        "Not computed: pesq",
        "a remark",
        "Not scored: ours/b,c.wav: not audio",
        "pesq: no speech (1 file)",
    ):
        assert line in text


def test_json_is_strict_and_whole(report):
    """NaN is not JSON; a score without a value is null, and nothing is lost on the way."""
    document = json.loads(to_json(report), parse_constant=pytest.fail)
    assert (document["format"], document["version"]) == ("dacse-scores", 1)
    assert document["files"][2]["scores"] == {"stoi": 0.75, "wer": None}
    assert document["files"][3]["failure"] == "not audio"
    assert document["systems"]["noisy"]["wer"]["mean"] == pytest.approx(0.3)
    assert document["gains"]["ours|new"]["stoi"] == {"mean": 0.25, "low": None, "high": None, "files": 1}
    assert document["missing"] == {"pesq": "package pesq is not installed"}


def test_csv_reads_back(report):
    """A comma in a name, an empty cell for a score that is not there."""
    table = list(csv.DictReader(io.StringIO(to_csv(report))))
    assert [(row["file"], row["system"], row["stoi"], row["wer"]) for row in table] == [
        ("a", "noisy", "0.5", "0.2"),
        ("a", "ours|new", "0.75", "0.1"),
        ("b,c", "noisy", "0.75", ""),
        ("b,c", "ours|new", "", ""),
    ]
    assert table[3]["remarks"] == "not audio"


def test_published_rows_carry_a_warning_unless_the_set_is_the_same(report):
    """Numbers of another test set beside one's own invite a comparison that means nothing."""
    text = to_markdown(report, published="hifitts2")
    assert "| DAC-SE1 | 0.25 |" in text
    assert "not to be compared" in text
    assert "not to be compared" not in to_markdown(report, published="hifitts2", same_set=True)
    with pytest.raises(UsageError, match="no published scores"):
        to_markdown(report, published="dns")


def test_published_columns_are_the_registrys():
    """A column renamed in the registry would silently vanish from the published table."""
    known = {column.name for metric in BY_NAME.values() for column in metric.columns}
    for table in TABLES.values():
        for row in table.rows:
            assert set(row.scores) - known == {"mushra"}
