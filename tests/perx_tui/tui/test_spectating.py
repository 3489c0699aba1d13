"""Which frame of the spectators' game is shown when."""

from __future__ import annotations

from dataclasses import replace

from fakes import spectacle
from hypothesis import given
from hypothesis import strategies as st

from perx_tui.tui.spectating import SPEEDS, Spectating


def shown(made: Spectating) -> int:
    assert made.frame is not None
    return made.frame.number


def test_nothing_is_shown_before_the_first_frame() -> None:
    made = Spectating()
    assert not made.advance(0.0)
    made.offer(replace(spectacle(), frames=()), 1.0)
    assert not made.advance(1.0)
    assert made.frame is None


def test_frames_that_come_in_batches_are_shown_evenly() -> None:
    """A viewer who looks five times a second at 15 steps a second shows each of them, a fifteenth of a second apart."""
    made = Spectating()
    seen = []
    for tick in range(150):
        now = tick / 15
        made.offer(spectacle(100 + 3 * (tick // 3)), now)
        made.advance(now)
        seen.append(shown(made))
    assert seen[3:] == list(range(seen[3], seen[3] + len(seen) - 3))


def test_timers_that_are_early_and_late_skip_no_step() -> None:
    made = Spectating()
    seen = []
    for tick in range(90):
        now = tick / 15 + (0.02 if tick % 2 else -0.01)
        made.offer(spectacle(100 + tick), now)
        made.advance(now)
        seen.append(shown(made))
    assert seen == list(range(100, 190))


def test_who_has_not_looked_for_long_sees_the_newest_frames() -> None:
    made = Spectating()
    made.offer(spectacle(100), 0.0)
    made.advance(0.0)
    made.offer(spectacle(500), 1.0)
    made.advance(1.0)
    assert 492 <= shown(made) <= 500


def test_a_game_that_begins_anew_is_followed_from_its_beginning() -> None:
    made = Spectating()
    made.offer(spectacle(400), 0.0)
    made.advance(0.0)
    made.offer(spectacle(2), 0.1)
    assert made.advance(0.1)
    assert shown(made) == 2


def test_the_last_frame_stays_when_the_game_is_over() -> None:
    made = Spectating()
    made.offer(spectacle(400), 0.0)
    made.advance(0.0)
    made.offer(None, 0.1)
    assert not made.advance(5.0)
    assert shown(made) == 400


def test_of_a_held_game_the_newest_frame_is_shown_at_once() -> None:
    made = Spectating()
    made.offer(spectacle(100), 0.0)
    made.advance(0.0)
    made.offer(spectacle(104, paused=True), 0.01)
    assert made.advance(0.01)
    assert shown(made) == 104


def test_a_wish_is_shown_until_the_run_answers_or_does_not() -> None:
    made = Spectating()
    made.offer(spectacle(100), 0.0)
    made.ask("paused", True, 0.0)
    made.offer(spectacle(101), 0.2)
    assert made.paused
    made.offer(spectacle(102, paused=True), 0.4)
    assert made.paused
    made.offer(spectacle(103), 0.6)
    assert not made.paused, "somebody else let it go on"
    made.ask("greedy", False, 1.0)
    assert not made.greedy
    made.offer(spectacle(104), 3.5)
    assert made.greedy


def test_the_speed_keys_go_through_all_speeds_and_stop_at_the_ends() -> None:
    made = Spectating()
    made.offer(spectacle(100), 0.0)
    for by, end in ((1, SPEEDS[-1]), (-1, SPEEDS[0])):
        for _ in range(10):
            made.ask("speed", made.faster(by), 0.0)
        assert made.speed == end
    made.ask("speed", 12.0, 0.0)  # another viewer's
    assert (made.faster(1), made.faster(-1)) == (15.0, 10.0)


@given(st.lists(st.tuples(st.floats(0.0, 2.0), st.integers(0, 40)), max_size=100))
def test_the_game_never_goes_back(events: list[tuple[float, int]]) -> None:
    """Law: whatever the rhythm of looking and of frames, the number of the frame shown never falls."""
    made, now, newest, last = Spectating(), 0.0, 1, 0
    for wait, more in events:
        now, newest = now + wait, newest + more
        made.offer(spectacle(newest), now)
        made.advance(now)
        assert last <= shown(made) <= newest
        last = shown(made)
