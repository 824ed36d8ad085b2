"""Fields common to all kinds of tags, read from and written to mutagen's files and libsndfile's strings."""

from __future__ import annotations

import base64
import contextlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

# name in Vorbis comments, ID3 frame, MP4 atom
_FIELDS = (
    ("title", "TIT2", "\xa9nam"),
    ("artist", "TPE1", "\xa9ART"),
    ("album", "TALB", "\xa9alb"),
    ("albumartist", "TPE2", "aART"),
    ("date", "TDRC", "\xa9day"),
    ("genre", "TCON", "\xa9gen"),
    ("composer", "TCOM", "\xa9wrt"),
    ("copyright", "TCOP", "cprt"),
    ("comment", "COMM", "\xa9cmt"),
    ("tracknumber", "TRCK", "trkn"),
    ("discnumber", "TPOS", "disk"),
)
_NUMBERS = ("trkn", "disk")
_MP4_PICTURES = {13: "image/jpeg", 14: "image/png"}


@dataclass
class Common:
    """Texts by name, and pictures as (mime type, bytes)."""

    text: dict[str, list[str]] = field(default_factory=dict)
    pictures: list[tuple[str, bytes]] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.text or self.pictures)

    def without(self, other: Common) -> Common:
        """The fields that `other` does not have."""
        text = {name: values for name, values in self.text.items() if name not in other.text}
        return Common(text, [] if other.pictures else self.pictures)


def of_tags(file: Any) -> Common:
    """The fields of a file that mutagen has opened."""
    tags, common = file.tags, Common()
    if tags is None:
        return common
    for name, frame, atom in _FIELDS:
        if type(file).__name__ == "MP4":
            found = [_number(v) if atom in _NUMBERS else str(v) for v in tags.get(atom, ())]
        elif hasattr(tags, "getall"):  # ID3
            found = [str(text) for entry in tags.getall(frame) for text in entry.text]
        else:
            found = list(tags.get(name, ()))
        if found:
            common.text[name] = found
    common.pictures = _pictures(file)
    return common


def of_strings(path: Path) -> Common:
    """What libsndfile finds in a file: the INFO list of a WAV, NAME and AUTH of an AIFF, info of a CAF."""
    import soundfile

    try:
        with soundfile.SoundFile(str(path)) as sound:
            found = sound.copy_metadata()
    except (soundfile.LibsndfileError, TypeError, UnicodeError, OSError):
        return Common()
    known = {name for name, _, _ in _FIELDS}
    return Common({name: [text] for name, text in found.items() if name in known and text})


def give(new: Any, common: Common) -> None:
    """Write `common` into an opened file of any kind, beside what it has; not yet to the disk."""
    if new.tags is None:
        new.add_tags()
    if type(new).__name__ == "MP4":
        _give_mp4(new, common)
    elif hasattr(new.tags, "getall"):
        _give_id3(new, common)
    else:
        _give_vorbis(new, common)


def _number(value: tuple[int, int]) -> str:
    """`3/12`, or `3` where the total is not known."""
    return f"{value[0]}/{value[1]}" if value[1] else str(value[0])


def _pictures(file: Any) -> list[tuple[str, bytes]]:
    tags = file.tags
    if type(file).__name__ == "MP4":
        covers = tags.get("covr", ())
        return [(_MP4_PICTURES.get(cover.imageformat, "image/jpeg"), bytes(cover)) for cover in covers]
    if hasattr(tags, "getall"):
        return [(picture.mime, picture.data) for picture in tags.getall("APIC")]
    if type(file).__name__ == "FLAC":
        return [(picture.mime, picture.data) for picture in file.pictures]
    from mutagen import MutagenError
    from mutagen.flac import Picture

    found = []
    for text in tags.get("metadata_block_picture", ()):
        with contextlib.suppress(ValueError, MutagenError):  # not base64, or no picture
            picture = Picture(base64.b64decode(text))
            found.append((picture.mime, picture.data))
    return found


def _give_vorbis(new: Any, common: Common) -> None:
    from mutagen.flac import Picture

    for name, values in common.text.items():
        new.tags[name] = values
    pictures = []
    for mime, data in common.pictures:
        picture = Picture()
        picture.type, picture.mime, picture.data = 3, mime, data
        pictures.append(picture)
    if type(new).__name__ == "FLAC":
        for picture in pictures:
            new.add_picture(picture)
    elif pictures:
        new.tags["metadata_block_picture"] = [base64.b64encode(p.write()).decode() for p in pictures]


def _give_id3(new: Any, common: Common) -> None:
    from mutagen import id3

    for name, frame, _ in _FIELDS:
        if values := common.text.get(name):
            more = {"lang": "und", "desc": ""} if frame == "COMM" else {}
            new.tags.add(getattr(id3, frame)(encoding=3, text=values, **more))
    for mime, data in common.pictures:
        new.tags.add(id3.APIC(encoding=3, mime=mime, type=3, desc="", data=data))


def _fits(text: str) -> bool:
    """Whether `text` is a number that an MP4 file can hold."""
    return text.isascii() and text.isdecimal() and len(text) <= 5 and int(text) < 1 << 16


def _give_mp4(new: Any, common: Common) -> None:
    from mutagen.mp4 import MP4Cover

    for name, _, atom in _FIELDS:
        if values := common.text.get(name):
            if atom in _NUMBERS:
                first, _, total = values[0].partition("/")
                if _fits(first):
                    new.tags[atom] = [(int(first), int(total) if _fits(total) else 0)]
            else:
                new.tags[atom] = values
    formats = {mime: number for number, mime in _MP4_PICTURES.items()}
    covers = [MP4Cover(data, formats[mime]) for mime, data in common.pictures if mime in formats]
    if covers:
        new.tags["covr"] = covers
