"""Values that are a number or a word."""

from __future__ import annotations

from dacse_cli.errors import UsageError, did_you_mean


def whole_number(value: str, option: str, *, instead: str) -> int | None:
    """A whole number, or None for the word `instead`, such as "auto". Raises `UsageError`."""
    if value == instead:
        return None
    try:
        return int(value)
    except ValueError:
        hint = did_you_mean(value, [instead])
        raise UsageError(f"{option} {value} is neither {instead} nor a whole number", hint=hint) from None


def number_or_word(value: str | None) -> float | str | None:
    """`value` as a number if it is one, else unchanged."""
    try:
        return value if value is None else float(value)
    except ValueError:
        return value
