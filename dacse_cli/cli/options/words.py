"""Values that are a number or a word."""

from __future__ import annotations

from dacse_cli.errors import UsageError, did_you_mean


def whole_number(value: str, option: str, *, instead: str) -> int | None:
    """A whole number, or None for the word that stands for "decide for me". Raises `UsageError`."""
    if value == instead:
        return None
    try:
        return int(value)
    except ValueError:
        hint = did_you_mean(value, [instead])
        raise UsageError(f"{option} {value} is neither {instead} nor a whole number", hint=hint) from None


def number_or_word(value: str | None) -> float | str | None:
    """A number where `value` is one."""
    try:
        return value if value is None else float(value)
    except ValueError:
        return value
