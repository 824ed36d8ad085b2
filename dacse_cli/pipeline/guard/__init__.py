"""Whether an output chunk holds the speech of its input: measured chunk by chunk, without a second model.

frames       level and pitch of a signal, every 10 ms
measures     an output against its input, as numbers
verdict      numbers -> doubts, by thresholds from `tests/benchmarks/bench_guard.py`
loops        codes that repeat
transcripts  words that a speech recogniser finds in input and output
"""
