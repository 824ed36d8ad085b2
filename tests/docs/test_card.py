"""The scores in the card of `nano` are the means of `scores.csv`, and those in README.md are the card's."""

import csv
import re
from pathlib import Path
from statistics import fmean

import pytest

ROOT = Path(__file__).parents[2]
CARD = (ROOT / "dacse_cli" / "models" / "nano" / "README.md").read_text()
README = (ROOT / "README.md").read_text()
SCORES = list(csv.DictReader((ROOT / "examples" / "recipes" / "nano" / "scores.csv").open()))
COLUMNS = {"SIG": "dnsmos_sig", "BAK": "dnsmos_bak", "OVRL": "dnsmos_ovrl", "P.808": "dnsmos_p808",
           "PESQ": "pesq", "STOI": "stoi", "SI-SDR": "si_sdr", "voice": "speaker_similarity"}  # fmt: skip
"""Heading in the card -> column; word errors are of a corpus and no means of files."""


def rows_after(words):
    """The table that follows `words` in the card, as a dict for each row."""
    lines = CARD[CARD.index(words) :].splitlines()
    first = next(i for i, line in enumerate(lines) if line.startswith("|"))
    table = []
    for line in lines[first:]:
        if not line.startswith("|"):
            break
        table.append([cell.strip() for cell in line.strip("|").split("|")])
    return [dict(zip(table[0], row, strict=True)) for row in table[2:]]


def agrees(written, values):
    """Whether a number of the card is the mean of `values` in its own precision."""
    number = re.match(r"-?\d+(?:\.(\d+))?", written)
    return float(number.group()) == pytest.approx(fmean(values), abs=0.51 * 10 ** -len(number.group(1) or ""))


def test_the_readme_has_the_scores_of_the_card():
    rows = re.findall(r"^\| (noisy|nano|RNNoise|DeepFilterNet3) \| (.+) \|$", README, flags=re.MULTILINE)
    assert len(rows) == 4
    for row in rows_after("`mixtures`,"):
        cells = " | ".join(row[heading] for heading in ("OVRL", "PESQ", "STOI", "word error"))
        assert (row[""], cells) in rows


@pytest.mark.parametrize("name", ["mixtures", "streets"])
def test_the_means_of_a_set(name):
    for row in rows_after(f"`{name}`,"):
        scores = [s for s in SCORES if s["set"] == name and s["system"] == row[""].lower()]
        assert scores, row
        for heading, column in COLUMNS.items():
            assert agrees(row[heading], [float(s[column]) for s in scores]), (row[""], heading)


def test_the_means_by_ratio():
    for row in rows_after("By signal-to-noise ratio"):
        for heading in ("-5", "0", "5", "10", "15"):
            scores = [
                s
                for s in SCORES
                if s["set"] == "mixtures" and s["system"] == row[""].lower() and s["snr"] == heading
            ]
            written = row[f"{heading} dB"].split(" / ")
            for column, cell in zip(("dnsmos_ovrl", "pesq", "stoi"), written[:3], strict=True):
                assert agrees(cell, [float(s[column]) for s in scores]), (row[""], heading, column)
