"""A finished recording as the requested file: its options as text, the file, its name."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dacse_cli.audio.formats import suffix_for
from dacse_cli.config import FORMATS, SoundOptions, strength_of
from dacse_cli.errors import UsageError
from dacse_cli.serve.problems import ApiError, gone
from dacse_cli.serve.recordings import Recording
from dacse_cli.serve.uploads import check_space

MOST_RENDERINGS = 8
"""Files kept of one recording; another choice of options replaces the one not asked for longest."""
OPTIONS = ("strength", "format", "loudness")
_TYPES = {
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".opus": "audio/ogg",
    ".mp3": "audio/mpeg",
    ".m4a": "audio/mp4",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
}


def sound_options(given: Mapping[str, str], ours: tuple[str, ...] = ()) -> SoundOptions:
    """The sound options in a query or a form. Raises `ApiError` for unknown or invalid ones.

    `ours` are the names of parameters that are not sound options.
    """
    unknown = set(given) - {*OPTIONS, *ours}
    if unknown:
        name = sorted(unknown)[0]
        known = ", ".join(OPTIONS)
        raise ApiError(
            400, "unknown_option", f"there is no option {name}; the options are {known}", param=name
        )
    try:
        profile, mix = strength_of(given.get("strength") or "normal")
    except UsageError as error:
        raise ApiError(400, "invalid_option", error.message, param="strength") from None
    form = given.get("format") or "keep"
    if form not in FORMATS:
        words = f"format {form} is not one of {', '.join(FORMATS)}"
        raise ApiError(400, "invalid_option", words, param="format")
    level = _loudness(given.get("loudness", ""))
    return SoundOptions(format=form, profile=profile, mix=mix, loudness=level, limiter=level is not None)


def _loudness(text: str) -> str | float | None:
    if text in ("", "match"):
        return text or None
    try:
        value = float(text)
    except ValueError:
        value = 1.0
    if not -60 <= value <= 0:
        words = f"loudness {text} is neither match nor a number of LUFS from -60 to 0"
        raise ApiError(400, "invalid_option", words, param="loudness")
    return value


def make_file(recording: Recording, sound: SoundOptions) -> Path:
    """The file for the options `sound`; made once while it is among the last `MOST_RENDERINGS`.

    Raises `DacseError`, and `ApiError` for a full disk or a recording that is removed meanwhile.
    """
    key = hashlib.sha256(json.dumps(sound.to_json(), sort_keys=True).encode()).hexdigest()[:16]
    target = recording.folder / f"{key}{suffix_for(sound.format, recording.source.suffix)}"
    with recording.rendering:
        try:
            if not recording.removed:
                _render(recording, target, sound)
        except Exception as error:
            if not recording.removed:
                raise
            raise gone() from error
        finally:
            if recording.removed:
                recording.erase()
        if recording.removed:
            raise gone()
    return target


def _render(recording: Recording, target: Path, sound: SoundOptions) -> None:
    """Write `target` unless it is there, in place of the rendering that was not asked for longest."""
    from dacse_cli.api.rendering import render_file

    kept = recording.renderings
    if target in kept:
        kept.append(kept.pop(kept.index(target)))
        return
    while len(kept) >= MOST_RENDERINGS:
        with contextlib.suppress(OSError):  # gone, or on Windows open for a download
            kept.pop(0).unlink()
    # with a loudness, the samples are stored once more; tags and pictures are as large as in the source
    check_space(recording.folder, 2 * recording.sample_bytes + recording.source.stat().st_size)
    made = render_file(recording.source, recording.enhanced, target, sound)
    kept.append(target)
    recording.notes.extend(note for note in made.warnings if note not in recording.notes)


def headers_of(recording: Recording, file: Path) -> dict[str, Any]:
    """Name and type of a download, as `FileResponse` takes them."""
    stem = recording.name.rpartition(".")[0] or recording.name
    return {
        "filename": f"{stem}.enhanced{file.suffix}",
        "media_type": _TYPES.get(file.suffix, "application/octet-stream"),
    }
