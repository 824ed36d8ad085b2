"""Tags and cover art from one file to another, by mutagen (the extra `dacse[media]`).

Between files of one kind everything is taken over as it is. Between kinds, the fields that all of them have
and the pictures.
"""

from __future__ import annotations

import base64
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dacse_cli.audio.media.kinds import EXTRA
from dacse_cli.audio.metadata.riff import read_extras

# name in Vorbis comments, ID3 frame, MP4 atom, RIFF INFO chunk
_FIELDS = (
    ("title", "TIT2", "\xa9nam", b"INAM"),
    ("artist", "TPE1", "\xa9ART", b"IART"),
    ("album", "TALB", "\xa9alb", b"IPRD"),
    ("albumartist", "TPE2", "aART", b""),
    ("date", "TDRC", "\xa9day", b"ICRD"),
    ("genre", "TCON", "\xa9gen", b"IGNR"),
    ("composer", "TCOM", "\xa9wrt", b""),
    ("copyright", "TCOP", "cprt", b"ICOP"),
    ("comment", "COMM", "\xa9cmt", b"ICMT"),
    ("tracknumber", "TRCK", "trkn", b"ITRK"),
    ("discnumber", "TPOS", "disk", b""),
)
_NUMBERS = ("trkn", "disk")
_MP4_PICTURES = {13: "image/jpeg", 14: "image/png"}


@dataclass
class Common:
    """What every kind of tag can say. Pictures are (mime type, bytes)."""

    text: dict[str, list[str]] = field(default_factory=dict)
    pictures: list[tuple[str, bytes]] = field(default_factory=list)


def tagger(source: Path, container: str) -> Callable[[Path], None] | None:
    """What gives a finished file of `container` the tags of `source`; None where nothing is to be done."""
    if importlib.util.find_spec("mutagen") is None or container in ("MATROSKA", "WEBM", "ADTS"):
        return None
    return lambda target: copy_tags(source, target)


def rehearse(source: Path) -> None:
    """Parse the tags of a file and forget them: what a hostile file does to the parser, it does here."""
    if importlib.util.find_spec("mutagen") is not None:
        _open(source)


def missing_extra(source: Path) -> str | None:
    """What to tell somebody whose file has tags that cannot be copied, because the extra is not installed."""
    if importlib.util.find_spec("mutagen") is not None:
        return None
    import soundfile

    try:
        with soundfile.SoundFile(str(source)) as sound:
            if not sound.copy_metadata() or sound.format in ("WAV", "WAVEX", "RF64"):
                return None
    except (soundfile.LibsndfileError, TypeError, UnicodeError):
        return None
    return f"its tags are not kept: pip install '{EXTRA}'"


def copy_tags(source: Path, target: Path) -> None:
    """Give `target` the tags of `source`; damaged tags are left behind. Raises `OSError`."""
    import mutagen

    old, new = _open(source), _open(target)
    if new is None:
        return
    try:
        if old is not None and type(old) is type(new):
            _take_all(old, new)
        else:
            common = _riff_common(source) if old is None or old.tags is None else _common(old)
            if not common.text and not common.pictures:
                return
            _give(new, common)
        new.save()
    except mutagen.MutagenError as error:
        if isinstance(cause := error.__cause__ or error.__context__, OSError):
            raise cause from error


def _open(path: Path) -> Any:
    """The file as mutagen knows it, or None."""
    import mutagen

    try:
        return mutagen.File(path)
    except Exception:  # a parser of foreign bytes: whatever it says, the file has no tags to copy
        return None


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


def _common(file: Any) -> Common:
    """What a file of any kind says, in the words all share."""
    common, tags = Common(), file.tags
    if tags is None:
        return common
    for name, frame, atom, _ in _FIELDS:
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
    from mutagen.flac import Picture

    blocks = [Picture(base64.b64decode(text)) for text in tags.get("metadata_block_picture", ())]
    return [(picture.mime, picture.data) for picture in blocks]


def _riff_common(source: Path) -> Common:
    """What the INFO list of a WAV file says."""
    common = Common()
    for name, body in read_extras(source).chunks:
        if name != b"LIST" or body[:4] != b"INFO":
            continue
        at = 4
        while at + 8 <= len(body):
            part, length = body[at : at + 4], int.from_bytes(body[at + 4 : at + 8], "little")
            text = body[at + 8 : at + 8 + length].rstrip(b"\0").decode("utf-8", "replace")
            for field_name, *_, info in _FIELDS:
                if part == info and text:
                    common.text[field_name] = [text]
            at += 8 + length + length % 2
    return common


def _give(new: Any, common: Common) -> None:
    """Write what all kinds can say into a file of any kind."""
    if new.tags is None:
        new.add_tags()
    if type(new).__name__ == "MP4":
        _give_mp4(new, common)
    elif hasattr(new.tags, "getall"):
        _give_id3(new, common)
    else:
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

    for name, frame, _, _ in _FIELDS:
        if values := common.text.get(name):
            more = {"lang": "und", "desc": ""} if frame == "COMM" else {}
            new.tags.add(getattr(id3, frame)(encoding=3, text=values, **more))
    for mime, data in common.pictures:
        new.tags.add(id3.APIC(encoding=3, mime=mime, type=3, desc="", data=data))


def _give_mp4(new: Any, common: Common) -> None:
    from mutagen.mp4 import MP4Cover

    for name, _, atom, _ in _FIELDS:
        if values := common.text.get(name):
            if atom in _NUMBERS:
                first, _, total = values[0].partition("/")
                if first.isdigit():
                    new.tags[atom] = [(int(first), int(total) if total.isdigit() else 0)]
            else:
                new.tags[atom] = values
    formats = {mime: number for number, mime in _MP4_PICTURES.items()}
    covers = [MP4Cover(data, formats[mime]) for mime, data in common.pictures if mime in formats]
    if covers:
        new.tags["covr"] = covers
