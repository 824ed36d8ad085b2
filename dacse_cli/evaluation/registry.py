"""All metrics, and which of them a run can compute.

Imports a metric's package only to check that it is installed; loads no model.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence

from dacse_cli.errors import UsageError, did_you_mean
from dacse_cli.evaluation.metric import Metric, ScoringOptions
from dacse_cli.evaluation.metrics import lsd, mos, pesq, si_sdr, speaker, speech_bert_score, stoi, wer

METRICS = (
    mos.DNSMOS,
    mos.PLCMOS,
    pesq.METRIC,
    stoi.METRIC,
    si_sdr.METRIC,
    lsd.METRIC,
    wer.METRIC,
    speaker.METRIC,
    speech_bert_score.METRIC,
)
"""In the order of their columns."""

BY_NAME = {metric.name: metric for metric in METRICS}


def requested(names: Sequence[str] | None, *, have_clean: bool) -> tuple[Metric, ...]:
    """The metrics named, in the registry's order; None means all that are possible with these inputs.

    Raises `UsageError` for a name that is not a metric.
    """
    if names is None:
        return tuple(metric for metric in METRICS if have_clean or not metric.needs_clean)
    unknown = sorted(set(names) - set(BY_NAME))
    if unknown:
        hint = did_you_mean(unknown[0], BY_NAME, f"There are {', '.join(BY_NAME)}.")
        raise UsageError(f"no such metric: {', '.join(unknown)}", hint=hint)
    return tuple(metric for metric in METRICS if metric.name in names)


def obstacle(metric: Metric, options: ScoringOptions, *, have_clean: bool) -> str | None:
    """Why `metric` cannot be computed here, with a remedy; None if it can."""
    if metric.needs_clean and not have_clean:
        return "needs the clean recordings"
    for package in metric.packages:
        try:
            importlib.import_module(package)
        except ImportError as error:
            if importlib.util.find_spec(package) is None:
                return f"package {package} is not installed: {metric.install}"
            return f"package {package} is installed but cannot be imported ({error}): {metric.install}"
    return metric.lacks(options)


def split(
    metrics: Sequence[Metric], options: ScoringOptions, *, have_clean: bool
) -> tuple[tuple[Metric, ...], dict[str, str]]:
    """The metrics that can be computed, and for every other its name and what is missing.

    Raises `UsageError` where none is left.
    """
    missing = {}
    for metric in metrics:
        reason = obstacle(metric, options, have_clean=have_clean)
        if reason:
            missing[metric.name] = reason
    usable = tuple(metric for metric in metrics if metric.name not in missing)
    if not usable:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in missing.items())
        raise UsageError(f"none of the metrics can be computed: {reasons or 'none was named'}")
    return usable, missing
