"""What a reader and a script get from a report."""

import csv
import io
import json
from dataclasses import replace

import pytest

from dacse_cli.errors import UsageError
from dacse_cli.evaluation.groups import read_groups
from dacse_cli.evaluation.metric import Score, ScoringOptions
from dacse_cli.evaluation.published import TABLES
from dacse_cli.evaluation.registry import BY_NAME
from dacse_cli.evaluation.report import Report
from dacse_cli.evaluation.scoring import FileScores
from dacse_cli.evaluation.tables import to_csv, to_json, to_markdown, to_text
from dacse_cli.speech.recogniser import Transcript
from dacse_cli.speech.words import words


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
    assert table[1][2].startswith("0.625 (")
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


def test_the_terminals_table_is_aligned(report):
    lines = to_text(report).splitlines()
    assert [len(line) for line in lines[:3]] == [len(lines[0])] * 3
    assert lines[0].startswith("system") and lines[2].startswith("ours|new")


HOSTILE = "=HYPERLINK(1)\x1b[2J\nnoisy"


@pytest.mark.parametrize("write", [to_text, to_markdown, to_csv])
def test_no_name_reaches_a_terminal_or_a_spreadsheet_raw(report, write):
    """A file may be called anything: escape sequences, line breaks and formulas are shown, not obeyed."""
    files = [
        replace(file, key=HOSTILE, system=HOSTILE, path=HOSTILE, remarks=(HOSTILE,)) for file in report.files
    ]
    text = write(replace(report, files=files))
    assert "\x1b" not in text
    assert all(not line.startswith("noisy") for line in text.splitlines())
    if write is to_csv:
        cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
        assert not [cell for cell in cells if cell[:1] in ("=", "+", "@")]


def test_means_by_a_property(report, tmp_path):
    manifest = tmp_path / "manifest.csv"
    manifest.write_text('file,snr\nset/a.wav,10\n"set/b,c.wav",-5\nother.wav,0\n')
    grouped = replace(report, groups=read_groups(f"{manifest}:snr", ["a", "b,c", "unknown"]))
    assert [value for value, _ in grouped.groups.groups] == ["-5", "10"]
    assert grouped.groups.unknown == 1
    table = rows(to_markdown(grouped))
    head = table.index(["| snr", "system", "files", "stoi ↑", "wer ↓ |"])
    assert [row[0] for row in table[head + 1 :]] == ["| -5", "| -5", "| 10", "| 10"]
    assert "By snr:" in to_text(grouped)
    document = json.loads(to_json(grouped))["groups"]
    assert document["systems"]["10"]["noisy"]["stoi"]["mean"] == 0.5
    found = list(csv.DictReader(io.StringIO(to_csv(grouped))))
    assert [row["snr"] for row in found] == ["10", "10", "-5", "-5"]


def test_many_numbers_become_four_ranges(tmp_path):
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text("".join(f'{{"noisy": "noisy/{n:08d}.wav", "snr": {n / 2}}}\n' for n in range(40)))
    groups = read_groups(f"{manifest}:snr", [f"{n:08d}" for n in range(40)]).groups
    assert [value for value, _ in groups] == ["0 to 4.5", "5 to 9.5", "10 to 14.5", "15 to 19.5"]
    assert {len(keys) for _, keys in groups} == {10}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("manifest.csv", "give a list"),
        ("gone.csv:snr", "cannot be read"),
        ("a.csv:loudness", "no column"),
        ("a.csv:file", "none of the recordings"),
        ("b.csv:snr", "does not say which"),
        ("c.jsonl:snr", "line 1"),
    ],
)
def test_lists_that_cannot_be_used(tmp_path, source, words):
    (tmp_path / "a.csv").write_text("file,snr\nx.wav,1\n")
    (tmp_path / "b.csv").write_text("one,snr\nx.wav,1\n")
    (tmp_path / "c.jsonl").write_text("[" * 10_000 + "\n")
    with pytest.raises(UsageError, match=words):
        read_groups(str(tmp_path / source) if ":" in source else source, ["y"])


def test_rows_that_name_no_file_do_not_stop_the_others(tmp_path):
    (tmp_path / "a.csv").write_text("file,snr\n/,1\n.,2\nx.wav,3\n")
    assert read_groups(f"{tmp_path / 'a.csv'}:snr", ["x"]).of("x") == "3"


def test_english_numbers_and_contractions_are_no_word_errors():
    pytest.importorskip("transformers")
    from dacse_cli.evaluation.metrics.wer import normalised

    def heard(text, language):
        return normalised(Transcript(tuple(words(text)), language, 0.0, text))

    assert heard("Twenty-one, don't you?", "en") == heard("21 do not you", "en")
    assert heard("Twenty-one", "de") == ["twenty", "one"]
