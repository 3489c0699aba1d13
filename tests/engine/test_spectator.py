"""The game that spectators see: whose policy plays it, what it costs training, and who may steer it."""

from __future__ import annotations

import itertools
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from engine import Frame, Player, Spectacle, SpectatorFrame, TrainingSession, spectator
from engine.checkpoint import read_checkpoint
from engine.policy import Policy
from engine.spectator import SEED, Spectator
from tests.engine.conftest import TINY, figures, lines, tiny_profile, wait_for

Make = Callable[..., TrainingSession]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights as often as the trainer has new ones, and no stillness at the ends of episodes."""
    monkeypatch.setattr(spectator, "LEND_SECONDS", 0.0)
    monkeypatch.setattr(spectator, "END_SECONDS", 0.0)
    monkeypatch.setattr(spectator, "FASTEST", 1e6)


class Audience:
    """Takes every frame that a spectator tells."""

    def __init__(self, **sets: Any) -> None:
        self.frames: list[SpectatorFrame] = []
        self.told: list[Spectacle | None] = []
        self.troubles: list[str] = []
        self.profile = tiny_profile(*(f"{key.replace('__', '.')}={value}" for key, value in sets.items()))
        self.spectator = Spectator(lambda: self.profile, self._take, self.troubles.append, seed=5)

    def _take(self, spectacle: Spectacle | None) -> None:
        self.told.append(spectacle)
        if spectacle is not None and spectacle.frames and spectacle.frames[-1] not in self.frames[-1:]:
            self.frames.append(spectacle.frames[-1])

    def policy(self, seed: int = 1) -> Policy:
        made = Policy(118, 3, hidden=16)
        made.initialize(torch.Generator().manual_seed(seed))
        return made

    def until(self, condition: Callable[[], object], seconds: float = 20) -> None:
        deadline = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < deadline, self.told[-1]
            time.sleep(0.002)


@pytest.fixture
def audience() -> Any:
    made = Audience()
    yield made
    made.spectator.wish("me", False)
    made.until(lambda: made.spectator._thread is None)


def playing(player: Player, count: int) -> list[Frame]:
    return list(itertools.islice(player.play(), count))


def finish(session: TrainingSession) -> Path:
    session.start()
    assert session.join(60)
    assert session.snapshot().state == "finished", session.snapshot().error
    assert session.folder is not None
    return session.folder


@pytest.mark.parametrize("sets", [(), ("train.threads=2", "env.agents=256", "train.minibatch=1024")])
def test_a_run_with_spectators_equals_one_without_bit_for_bit(quick: None, make_session: Make, sets: Any) -> None:
    """Under every command to the game, with weights copied after every iteration."""
    steps = "train.total_steps=65536" if sets else "train.total_steps=12800"
    alone = finish(make_session(*sets, steps, name="alone"))
    session = make_session(*sets, steps, name="watched")
    session.spectate(True)
    session.spectate(True, "another")
    session.direct("speed", 1e6)
    session.start()
    for act in itertools.cycle(("sample", "restart", "pause", "step", "resume", "greedy")):
        if session.snapshot().ended:
            break
        session.direct(act)
        time.sleep(0.002)
    session.join(60)
    shown = session.snapshot().spectacle
    session.spectate(False)
    session.spectate(False, "another")
    assert shown is not None
    assert shown.frames
    watched = session.folder
    assert watched is not None
    assert list(map(figures, lines(watched / "metrics.jsonl"))) == list(map(figures, lines(alone / "metrics.jsonl")))
    (one,), (two,) = (sorted((folder / "checkpoints").iterdir())[-1:] for folder in (alone, watched))
    first, second = read_checkpoint(one).tensors, read_checkpoint(two).tensors
    for group, tensors in first.items():
        for key, tensor in tensors.items():
            assert torch.equal(tensor, second[group][key]), f"{group}/{key}"


@pytest.mark.parametrize("greedy", [True, False])
def test_the_present_policy_plays_as_a_player_of_its_checkpoint_does(make_session: Make, greedy: bool) -> None:
    """Frame by frame: states, actions, rewards, values and ends, over several episodes."""
    folder = finish(make_session("train.total_steps=1280"))
    player = Player(folder, seed=SEED, greedy=greedy, environments=1)
    made = Audience()
    made.profile = player.profile
    made.spectator = Spectator(lambda: made.profile, made._take, made.troubles.append)
    made.spectator.wish("me", True)
    made.spectator.direct("pause")
    if not greedy:
        made.spectator.direct("sample")
    made.spectator.lend(player._game.policy, 1280, 10)
    for number in range(1, 301):
        made.spectator.direct("step")
        made.until(lambda number=number: len(made.frames) == number)
    made.spectator.wish("me", False)
    expected = playing(player, 300)
    shown = [Frame(each.state, each.action, each.reward, each.value, each.done) for each in made.frames]
    assert shown == expected
    assert sum(frame.done for frame in expected) >= 1
    if greedy:
        assert all(each.probabilities[each.action] == max(each.probabilities) for each in made.frames)
    assert all(abs(sum(each.probabilities) - 1) < 1e-5 for each in made.frames)


def test_the_account_of_an_episode_begins_anew_with_the_next(quick: None, audience: Audience) -> None:
    """Law: step counts from 1, total sums the rewards, episodes follow one another, scores are those that ended."""
    audience.spectator.wish("me", True)
    audience.spectator.direct("speed", 1e6)
    audience.spectator.lend(audience.policy(), 7, 3)
    audience.until(lambda: sum(frame.done for frame in audience.frames) >= 3, 60)
    frames = list(audience.frames)
    assert [frame.number for frame in frames] == list(range(1, len(frames) + 1))
    for episode, group in itertools.groupby(frames, key=lambda frame: frame.episode):
        total = 0.0
        for step, frame in enumerate(group, 1):
            total += frame.reward
            assert (frame.step, frame.total) == (step, total), episode
    ends = [frame.episode for frame in frames if frame.done]
    assert ends == list(range(1, len(ends) + 1))
    told = audience.told[-1]
    assert told is not None
    assert (told.step, told.iteration, told.greedy, told.paused) == (7, 3, True, False)
    assert told.episodes == len(told.scores) >= 3


def test_new_weights_play_on_from_where_the_old_ones_stand(audience: Audience) -> None:
    audience.spectator.wish("me", True)
    audience.spectator.direct("pause")
    audience.spectator.lend(audience.policy(1), 100, 1)
    audience.spectator.direct("step")
    audience.until(lambda: len(audience.frames) == 1)
    audience.spectator._lent -= 10
    audience.spectator.lend(audience.policy(2), 200, 2)
    audience.spectator.direct("step")
    audience.until(lambda: len(audience.frames) == 2)
    assert [frame.step for frame in audience.frames] == [1, 2]
    told = audience.told[-1]
    assert told is not None
    assert (told.step, told.iteration) == (200, 2)
    assert len({frame.probabilities for frame in audience.frames}) == 2


def test_weights_are_copied_once_a_second_at_most_and_only_while_somebody_watches(audience: Audience) -> None:
    assert not audience.spectator.due
    audience.spectator.wish("me", True)
    assert audience.spectator.due
    policy = audience.policy()
    audience.spectator.lend(policy, 1, 1)
    first = audience.spectator._weights
    assert not audience.spectator.due
    audience.spectator.lend(policy, 2, 2)
    assert audience.spectator._weights is first
    audience.spectator._lent -= 1.0
    assert audience.spectator.due
    audience.spectator.wish("me", False)
    assert not audience.spectator.due


@pytest.mark.alone
def test_the_game_has_the_speed_that_it_was_given(audience: Audience) -> None:
    audience.spectator.wish("me", True)
    audience.spectator.direct("speed", 40.0)
    audience.spectator.lend(audience.policy(), 1, 1)
    audience.until(lambda: audience.frames)
    began, first = time.monotonic(), audience.frames[-1].number
    audience.until(lambda: audience.frames[-1].number >= first + 30)
    assert 0.7 < time.monotonic() - began < 3.0  # 0.75 s, and stillness at the ends of episodes
    audience.spectator.direct("pause")
    time.sleep(0.1)
    held = len(audience.frames)
    time.sleep(0.2)
    assert len(audience.frames) == held
    audience.spectator.direct("resume")
    audience.until(lambda: len(audience.frames) > held)


def test_another_episode_is_another_one(audience: Audience) -> None:
    audience.spectator.wish("me", True)
    audience.spectator.direct("pause")
    audience.spectator.lend(audience.policy(), 1, 1)
    states = set()
    for number in range(1, 5):
        audience.spectator.direct("restart")
        audience.spectator.direct("step")
        audience.until(lambda number=number: len(audience.frames) == number)
        states.add(audience.frames[-1].state)
    assert [frame.step for frame in audience.frames] == [1, 1, 1, 1]
    assert len(states) == 4
    told = audience.told[-1]
    assert told is not None
    assert (told.episodes, told.scores) == (0, ())


@pytest.mark.parametrize(
    ("act", "value", "text"),
    [
        ("dance", None, "act is 'dance', none of pause, resume, step, restart, greedy, sample, speed"),
        ("speed", None, "speed is None; it must be from 0.25 to 60 steps per second"),
        ("speed", 61.0, "speed is 61.0; it must be from 0.25 to 60 steps per second"),
        ("speed", float("nan"), "speed is nan; it must be"),
    ],
)
def test_what_is_no_act_is_refused_in_one_line(audience: Audience, act: str, value: float | None, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        audience.spectator.direct(act, value)
    assert "\n" not in str(caught.value)


def test_the_thread_lives_while_anybody_watches(audience: Audience) -> None:
    audience.spectator.wish("me", True)
    audience.spectator.wish("you", True)
    audience.spectator.lend(audience.policy(), 1, 1)
    audience.until(lambda: audience.frames)
    thread = audience.spectator._thread
    assert thread is not None
    audience.spectator.wish("you", False)
    time.sleep(0.1)
    assert thread.is_alive()
    audience.spectator.wish("me", False)
    audience.until(lambda: not thread.is_alive())
    assert audience.told[-1] is None
    for _ in range(50):  # who comes back at once gets a game, however the old one's end falls
        audience.spectator.wish("me", False)
        audience.spectator.wish("me", True)
    audience.spectator.lend(audience.policy(), 2, 2)
    seen = len(audience.told)
    audience.until(lambda: any(told is not None and told.frames for told in audience.told[seen:]))
    assert sum(each.name == "spectator" for each in threading.enumerate()) == 1


def test_a_fault_of_the_show_is_told_and_ends_it_only(audience: Audience) -> None:
    audience.spectator.wish("me", True)
    policy = audience.policy()
    with torch.no_grad():
        policy.heads.bias.fill_(float("nan"))
    audience.spectator.direct("sample")
    audience.spectator.lend(policy, 1, 1)
    audience.until(lambda: audience.told[-1] is None)
    assert audience.troubles
    assert audience.troubles[0].startswith("watch mode ended: RuntimeError")
    assert not audience.spectator.due


def test_who_comes_while_a_run_is_held_inside_an_iteration_sees_its_policy_too(make_session: Make) -> None:
    session = make_session("train.total_steps=1_000_000_000")
    session.start()
    wait_for(session, lambda s: s.iteration >= 2)
    session.pause()
    time.sleep(0.2)
    held = session.snapshot().iteration
    session.spectate(True)
    shown = wait_for(session, lambda s: s.spectacle is not None and len(s.spectacle.frames) >= 3)
    assert shown.spectacle is not None
    assert held <= shown.spectacle.iteration <= held + 1
    assert shown.state == "paused"
    assert shown.iteration == held
    session.spectate(False)
    wait_for(session, lambda s: s.spectacle is None)


def test_the_game_goes_on_when_the_training_has_ended(make_session: Make) -> None:
    session = make_session("train.total_steps=12800")
    session.spectate(True)
    session.start()
    assert session.join(60)
    final = session.snapshot()
    assert final.state == "finished"
    last = final.spectacle.frames[-1].number if final.spectacle and final.spectacle.frames else 0
    wait_for(session, lambda s: bool(s.spectacle and s.spectacle.frames and s.spectacle.frames[-1].number > last + 2))
    session.spectate(False)
    wait_for(session, lambda s: s.spectacle is None)


def test_a_process_that_ends_while_somebody_watches_ends_well(tmp_path: Path) -> None:
    """A script that forgets its wish, at the highest speed: the exit code is its own, and no thread breaks it."""
    program = (
        "import sys, time; from engine import Profile, TrainingSession; from pathlib import Path\n"
        f"sets = {[*TINY, 'train.total_steps=1280']!r}\n"
        "session = TrainingSession(Profile.load('breakout.toml', sets), runs=Path(sys.argv[1]))\n"
        "session.spectate(True); session.direct('speed', 60.0); session.start(); session.join()\n"
        "while not (session.snapshot().spectacle and session.snapshot().spectacle.frames): time.sleep(0.01)\n"
        "sys.exit(7)"
    )
    for turn in range(3):
        done = subprocess.run(
            [sys.executable, "-c", program, str(tmp_path / str(turn))], capture_output=True, text=True, timeout=60
        )
        assert (done.returncode, done.stderr) == (7, "")
