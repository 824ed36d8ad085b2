"""Scores for enhanced recordings: metrics, confidence intervals, tables. Runs no enhancer.

One call does it: `evaluate(clean, enhanced, noisy) -> Report` in `run.py`; `tables.py` renders the report.
"""
