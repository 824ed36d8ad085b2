"""The name of a model -> its folder on this disk: built in, local, or fetched from the Hub.

    resolve    a name -> a model on this disk, the entry point;  resolved: that model
    choice     which model `auto` means
    names      org/name@revision as text
    folder     which files make a model;  card: `dacse.json`
    from_hub   the cached copy of a model, or a new one
    cache      model files on this disk, and whether they are unchanged
    manifest   which files of a repository are fetched
    fetch      requests, and files into the cache;  problems: their errors in words
    listing    which models there are

Imports no torch; huggingface_hub is imported only when the network is used.
"""

from __future__ import annotations

from dacse_cli.hub.card import ModelCard, read_card
from dacse_cli.hub.resolve import BUILT_IN, Downloaded, download, is_offline, resolve, resolve_codec, verify
from dacse_cli.hub.resolved import Resolved

__all__ = [
    "BUILT_IN",
    "Downloaded",
    "ModelCard",
    "Resolved",
    "download",
    "is_offline",
    "read_card",
    "resolve",
    "resolve_codec",
    "verify",
]
