"""Whether an answer says what was heard: chunk by chunk, without a second model.

`frames` listens, `measures` compares, `verdict` decides by thresholds that `tests/benchmarks/bench_guard.py`
takes from data, `loops` finds codes that are stuck, `watch` keeps one task's account and asks for second
tries, `report` is what is told of it.
"""
