"""Tags and cover art from one file to another, by mutagen (the extra `dacse[media]`).

Between files of one kind everything is taken over as it is, except for what describes the old samples: their
loudness, and the delay that their encoder had. Between kinds, the fields that all of them have and the
pictures.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import re
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dacse_cli.audio.media.kinds import EXTRA
from dacse_cli.audio.metadata import fields

MOST_INFLATED = 32 << 20
"""Most decompressed bytes of one file's tag frames."""
_OUTDATED = re.compile(
    r"(?:.*:)?(?:itunsmpb|itunnorm|replaygain_.*|r128_.*_gain|mp3gain_.*)(?::.*)?|rva2.*|rgad.*",
    re.IGNORECASE,
)
"""Names of tags about the old samples. An encoder's delay in `iTunSMPB` makes readers cut the new ones."""
_TYPES = {
    "MP3": ("mp3", "MP3"),
    "FLAC": ("flac", "FLAC"),
    "VORBIS": ("oggvorbis", "OggVorbis"),
    "OPUS": ("oggopus", "OggOpus"),
    "OGG_FLAC": ("oggflac", "OggFLAC"),
    "AIFF": ("aiff", "AIFF"),
    "WAV": ("wave", "WAVE"),
    "WAVEX": ("wave", "WAVE"),
    "RF64": ("wave", "WAVE"),
    "M4A": ("mp4", "MP4"),
    "MP4": ("mp4", "MP4"),
    "MOV": ("mp4", "MP4"),
}
"""Container, or sample format of an Ogg file -> module and class of mutagen."""


def available() -> bool:
    """Whether mutagen is installed."""
    return importlib.util.find_spec("mutagen") is not None


def tagger(source: Path, container: str, subtype: str) -> Callable[[Path], list[str]] | None:
    """What gives a finished file of a format the tags of `source`; None where nothing is to be done."""
    kind = _TYPES.get(subtype if container == "OGG" else container)
    if kind is None or not available():
        return None
    return lambda target: copy_tags(source, target, kind)


def rehearse(source: Path) -> None:
    """Parse and discard the tags of a file, so that a hostile file harms only this process."""
    if available():
        _open(source)


def missing_extra(source: Path) -> str | None:
    """What to say about a file with tags that cannot be copied, because the extra is not installed."""
    if available() or not fields.of_strings(source):
        return None
    return f"its tags are not kept: pip install '{EXTRA}'"


def copy_tags(source: Path, target: Path, kind: tuple[str, str] | None = None) -> list[str]:
    """Give `target`, of mutagen's module and class `kind`, the tags of `source`. Raises `OSError`.

    Tags that mutagen cannot read or write are not copied; a note says so.
    """
    old, new = _open(source), _open(target, kind)
    if new is None:
        return []
    try:
        _take(source, old, new)
        new.save(**_like(source, old, new))
    except OSError:
        raise
    except Exception as error:  # values from outside, in a library that expects its own
        if isinstance(cause := error.__cause__ or error.__context__, OSError):
            raise cause from error
        return ["not kept: its tags, which are damaged"]
    return []


def _take(source: Path, old: Any, new: Any) -> None:
    """Put the tags of `source`, opened as `old`, into `new`."""
    if old is not None and type(old) is type(new):
        _take_all(old, new)
    else:
        common = fields.of_tags(old) if old is not None else fields.Common()
        common = common or fields.of_strings(source)
        if common:
            fields.give(new, common)
    leading = _leading_id3(source, old)
    if leading is not None:
        more = fields.of_tags(leading).without(fields.of_tags(new))
        if more:
            fields.give(new, more)
    names = list(new.tags.keys()) if new.tags is not None else []
    for name in filter(_OUTDATED.fullmatch, names):
        del new.tags[name]


def _open(path: Path, kind: tuple[str, str] | None = None) -> Any:
    """The file as mutagen knows it, or None; as `kind` where its name does not tell."""
    try:
        with _bounded():
            import mutagen

            if kind is None:
                return mutagen.File(path)
            module, name = kind
            return getattr(importlib.import_module(f"mutagen.{module}"), name)(path)
    except Exception:  # a parser of foreign bytes: whatever it says, the file has no tags to copy
        return None


def _leading_id3(source: Path, old: Any) -> Any:
    """An ID3 tag that stands before a file of another kind, or None."""
    if old is None or hasattr(old.tags, "getall"):
        return None
    with source.open("rb") as stream:
        if stream.read(3) != b"ID3":
            return None
    found = _open(source, ("id3", "ID3FileType"))
    return found if found is not None and found.tags is not None else None


def _like(source: Path, old: Any, new: Any) -> dict[str, Any]:
    """How an MP3 is to be saved so that readers of the old one, such as Windows, read the new one."""
    if type(old) is not type(new) or type(new).__name__ != "MP3" or old.tags is None:
        return {}
    with source.open("rb") as stream:
        stream.seek(0, 2)
        stream.seek(max(0, stream.tell() - 128))
        has_v1 = stream.read(3) == b"TAG"
    return {"v1": 2 if has_v1 else 1, "v2_version": 3 if old.tags.version[:2] == (2, 3) else 4}


def _take_all(old: Any, new: Any) -> None:
    """Between files of one kind."""
    kind = type(new).__name__
    if kind == "FLAC":
        audio = {"StreamInfo", "SeekTable", "Padding"}
        kept = [block for block in old.metadata_blocks if type(block).__name__ not in audio]
        own = [block for block in new.metadata_blocks if type(block).__name__ in audio]
        new.metadata_blocks[:] = own[:1] + kept + own[1:]
        new.tags = old.tags
    elif old.tags is None:
        return
    elif kind.startswith("Ogg"):
        new.tags[:] = list(old.tags)
    else:
        if new.tags is None:
            new.add_tags()
        new.tags.update(old.tags)


class _Inflater:
    """`zlib` as mutagen uses it, with a bound on what all compressed frames of a file may become."""

    error = zlib.error

    def __init__(self) -> None:
        self._here = threading.local()

    def start(self) -> None:
        """Begin another file."""
        self._here.left = MOST_INFLATED

    def decompress(self, data: bytes) -> bytes:
        """As zlib does it. Raises `zlib.error` for what would become too much."""
        left: int = getattr(self._here, "left", MOST_INFLATED)
        inflater = zlib.decompressobj()
        found = inflater.decompress(data, left + 1)
        if len(found) > left:
            raise zlib.error("too large")
        if not inflater.eof:
            raise zlib.error("incomplete")
        self._here.left = left - len(found)
        return found


_inflater = _Inflater()


@contextlib.contextmanager
def _bounded() -> Any:
    """Limit decompression: mutagen unpacks compressed frames without a limit, a megabyte to a gigabyte."""
    frames = importlib.import_module("mutagen.id3._frames")
    frames.zlib = _inflater  # type: ignore[attr-defined]
    _inflater.start()
    yield
