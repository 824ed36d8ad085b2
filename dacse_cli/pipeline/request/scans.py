"""Which recordings can be used, decided after reading them completely."""

from __future__ import annotations

from dacse_cli.audio.info import AudioScan
from dacse_cli.errors import InputError


def check_samples(frames: int, bad_samples: int, channels: int) -> None:
    """Raise `InputError` where there are no samples, or samples that are not finite."""
    if bad_samples:
        raise InputError(
            f"{bad_samples:,} of {frames * channels:,} samples are NaN or infinite", reason="nan"
        )
    if frames == 0:
        raise InputError("there are no samples in it", reason="no-samples")


def check_scan(scan: AudioScan, *, strict: bool = False) -> None:
    """Raise `InputError` for a recording that cannot be used, with `strict` also for a damaged one."""
    check_samples(scan.frames, scan.bad_samples, scan.info.channels)
    if scan.warning and strict:
        raise InputError(scan.warning, reason="damaged")
