"""Playing clips back at human speed."""

from __future__ import annotations

from dataclasses import replace

from fakes import clip
from hypothesis import given
from hypothesis import strategies as st

from engine import Clip
from perx_tui.tui.playback import Playback


def test_nothing_is_shown_before_the_first_clip() -> None:
    playback = Playback(10)
    assert playback.frame(0.0) is None
    playback.offer(None, 1.0)
    playback.offer(Clip(0, 1, ()), 1.0)
    assert playback.frame(1.0) is None


def test_a_clip_is_played_evenly_one_step_a_picture() -> None:
    playback = Playback(10)
    playback.offer(clip(1), 100.0)
    shown = [playback.frame(100.0 + k / 10) for k in range(8)]
    assert [index for _, index, _ in shown if index is not None] == list(range(8))  # type: ignore[misc]


def test_a_slow_trainer_slows_the_game_so_that_the_clip_lasts_until_the_next() -> None:
    """64 frames and 16 seconds between clips: 4 steps a second, and movement all the time."""
    playback = Playback(10)
    for iteration in range(1, 4):
        playback.offer(clip(iteration), 16.0 * iteration)
        playback.frame(16.0 * iteration)
    start = playback.frame(48.0)
    middle = playback.frame(48.0 + 8.0)
    end = playback.frame(48.0 + 15.9)
    assert start is not None
    assert middle is not None
    assert end is not None
    assert start[1] == 0
    assert 30 <= middle[1] <= 34
    assert end[1] >= 62
    assert end[0].iteration == 3


def test_a_fast_trainer_is_not_raced_after() -> None:
    """With a clip every 0.1 s the one that plays is played to its end, then the newest follows."""
    playback = Playback(10)
    seen = []
    for tick in range(400):
        now = tick / 10
        playback.offer(clip(tick), now)
        shown = playback.frame(now)
        assert shown is not None
        seen.append((shown[0].iteration, shown[1]))
    iterations = list(dict.fromkeys(iteration for iteration, _ in seen))
    assert len(iterations) <= 8
    first = [index for iteration, index in seen if iteration == iterations[0]]
    assert first == list(range(64))


def test_a_paused_run_holds_the_last_frame() -> None:
    playback = Playback(10)
    playback.offer(clip(1), 0.0)
    held = playback.frame(500.0)
    assert held is not None
    assert held[1] == 63
    playback.offer(clip(2), 501.0)
    fresh = playback.frame(501.0)
    assert fresh is not None
    assert (fresh[0].iteration, fresh[1]) == (2, 0)


def test_another_environment_is_shown_at_once() -> None:
    playback = Playback(10)
    playback.offer(clip(1, environment=0), 0.0)
    playback.offer(clip(2, environment=5), 0.3)
    shown = playback.frame(0.3)
    assert shown is not None
    assert shown[0].environment == 5


@given(st.lists(st.tuples(st.floats(0.01, 3.0), st.booleans()), max_size=200), st.sampled_from([2.0, 10.0, 30.0]))
def test_the_game_never_jumps_back(events: list[tuple[float, bool]], pictures: float) -> None:
    """Law: (iteration, index) never falls, whatever the rhythm of clips and pictures."""
    playback, now, iteration, last = Playback(pictures), 0.0, 0, (0, 0)
    for wait, arrives in events:
        now += wait
        if arrives:
            iteration += 1
            playback.offer(clip(iteration), now)
        shown = playback.frame(now)
        if shown is not None:
            place = (shown[0].iteration, shown[1])
            assert place >= last
            last = place


def test_a_held_game_stands_still_and_slow_motion_takes_its_time() -> None:
    playback = Playback(10)
    playback.offer(clip(1), 0.0)

    def index(now: float) -> int:
        shown = playback.frame(now)
        assert shown is not None
        return shown[1]

    assert index(1.0) == 10
    playback.factor = 0.0
    assert index(9.0) == 10
    playback.factor = 0.25
    assert index(11.0) == 15
    playback.factor = 2.0
    assert index(12.0) == 35


def test_an_episode_that_is_followed_is_played_to_its_end_before_the_next() -> None:
    """Whatever environment the next one is of; a change of what is followed is shown at once."""
    playback = Playback(10)
    playback.offer(replace(clip(1, environment=3), follow="best"), 0.0)
    playback.offer(replace(clip(2, environment=9), follow="best"), 1.0)
    seen = [shown[0].environment for tick in range(10, 80) if (shown := playback.frame(tick / 10)) is not None]
    assert seen == [3] * 54 + [9] * 16
    playback.offer(replace(clip(3, environment=5), follow="newest"), 8.0)
    shown = playback.frame(8.0)
    assert shown is not None
    assert shown[0].environment == 5
