"""Watching a segment: the cursor, the surprises, the play."""

from __future__ import annotations

from dataclasses import replace

import pytest
from fakes import running, segment
from hypothesis import given
from hypothesis import strategies as st

from engine import RunState
from perx_tui.tui.watching import SPEEDS, Watching

MOVES = st.lists(
    st.sampled_from(["left", "right", "page", "home", "end", "jump", "play", "faster", "slower", "time"]), max_size=40
)


def watching(steps: int = 64) -> Watching:
    made = Watching()
    made.ask("priority", 0, None, 0.0)
    assert made.offer(replace(running(), segment=segment(steps=steps)), 0.0)
    return made


@given(MOVES, st.integers(1, 70))
def test_the_cursor_stays_inside_the_segment_whatever_is_pressed(moves: list[str], steps: int) -> None:
    made, now = watching(steps), 0.0
    for move in moves:
        {
            "left": lambda: made.move(-1),
            "right": lambda: made.move(1),
            "page": lambda: made.move(8),
            "home": lambda: made.move(-1_000_000),
            "end": lambda: made.move(1_000_000),
            "jump": made.jump,
            "play": lambda now=now: made.toggle(now),
            "faster": lambda: made.faster(1),
            "slower": lambda: made.faster(-1),
            "time": lambda now=now: made.advance(now),
        }[move]()
        now += 0.4
        assert 0 <= made.cursor < steps
        assert 0 <= made.speed < len(SPEEDS)


@given(st.integers(1, 40))
def test_jumping_visits_every_step_once_from_the_largest_advantage_down(steps: int) -> None:
    made = watching(steps)
    visited = [made.cursor]
    for _ in range(steps - 1):
        made.jump()
        visited.append(made.cursor)
    assert visited == made.surprises()
    made.jump()
    assert made.cursor == visited[0]


def test_a_segment_that_nobody_asked_for_is_not_shown() -> None:
    made = watching()
    assert not made.offer(replace(running(), segment=segment(300)), 100.0)
    made.ask("uses", 0, segment(300), 100.0)
    assert not made.offer(replace(running(), segment=segment(301, "priority")), 101.0)
    assert made.offer(replace(running(), segment=segment(301, "uses")), 101.0)


def test_another_index_than_the_one_asked_for_is_no_answer() -> None:
    made = watching()
    made.ask("index", 7, None, 0.0)
    assert not made.offer(replace(running(), segment=segment(251, "index", 8)), 1.0)
    assert made.offer(replace(running(), segment=segment(251, "index", 7)), 1.0)
    assert not made.waiting


def test_data_of_an_iteration_before_is_no_answer_however_long_the_next_one_takes() -> None:
    made = watching()
    made.ask("priority", 0, segment(250), 0.0)
    assert not made.offer(replace(running(251), segment=segment(250)), 60.0)
    assert made.waiting
    assert made.offer(replace(running(251), segment=segment(251)), 61.0)


@pytest.mark.parametrize("state", ["finished", "failed", "stopped"])
def test_a_run_that_has_ended_is_not_waited_for_and_its_old_segment_is_no_answer(state: RunState) -> None:
    made = watching()
    made.ask("priority", 0, segment(250), 0.0)
    assert not made.offer(replace(running(), state=state, segment=segment(250)), 60.0)
    assert not made.waiting
    made.ask("index", 7, segment(250), 100.0)
    assert made.offer(replace(running(), state=state, segment=segment(250, "index", 7)), 100.1), "it came in time"


def test_the_play_takes_the_time_that_its_speed_says() -> None:
    made = watching()
    made.move(-1_000_000)
    made.toggle(10.0)
    steps = []
    for tick in range(1, 41):
        made.advance(10.0 + tick / 10)
        steps.append(made.cursor)
    assert steps[9] == SPEEDS[3]
    assert steps[-1] == 4 * SPEEDS[3]
    assert steps == sorted(steps)
