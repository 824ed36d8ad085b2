"""Predicted opinion scores without a reference: DNSMOS (P.835 and P.808) and PLCMOS, by speechmos.

The package carries Microsoft's ONNX models. DNSMOS rates passages of 9.01 s; shorter recordings are repeated.
"""

from __future__ import annotations

import numpy as np

from dacse_cli.evaluation.metric import (
    Clip,
    Column,
    Metric,
    Samples,
    Score,
    Scorer,
    ScoringOptions,
    UnscorableError,
)

DNSMOS_KEYS = {
    "dnsmos_sig": "sig_mos",
    "dnsmos_bak": "bak_mos",
    "dnsmos_ovrl": "ovrl_mos",
    "dnsmos_p808": "p808_mos",
}


def _audible(clip: Clip) -> Samples:
    """The samples clipped to [-1, 1], as by a player; speechmos requires this range."""
    if clip.samples.size == 0:
        raise UnscorableError("no samples")  # speechmos would loop for ever
    return np.clip(clip.samples, -1.0, 1.0)


def _load_dnsmos(options: ScoringOptions) -> Scorer:
    from speechmos import dnsmos

    def score(clip: Clip) -> tuple[Score, ...]:
        found = dnsmos.run(_audible(clip), clip.rate)
        return tuple(Score(float(found[key])) for key in DNSMOS_KEYS.values())

    return score


def _load_plcmos(options: ScoringOptions) -> Scorer:
    from speechmos import plcmos

    def score(clip: Clip) -> tuple[Score, ...]:
        # it draws its fifteen simulated listeners from numpy's global generator
        state = np.random.get_state()
        np.random.seed(options.seed)
        try:
            return (Score(float(plcmos.run(_audible(clip), clip.rate)["plcmos"])),)
        finally:
            np.random.set_state(state)

    return score


DNSMOS = Metric(
    name="dnsmos",
    columns=tuple(Column(name, "MOS", higher_is_better=True) for name in DNSMOS_KEYS),
    method="DNSMOS P.835 (SIG, BAK, OVRL) and P.808 by speechmos",
    load=_load_dnsmos,
    needs_clean=False,
    packages=("speechmos", "onnxruntime"),
    install="pip install 'dacse[evaluate]'",
)
PLCMOS = Metric(
    name="plcmos",
    columns=(Column("plcmos", "MOS", higher_is_better=True),),
    method="PLCMOS v2 by speechmos, 15 simulated listeners, seeded",
    load=_load_plcmos,
    needs_clean=False,
    packages=("speechmos", "onnxruntime"),
    install="pip install 'dacse[evaluate]'",
)
