"""No name of a file may move the cursor, colour the screen or fake a line."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.cli.names import shown


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
