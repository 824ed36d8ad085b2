"""Planning of mixed batches."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dacse_cli.lm.memory import fit_batch
from dacse_cli.lm.rows import plan_batch

LENGTHS = st.lists(st.tuples(st.integers(1, 60), st.integers(0, 60)), min_size=1, max_size=20)


@given(LENGTHS, st.integers(1, 300))
def test_a_plan_serves_every_request_once(lengths: list[tuple[int, int]], budget: int) -> None:
    """Fails when a row is lost, counted twice, prefilled with a neighbour's length or dropped early."""
    prompts, news = [p for p, _ in lengths], [n for _, n in lengths]
    plan = plan_batch(prompts, news)
    if plan is None:
        assert not any(news)
        return
    assert sorted(plan.order) == [i for i, n in enumerate(news) if n]
    assert plan.prompts == tuple(prompts[i] for i in plan.order)
    alive = plan.alive()
    assert len(alive) == plan.steps == max(news)
    for row, new in enumerate(plan.news):
        assert [rows > row for rows in alive] == [step < new for step in range(plan.steps)]
    passes = plan.prefill(budget)
    assert [row for rows in passes for row in rows] == list(range(plan.rows))
    for rows in passes:
        lengths_here = {plan.prompts[row] for row in rows}
        assert len(lengths_here) == 1
        assert len(rows) == 1 or len(rows) * lengths_here.pop() <= budget
    assert min(plan.pads) == 0
    assert plan.positions == max(prompts[i] for i in plan.order) + plan.steps - 1


@given(st.integers(0, 10**9), st.integers(0, 10**12), st.integers(1, 64))
def test_a_batch_fits_memory(row: int, free: int, cap: int) -> None:
    """Fails when a batch is planned beyond free memory although a smaller one would do."""
    rows = fit_batch(row, free, cap)
    assert 1 <= rows <= cap
    assert rows == 1 or rows * row <= free
