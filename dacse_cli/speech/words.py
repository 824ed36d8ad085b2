"""Words of a transcript, and the fewest edits from one to another."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher


def words(text: str) -> list[str]:
    """The words of `text` in lower case, without punctuation, in one Unicode form (NFKC).

    Apostrophes, full stops and commas inside a word are removed ("don't" -> "dont", "3,5" -> "35"); every
    other mark ends a word.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = []
    for i, char in enumerate(folded):
        inside = 0 < i < len(folded) - 1 and folded[i - 1].isalnum() and folded[i + 1].isalnum()
        if char.isalnum() or unicodedata.category(char).startswith("M"):
            kept.append(char)
        elif not (inside and char in "'’.,"):
            kept.append(" ")
    return "".join(kept).split()


def word_errors(reference: Sequence[str], hypothesis: Sequence[str]) -> int:
    """Fewest words inserted, deleted or replaced to turn `reference` into `hypothesis` (Levenshtein)."""
    # row[j]: edits from the reference words read so far to the first j words of the hypothesis
    row = list(range(len(hypothesis) + 1))
    for i, wanted in enumerate(reference, start=1):
        diagonal, row[0] = row[0], i
        for j, found in enumerate(hypothesis, start=1):
            replaced = diagonal + (wanted != found)
            diagonal = row[j]
            row[j] = min(replaced, row[j] + 1, row[j - 1] + 1)
    return row[-1]


def differences(reference: Sequence[str], hypothesis: Sequence[str]) -> list[tuple[str, str]]:
    """Passages that differ, for display: the words of one text and of the other; either may be empty."""
    matcher = SequenceMatcher(None, reference, hypothesis, autojunk=False)
    return [
        (" ".join(reference[i:j]), " ".join(hypothesis[k:n]))
        for tag, i, j, k, n in matcher.get_opcodes()
        if tag != "equal"
    ]
