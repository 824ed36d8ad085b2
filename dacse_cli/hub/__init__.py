"""What a model is called -> the folder where it lies: built in, local, or fetched from the Hub.

    names     org/name@revision as text            client    requests, bounded waiting
    manifest  which files of a repository          transfer  one file: Range, checksum
    problems  HTTP and disk errors in words        fetch     a model into the cache
    cache     the Hugging Face cache's layout      stamps    remembered checksums
    card      dacse.json                           folder    which files make a model
    verify    damaged files                        resolve   the way in
    listing   which models there are         resolved  a model on this disk
    published which pickles dacse converts   from_hub  the cached copy of a model, or a new one

Knows neither tensors nor torch; huggingface_hub is imported only when the network is really used.
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
