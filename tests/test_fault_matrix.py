"""Every fault has a test or a reason: `faults.toml` is compared with the tests that are there."""

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

if sys.version_info < (3, 11):
    pytest.skip("the matrix is TOML, which Python reads from 3.11 on", allow_module_level=True)
import tomllib

TESTS = Path(__file__).parent
ROWS = {"A": 40, "B": 20, "C": 15, "D": 14, "E": 13, "F": 26, "G": 12, "H": 10}
STATUSES = {"gpu", "not-here", "open"}
FAULTS = tomllib.loads((TESTS / "faults.toml").read_text())


@cache
def functions_in(file):
    """Names of the test functions of a file."""
    tree = ast.parse((TESTS / file).read_text())
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_no_fault_is_missing():
    """A row that is taken out is a promise that nobody keeps any more."""
    assert list(FAULTS) == [f"{group}{n}" for group, count in ROWS.items() for n in range(1, count + 1)]


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_has_a_test_or_a_reason(name):
    """A test that was renamed, or a status without a word why."""
    row = FAULTS[name]
    assert row.keys() <= {"words", "test", "status", "reason", "note"}
    assert row["words"]
    assert ("test" in row) != ("status" in row)
    if "status" in row:
        assert row["status"] in STATUSES
        assert row["reason"]
        return
    assert row["test"]
    for node in row["test"]:
        file, test = node.split("::")
        assert (TESTS / file).is_file(), file
        assert test in functions_in(file), node


def test_what_is_not_tested_is_known():
    """The counts, so that a row that loses its test is seen."""
    without = {name: row["status"] for name, row in FAULTS.items() if "status" in row}
    assert without == {"E3": "gpu", "E7": "gpu", "E9": "not-here", "E13": "not-here"}
