"""The state of an output before its job starts, and why some outputs are not replaced."""

from __future__ import annotations

from enum import Enum


class Standing(Enum):
    """The state of an output before its job starts."""

    FREE = "free"
    DONE = "done"
    """Exists unchanged, made from this input with these settings: skipped."""
    OURS = "ours"
    """Exists unchanged, made from this input, but with other settings or content: may be replaced."""
    FOREIGN = "foreign"
    """A file exists that was not made by a run, as far as is known."""
    EDITED = "edited"
    """Made by a run and changed since."""
    OTHER_INPUT = "other input"
    """Made from another input."""
    FOLDER = "folder"


LEFT_ALONE = {
    Standing.FOREIGN: ("exists", "an output exists, perhaps made with other options"),
    Standing.EDITED: ("edited", "the output was changed since it was made"),
    Standing.OTHER_INPUT: ("other-input", "the output was made of another input of this name"),
}
"""Why an existing output is not replaced without `--overwrite`: reason code and message."""
INSTEAD = "`overwrite` replaces it; or give another output"
"""What the user can do about it."""
