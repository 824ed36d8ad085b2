"""The sampler of faults makes faults, one at a time, and leaves words alone."""

from __future__ import annotations

import ast

from mutants import mutants

SOURCE = '''
"""Knows numbers."""

LIMIT: int = 3


def kept(numbers: list[int], strict: bool = False) -> list[int]:
    """Those below."""
    if not numbers and strict:
        raise ValueError(f"none of {len(numbers) + 1}")
    numbers.sort()
    return [n - 1 for n in numbers if n < LIMIT]
'''


def test_every_kind_of_place_is_changed_once() -> None:
    """Fails when a fault is never tried, or a message or a docstring is."""
    found = {(mutant.line, mutant.before, mutant.after) for mutant in mutants(SOURCE)}
    assert found == {
        (4, "3", "4"),
        (7, "False", "True"),
        (
            9,
            "if not numbers and strict:",
            "if not (not numbers and strict):\n    raise ValueError(f'none of {len(numbers) + 1}')",
        ),
        (9, "not numbers and strict", "not numbers or strict"),
        (9, "not numbers", "numbers"),
        (10, "raise ValueError(f'none of {len(numbers) + 1}')", "pass"),
        (11, "numbers.sort()", "pass"),
        (12, "return [n - 1 for n in numbers if n < LIMIT]", "return None"),
        (12, "n - 1", "n + 1"),
        (12, "1", "2"),
        (12, "n < LIMIT", "n <= LIMIT"),
    }


def test_a_mutant_is_the_module_with_that_change_alone() -> None:
    """Fails when changes add up, which would make every mutant easy to notice."""
    plain = ast.unparse(ast.parse(SOURCE)).splitlines()
    for mutant in mutants(SOURCE):
        changed = mutant.source.splitlines()
        assert len(changed) == len(plain)
        assert sum(a != b for a, b in zip(plain, changed, strict=True)) == 1
