"""The objects below a folder of a store, one at a time, so that not all of them are in memory."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_IDENTITY = ("ETag", "etag", "md5Hash", "content_md5", "blob_id", "oid", "checksum")
"""Names that stores give an object's checksum, the most reliable first."""
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")


@dataclass(frozen=True)
class StoredObject:
    """An object: its path in the store's own form, its size, and a number that changes with its content."""

    path: str
    size: int
    stamp: int
    modified_ns: int | None


def stamp_of(facts: Mapping[str, Any]) -> int:
    """63 bits from the identity a store gives an object: its content's checksum, else its time of writing."""
    for name in (*_IDENTITY, *_TIMES):
        value = facts.get(name)
        if value is not None:
            value = value.timestamp() if isinstance(value, datetime) else value
            text = f"{value:.6f}" if isinstance(value, float) else str(value).strip('"')
            digest = hashlib.sha256(text.encode()).digest()
            return int.from_bytes(digest[:8], "big") >> 1
    return 0


def modified_of(facts: Mapping[str, Any]) -> int | None:
    """An object's modification time in nanoseconds; None where the store has none."""
    value = next((facts[name] for name in _TIMES if facts.get(name) is not None), None)
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = datetime.fromisoformat(value.replace("Z", "+00:00"))
    seconds = value.timestamp() if isinstance(value, datetime) else value
    return int(seconds * 1e9) if isinstance(seconds, (int, float)) else None


def _object(path: str, size: int, facts: Mapping[str, Any]) -> StoredObject:
    return StoredObject(path, size, stamp_of(facts), modified_of(facts))


def list_objects(fs: Any, root: str) -> Iterator[StoredObject]:
    """Every object below `root`, in the store's order.

    S3 is asked page by page, whatever the folders, so 1,000 keys are held at most. Other stores are walked
    folder by folder, names sorted, and the largest folder's listing is held.
    """
    if hasattr(fs, "call_s3"):
        yield from _pages_of_s3(fs, root)
    else:
        yield from _walked(fs, root)


def _pages_of_s3(fs: Any, root: str) -> Iterator[StoredObject]:
    bucket, _, prefix = root.partition("/")
    prefix = f"{prefix}/" if prefix else ""
    token: dict[str, str] = {}
    while True:
        page = fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **token)
        for facts in page.get("Contents", ()):
            if not facts["Key"].endswith("/"):  # an empty object that marks a folder
                yield _object(f"{bucket}/{facts['Key']}", facts["Size"], facts)
        if not page.get("IsTruncated"):
            return
        token = {"ContinuationToken": page["NextContinuationToken"]}


def _walked(fs: Any, root: str) -> Iterator[StoredObject]:
    try:
        listing = fs.ls(root, detail=True)
    except FileNotFoundError:  # object stores have no empty folders
        return
    for facts in sorted(listing, key=lambda facts: str(facts["name"])):
        if facts["type"] == "directory":
            yield from _walked(fs, facts["name"])
        elif facts["type"] == "file":
            yield _object(facts["name"], int(facts["size"] or 0), facts)
