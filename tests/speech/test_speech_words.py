"""Word errors by hand and by property."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.speech.words import word_errors, words

TEXT = st.lists(st.sampled_from("abc"), max_size=7)


@pytest.mark.parametrize(
    ("reference", "hypothesis", "errors"),
    [
        ("", "", 0),
        ("", "two words", 2),
        ("two words", "", 2),
        ("the cat sat", "the cat sat", 0),
        ("the cat sat", "the bat sat", 1),
        ("the cat sat", "the sat", 1),
        ("the cat sat", "oh the cat sat", 1),
        ("a b c d", "b c d e", 2),
        ("one two three four", "four three two one", 4),
    ],
)
def test_edits_by_hand(reference, hypothesis, errors):
    """A wrong neighbour in the table shows in one of: insert, delete, replace, shift."""
    assert word_errors(reference.split(), hypothesis.split()) == errors


@given(TEXT, TEXT, TEXT)
def test_edits_are_a_distance(a, b, c):
    """Symmetry and the triangle inequality fail for nearly every slip in the recurrence."""
    assert word_errors(a, b) == word_errors(b, a)
    assert word_errors(a, c) <= word_errors(a, b) + word_errors(b, c)
    assert (word_errors(a, b) == 0) == (a == b)
    assert abs(len(a) - len(b)) <= word_errors(a, b) <= max(len(a), len(b))


def test_what_is_a_word():
    """Spelling that a recogniser chooses at will must not count as an error."""
    assert words(" Don't stop -- it's 3.5 km, ÉTÉ! ") == ["dont", "stop", "its", "35", "km", "été"]
    assert words("well-known") == ["well", "known"]
    assert words("e\u0301te\u0301") == words("été")
    assert words("Straße") == words("STRASSE")
    assert words("...") == []


@given(st.text())
def test_words_are_stable(text):
    """Normalising twice gives the same words, so transcripts of transcripts agree."""
    once = words(text)
    assert words(" ".join(once)) == once
