"""Scores for enhanced recordings: metrics, confidence intervals, tables. Runs no enhancer.

    run        `evaluate(clean, enhanced, noisy) -> Report`, the one call
    pairs      matching of recordings;  recording: one of them in memory
    metric     what a metric is;  metrics: one module each;  registry: the list of them
    scoring    one recording, all systems, all metrics
    bootstrap  means and confidence intervals;  groups: means by a property
    report     the result;  tables: the result as text;  published: scores from papers

A new metric: a module in `metrics` with a `METRIC`, and one line in `registry`.
"""
