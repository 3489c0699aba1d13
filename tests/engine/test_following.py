"""Following the best and the newest episode: which is chosen, what is shown of it, and that training stays the same."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine import TrainingSession, following
from engine.following import Ended, carried, choose
from engine.snapshot import Follow
from tests.engine.conftest import figures, lines, wait_for

Make = Callable[..., TrainingSession]


@given(st.integers(1, 12), st.integers(1, 6), st.integers(0, 2**32 - 1), st.sampled_from(["best", "newest"]))
def test_the_choice_equals_that_of_a_slow_search(steps: int, environments: int, seed: int, follow: Follow) -> None:
    """Environment by environment, episode by episode; whole numbers, so that sums are exact in any order."""
    draw = np.random.default_rng(seed)
    rewards = draw.integers(-3, 9, (steps, environments)).astype(np.float32)
    done = (draw.random((steps, environments)) < 0.25).astype(np.uint8)
    before = draw.integers(0, 20, environments).astype(float)
    ended, after = [], before.copy()
    for environment in range(environments):
        first = 0
        for t in range(steps):
            after[environment] += rewards[t, environment]
            if done[t, environment]:
                ended.append(Ended(environment, first, t, float(after[environment])))
                after[environment], first = 0.0, t + 1
    on = carried(torch.from_numpy(before), torch.from_numpy(rewards), torch.from_numpy(done))
    assert on.tolist() == after.tolist()
    totals = before.copy()
    found = choose(follow, totals, rewards, done)
    assert totals.tolist() == after.tolist()
    if not ended:
        assert found is None
        return
    assert found in ended
    assert found is not None
    if follow == "best":
        assert found.total == max(each.total for each in ended)
    else:
        newest = max(each.last for each in ended)
        assert (found.last, found.total) == (newest, max(each.total for each in ended if each.last == newest))


@pytest.mark.parametrize("follow", ["best", "newest"])
def test_what_is_shown_is_an_episode_to_its_end_as_it_was_played(
    make_session: Make, monkeypatch: pytest.MonkeyPatch, follow: str
) -> None:
    monkeypatch.setattr(following, "CLIP_SECONDS", 0.0)
    session = make_session("train.total_steps=1_000_000_000", "train.horizon=64", "train.minibatch=256")
    session.watch(follow)
    assert session.watched == follow
    session.start()
    seen = []
    for _ in range(3):
        last = seen[-1].iteration if seen else 0
        monkeypatch.setattr(following, "BEST_SECONDS", 0.0)
        shown = wait_for(session, lambda s, last=last: s.clip is not None and s.clip.iteration > last).clip
        assert shown is not None
        seen.append(shown)
    for clip in seen:
        assert clip.follow == follow
        assert clip.total is not None
        assert clip.frames[-1].done
        assert not any(frame.done for frame in clip.frames[:-1])
        assert clip.total >= sum(frame.reward for frame in clip.frames) - 1e-6
        pictures = {session.renderer().render(frame.state, 1).tobytes() for frame in clip.frames}
        assert len(pictures) > len(clip.frames) / 3
    session.watch(2)
    wait_for(session, lambda s: s.clip is not None and s.clip.follow is None and s.clip.environment == 2)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_that_is_followed_equals_one_that_is_not_bit_for_bit(
    make_session: Make, monkeypatch: pytest.MonkeyPatch, threads: int
) -> None:
    monkeypatch.setattr(following, "CLIP_SECONDS", 0.0)
    monkeypatch.setattr(following, "BEST_SECONDS", 0.0)
    weights, records = [], []
    for watched in (None, 0, "best", "newest"):
        session = make_session(
            "train.total_steps=65536",
            f"train.threads={threads}",
            "env.agents=256",
            "train.minibatch=1024",
            name=f"watched-{watched}",
        )
        session.watch(watched)
        session.start()
        assert session.join(60)
        assert session.snapshot().state == "finished", session.snapshot().error
        assert session.folder is not None
        assert session._run is not None
        records.append(list(map(figures, lines(session.folder / "metrics.jsonl"))))
        weights.append([parameter.detach().clone() for parameter in session._run.trainer.policy.parameters()])
    assert all(record == records[0] for record in records)
    for other in weights[1:]:
        assert all(torch.equal(one, two) for one, two in zip(weights[0], other, strict=True))


def test_another_word_is_refused(make_session: Make) -> None:
    with pytest.raises(ValueError, match="environment is 'worst': a number, best or newest"):
        make_session().watch("worst")


def test_the_best_stays_and_returns_are_whole_where_iterations_are_shorter_than_clips(
    make_session: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Episodes of several horizons, of which most are not looked at: a clip is told once a second at most, only for a
    better one, and with rewards that came before its own horizon."""
    monkeypatch.setattr(following, "CLIP_SECONDS", 0.3)
    session = make_session("train.total_steps=1_000_000_000", "train.horizon=8", "train.minibatch=32", "env.agents=16")
    session.watch("best")
    session.start()
    wait_for(session, lambda s: s.clip is not None)
    seen = []
    until = time.monotonic() + 3
    while time.monotonic() < until:
        clip = session.snapshot().clip
        assert clip is not None
        if not seen or clip is not seen[-1]:
            seen.append(clip)
        time.sleep(0.01)
    assert session.snapshot().iteration > 60
    totals = [clip.total for clip in seen]
    assert totals == sorted(set(totals))
    assert seen[-1].total > sum(frame.reward for frame in seen[-1].frames)
