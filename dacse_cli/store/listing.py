"""The objects below a folder of a store, one after the other, without all of them in memory at once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_IDENTITY = ("ETag", "etag", "md5Hash", "content_md5", "blob_id", "oid", "checksum")
"""What stores call the number that follows from an object's content, the best first."""
_TIMES = ("LastModified", "last_modified", "updated", "mtime", "created")


@dataclass(frozen=True)
class Found:
    """An object: its path in the store's own form, its size, and a number that changes with its content."""

    path: str
    size: int
    stamp: int


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


def list_objects(fs: Any, root: str) -> Iterator[Found]:
    """Every object below `root`, in the store's order.

    S3 is asked page by page, whatever the folders, so 1,000 keys are held at most. Other stores are walked
    folder by folder, names sorted, and the largest folder's listing is held.
    """
    if hasattr(fs, "call_s3"):
        yield from _pages_of_s3(fs, root)
    else:
        yield from _walked(fs, root)


def _pages_of_s3(fs: Any, root: str) -> Iterator[Found]:
    bucket, _, prefix = root.partition("/")
    prefix = f"{prefix}/" if prefix else ""
    token: dict[str, str] = {}
    while True:
        page = fs.call_s3("list_objects_v2", Bucket=bucket, Prefix=prefix, **token)
        for facts in page.get("Contents", ()):
            if not facts["Key"].endswith("/"):  # that stands for a folder
                yield Found(f"{bucket}/{facts['Key']}", facts["Size"], stamp_of(facts))
        if not page.get("IsTruncated"):
            return
        token = {"ContinuationToken": page["NextContinuationToken"]}


def _walked(fs: Any, root: str) -> Iterator[Found]:
    try:
        listing = fs.ls(root, detail=True)
    except FileNotFoundError:  # object stores know no empty folders
        return
    for facts in sorted(listing, key=lambda facts: str(facts["name"])):
        if facts["type"] == "directory":
            yield from _walked(fs, facts["name"])
        elif facts["type"] == "file":
            yield Found(facts["name"], int(facts["size"] or 0), stamp_of(facts))
