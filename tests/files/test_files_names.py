"""No name of a file may move the cursor, colour the screen or fake a line."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.files.names import csv_text, markdown_text, quoted, shown


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_nothing_that_a_terminal_obeys_is_left(name):
    clean = shown(name)
    assert not [c for c in clean if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")]
    assert shown(clean) == clean


@pytest.mark.parametrize("name", ["a b.wav", "é.wav", "日本.wav", "[red]x[/].wav", ":boom:", "c:\\x"])
def test_ordinary_names_stay_as_they_are(name):
    assert shown(name) == name


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("a\x1b[2Jb", "a\\x1b[2Jb"),
        ("a\nb", "a\\nb"),
        ("a\u202eb", "a\\u202eb"),
        ("a\udcffb", "a\\xffb"),
        ("a\x9bb", "a\\x9bb"),
    ],
)
def test_the_rest_is_written_out(name, seen):
    assert shown(name) == seen


@pytest.mark.parametrize("text", ["x" * 2_000_000, "\x00" * 5000, "x" * 4095 + "\x00"])
def test_what_is_too_long_is_cut_and_says_so(text):
    """A version string of two megabytes was printed whole."""
    assert len(shown(text)) <= 4096 and shown(text).endswith("characters)")
    assert shown(shown(text)) == shown(text)
    assert len(quoted(text)) <= 80


@pytest.mark.parametrize("name", ["=HYPERLINK(1)", "+1+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", " =1"])
def test_no_cell_is_a_formula(name):
    assert csv_text(name).startswith("'")
    assert csv_text("a=1.wav") == "a=1.wav"


@given(st.text(max_size=40))
def test_markdown_shows_the_name_itself(name):
    """Every mark is written so that a renderer takes the backslash away again."""
    safe = markdown_text(name)
    assert re.sub(r"\\([\\`*_{}\[\]<>|~$&])", r"\1", safe) == shown(name)
    assert "\n" not in safe
    assert not re.search(r"(?<!\\)(\\\\)*[|<`]", safe)


def test_huge_numbers_in_messages():
    assert "digits" in quoted(10**4300)
    assert quoted("a\nb") == '"a\\nb"'
