"""The history of metrics against a list of dicts, and what a row of it costs."""

from __future__ import annotations

import tracemalloc
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from engine.metric_history import MetricHistory

VALUES = st.one_of(st.integers(-(2**53), 2**53), st.floats(allow_nan=False))
ROWS = st.lists(st.dictionaries(st.sampled_from("abcdef"), VALUES), max_size=30)


@given(ROWS, st.integers(1, 20), st.integers(0, 35), st.integers(0, 35), st.integers(0, 35))
def test_rows_come_back_as_they_went_in(
    rows: list[dict[str, Any]], limit: int, since: int, dropped: int, portion: int
) -> None:
    """Whole numbers stay whole; the limit drops the oldest, `drop_after` the newest."""
    history = MetricHistory(limit)
    plain = [row | {"iteration": number} for number, row in enumerate(rows, start=1)]
    history.extend(plain)
    kept = plain[-limit:]
    assert len(history) == len(kept)
    assert history.newest() == (kept[-1] if kept else None)
    assert history.since(since) == [row for row in kept if row["iteration"] > since]
    assert history.since(since, portion) == history.since(since)[:portion]
    assert [list(map(type, row.values())) for row in history.since()] == [list(map(type, r.values())) for r in kept]

    history.drop_after(dropped)
    left = [row for row in kept if row["iteration"] <= dropped]
    assert history.since() == left
    assert history.iteration == (left[-1]["iteration"] if left else 0)


def test_a_row_of_eighty_metrics_takes_less_than_a_kilobyte() -> None:
    """Otherwise a run's memory would grow by the hour until the history is full."""
    keys = [f"group/metric_{number}" for number in range(80)]
    history = MetricHistory()
    history.append({"iteration": 0} | dict.fromkeys(keys, 0.5))
    tracemalloc.start()
    for iteration in range(1, 2001):
        history.append({"iteration": iteration} | {key: iteration * 0.37 + place for place, key in enumerate(keys)})
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / 2000 < 1000


def test_a_portion_of_a_long_history_takes_no_memory_for_the_rest() -> None:
    """A viewer that attaches late asks for portions; whole rows for all that is kept would be a hundred megabytes."""
    history = MetricHistory()
    for number in range(1, 20_001):
        history.append({f"metric/{key}": number / 7 + key for key in range(40)} | {"iteration": number})
    tracemalloc.start()
    portions = [history.since(since, 200) for since in (0, 10_000, 19_900)]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert [(len(portion), portion[0]["iteration"]) for portion in portions] == [(200, 1), (200, 10_001), (100, 19_901)]
    assert peak < 4_000_000
