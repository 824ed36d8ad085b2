"""Scores that papers report, as data, to be shown beside one's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class PublishedRow:
    """One line of a published table; columns are named as in the registry."""

    system: str
    scores: Mapping[str, float]


@dataclass(frozen=True)
class PublishedTable:
    """A published table and where it stands."""

    test_set: str
    source: str
    remark: str
    rows: tuple[PublishedRow, ...]


_HIFITTS2_COLUMNS = (
    "dnsmos_ovrl",
    "dnsmos_sig",
    "dnsmos_bak",
    "dnsmos_p808",
    "pesq",
    "speech_bert_score",
    "plcmos",
    "wer",
    "mushra",
)
_HIFITTS2 = {
    "noisy": (2.44, 3.18, 2.79, 3.11, 2.63, 0.89, 3.84, 0.25, 35.8),
    "clean": (3.03, 3.41, 3.80, 3.64, 4.50, 1.00, 4.41, 0.00, 94.5),
    "LLaSE-G1": (2.90, 3.24, 3.83, 3.47, 1.98, 0.86, 4.19, 0.27, 44.1),
    "VoiceFixer": (2.92, 3.21, 3.90, 3.43, 1.85, 0.81, 4.29, 0.45, 34.5),
    "DAC-SE1": (2.95, 3.33, 3.70, 3.56, 2.46, 0.89, 4.35, 0.25, 58.3),
}

TABLES = {
    "hifitts2": PublishedTable(
        test_set="HiFiTTS-2",
        source="DAC-SE1, arXiv 2510.02187, main table",
        remark=(
            "Which recogniser, which SpeechBERTScore model and which PESQ mode were used is not stated. "
            "DAC-SE1's PESQ lies below its noisy input's, its word error and SpeechBERTScore equal it."
        ),
        rows=tuple(
            PublishedRow(system, dict(zip(_HIFITTS2_COLUMNS, values, strict=True)))
            for system, values in _HIFITTS2.items()
        ),
    ),
}
"""By the name of the test set, as a user types it."""
