"""Names of models: a Hub id with an optional revision. Text only, no disk, no network."""

from __future__ import annotations

import re
from dataclasses import dataclass

from dacse_cli.config import DEFAULT_CODEC, DEFAULT_MODEL
from dacse_cli.errors import did_you_mean

WITHOUT_HUB = ("nano", "deepfilternet3")
"""Names of models that are neither folders nor Hub ids."""
_KNOWN = (
    *WITHOUT_HUB,
    DEFAULT_MODEL,
    DEFAULT_CODEC,
    "descript/dac_24khz",
    "descript/dac_16khz",
    "KdaiP/DC-Speech-VAE",
)
MAIN = "main"

_REPO = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}/[A-Za-z0-9_][A-Za-z0-9_.-]{0,95}")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./+-]{0,199}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True)
class HubName:
    """`org/name@revision`; the revision is a branch, a tag or a commit."""

    repo: str
    revision: str = MAIN

    @property
    def pinned(self) -> bool:
        """Whether the revision is a full commit, which can never mean other content."""
        return is_commit(self.revision)

    def __str__(self) -> str:
        return self.repo if self.revision == MAIN else f"{self.repo}@{self.revision}"


def is_known(name: str) -> bool:
    """Whether it is the name of a built-in model or of a known published one."""
    return name in _KNOWN


def guess(name: str) -> str | None:
    """The hint for an unknown name that is close to one known without the network."""
    return None if is_known(name) else did_you_mean(name, _KNOWN)


def is_commit(text: str) -> bool:
    """Whether `text` is a full git commit hash."""
    return _COMMIT.fullmatch(text) is not None


def is_inside(path: str) -> bool:
    """Whether a relative, slash-separated path stays below the folder it is joined to."""
    parts = path.split("/")
    return "\\" not in path and "\0" not in path and not any(part in ("", ".", "..") for part in parts)


def parse_hub_name(text: str) -> HubName | None:
    """`org/name` or `org/name@revision` -> `HubName`; None where the text is neither."""
    repo, at, revision = text.partition("@")
    if not _REPO.fullmatch(repo) or ".." in repo or "--" in repo:
        return None  # character pairs that the Hub forbids: they would make cache folders ambiguous
    if not at:
        return HubName(repo)
    # a revision becomes a file below refs/, so it must not climb out of there
    if not _REVISION.fullmatch(revision) or not is_inside(revision):
        return None
    return HubName(repo, revision)
