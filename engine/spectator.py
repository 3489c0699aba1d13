"""The present policy at play for people who watch, beside training and without a share in it.

A thread of its own plays one game at human speed, with an environment, a seed and weights of its own. All it has of
the trainer is a copy of the weights, which the trainer hands over now and then while somebody watches; nothing of the
game comes back. All spectators of a run see the same game.
"""

from __future__ import annotations

import atexit
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from engine.profile import Profile
from engine.run_listing import plain_text
from engine.snapshot import Spectacle, SpectatorFrame

if TYPE_CHECKING:
    from torch import Tensor, nn

    from engine.playing import Game

SEED = 2_718_281_828
"""Of the first episode that is shown, far from those that people give."""
SPEED = 15.0
"""Steps per second at which a person follows Breakout (a step is 4 frames of 1/60 s)."""
SLOWEST, FASTEST = 0.25, 60.0
LEND_SECONDS = 1.0
"""Weights are copied this often at most."""
END_SECONDS = 0.6
"""How much longer the last frame of an episode stands."""
FRAME_SECONDS, MOST_FRAMES = 0.6, 24
"""The frames of so long a time are told, and so many at most: viewers look now and then only."""
SCORES = 20
"""Episodes whose scores are told."""
ACTS = ("pause", "resume", "step", "restart", "greedy", "sample", "speed")


@dataclass(frozen=True, slots=True)
class Weights:
    """All parameters one after another, and the step and iteration that they were trained to."""

    flat: Tensor
    step: int
    iteration: int


class Spectator:
    """`wish` says who watches; the thread lives while anybody does. `due` and `lend` are the trainer's part."""

    def __init__(
        self,
        profile: Callable[[], Profile],
        publish: Callable[[Spectacle | None], None],
        trouble: Callable[[str], None],
        *,
        seed: int = SEED,
    ) -> None:
        """`profile` gives the run's, `publish` takes what is to be seen (None when nobody watches any more), `trouble`
        a text about why there is nothing to see."""
        self._profile, self._publish, self._trouble, self._seed = profile, publish, trouble, seed
        self._changed = threading.Condition()
        self._wishes: set[str] = set()
        self._thread: threading.Thread | None = None
        self._lent = -math.inf
        self._begin()

    def _begin(self) -> None:
        """Nothing was shown yet."""
        self._weights: Weights | None = None
        self._shown: Weights | None = None
        self._greedy, self._paused, self._speed = True, False, SPEED
        self._single, self._restarts = 0, 0
        self._last, self._hold = -math.inf, 0.0
        self._frames: deque[SpectatorFrame] = deque(maxlen=MOST_FRAMES)
        self._scores: deque[float] = deque(maxlen=SCORES)
        self._episodes = 0

    # ---- what viewers say ----

    def wish(self, viewer: str, wanted: bool) -> None:
        """Whether the viewer of that name watches."""
        with self._changed:
            if not wanted:
                self._wishes.discard(viewer)
            else:
                self._wishes.add(viewer)
                if self._thread is None:
                    self._begin()
                    self._lent = -math.inf
                    self._tell()
                    self._thread = threading.Thread(target=self._main, name="spectator", daemon=True)
                    self._thread.start()
                    atexit.register(self.close)
            self._changed.notify_all()

    def close(self) -> None:
        """Nobody watches any more; waits for the thread. A thread inside torch would break the process's end."""
        with self._changed:
            self._wishes.clear()
            thread = self._thread
            self._changed.notify_all()
        if thread is not None:
            thread.join(30.0)  # on a busy machine a step may take seconds

    def direct(self, act: str, value: float | None = None) -> None:
        """Changes how it is played, for everybody who watches.

        "pause", "resume", "step" (one step, then it stands still), "restart" (another episode), "greedy", "sample", and
        "speed" with `value` in steps per second. ValueError for another word or a speed out of range.
        """
        if act not in ACTS:
            raise ValueError(f"act is '{plain_text(act, 40)}', none of {', '.join(ACTS)}")
        if act == "speed" and not (value is not None and SLOWEST <= value <= FASTEST):
            raise ValueError(f"speed is {value}; it must be from {SLOWEST:g} to {FASTEST:g} steps per second")
        with self._changed:
            if self._thread is None:
                return
            if act in ("pause", "resume", "step"):
                self._paused = act != "resume"
                self._single = self._single + 1 if act == "step" else 0
            elif act == "restart":
                self._restarts += 1
            elif act == "speed":
                self._speed = float(value or SPEED)
            else:
                self._greedy = act == "greedy"
            self._tell()
            self._changed.notify_all()

    # ---- the trainer's part ----

    @property
    def due(self) -> bool:
        """Whether somebody watches for whom no weights were copied for a while. Costs next to nothing to ask."""
        return bool(self._wishes) and time.monotonic() - self._lent >= LEND_SECONDS

    def lend(self, policy: nn.Module, step: int, iteration: int) -> None:
        """Copies the weights of the policy, which is only read, where that is due. Any thread of the trainer may call
        it while no optimizer step is under way. On a GPU it is one copy to the host."""
        import torch

        with self._changed:
            if not self.due:
                return
            self._lent = time.monotonic()
        with torch.no_grad():
            flat = torch.cat([parameter.detach().reshape(-1) for parameter in policy.parameters()]).cpu()
        with self._changed:
            self._weights = Weights(flat, step, iteration)
            self._changed.notify_all()

    # ---- the thread ----

    def _main(self) -> None:
        try:
            if self._wait():  # until the first weights are there nobody has to load torch
                self._play()
        except Exception as error:  # A fault of the show is none of the run's.
            self._trouble(f"watch mode ended: {type(error).__name__}: {error}")
            with self._changed:
                self._end()

    def _play(self) -> None:
        """Step after step, until nobody watches."""
        from engine.playing import Game

        show = _Show(Game(self._profile(), 1, seed=self._seed), self._seed)
        try:
            while True:
                with self._changed:
                    weights, restarts, show.game.greedy = self._weights, self._restarts, self._greedy
                assert weights is not None
                show.prepare(weights, restarts)
                self._tell_step(*show.step(), weights)
                if not self._wait():
                    return
        finally:
            show.game.close()

    def _wait(self) -> bool:
        """Until the next step is due; False when nobody watches any more."""
        with self._changed:
            while self._wishes:
                left = None
                if self._weights is not None:
                    if self._single:
                        self._single -= 1
                        return True
                    if not self._paused:
                        left = self._last + self._hold + 1 / self._speed - time.monotonic()
                        if left <= 0:
                            return True
                self._changed.wait(left)
            self._end()
            return False

    def _end(self) -> None:
        atexit.unregister(self.close)
        self._wishes.clear()
        self._thread = None
        self._begin()
        self._publish(None)

    def _tell_step(self, frame: SpectatorFrame, score: float | None, weights: Weights) -> None:
        with self._changed:
            # A step that came a little late does not delay those behind it.
            now, due = time.monotonic(), self._last + self._hold + 1 / self._speed
            self._last = due if now - due < 1 / self._speed else now
            self._hold = END_SECONDS if frame.done else 0.0
            self._shown = weights
            self._frames.append(frame)
            if score is not None:
                self._scores.append(score)
                self._episodes += 1
            self._tell()

    def _tell(self) -> None:
        count = min(MOST_FRAMES, max(4, math.ceil(FRAME_SECONDS * self._speed)))
        shown = self._shown
        self._publish(
            Spectacle(
                frames=tuple(self._frames)[-count:],
                greedy=self._greedy,
                paused=self._paused,
                speed=self._speed,
                step=shown.step if shown else 0,
                iteration=shown.iteration if shown else 0,
                episodes=self._episodes,
                scores=tuple(self._scores),
            )
        )


class _Show:
    """A game of one environment, and where its episode stands."""

    def __init__(self, game: Game, seed: int) -> None:
        self.game = game
        self._seed = seed
        self._weights: Weights | None = None
        self._restarts = 0
        self._number, self._episode, self._step, self._total = 0, 1, 0, 0.0

    def prepare(self, weights: Weights, restarts: int) -> None:
        """Plays on with these weights, and from the beginning of another episode where one more was asked for."""
        if weights is not self._weights:
            self._weights = weights
            load(self.game.policy, weights.flat)
        if restarts != self._restarts:
            self._restarts = restarts
            self.game.restart(self._seed + restarts)
            self._next_episode()

    def step(self) -> tuple[SpectatorFrame, float | None]:
        """One step, and the episode's score where that was its last."""
        game = self.game
        state = game.batch.state(0)
        game.step()
        reward = float(game.rewards[0, 0])
        ended = game.batch.statistics()
        self._number, self._step, self._total = self._number + 1, self._step + 1, self._total + reward
        frame = SpectatorFrame(
            number=self._number,
            state=state,
            action=int(game.actions[0, 0]),
            probabilities=tuple(game.logits[0].softmax(-1).tolist()),
            value=float(game.values[0]),
            reward=reward,
            episode=self._episode,
            step=self._step,
            total=self._total,
            done=ended.episodes > 0,
        )
        if not frame.done:
            return frame, None
        self._next_episode()
        return frame, ended.score / ended.episodes

    def _next_episode(self) -> None:
        self._episode, self._step, self._total = self._episode + 1, 0, 0.0


def load(policy: nn.Module, flat: Tensor) -> None:
    """Puts parameters that `Spectator.lend` has laid one after another in their places."""
    import torch

    first = 0
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.copy_(flat[first : first + parameter.numel()].view_as(parameter))
            first += parameter.numel()
