"""The sanity environments once more, slowly and by other means: lists, sets and coordinates, no counters and bits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import numpy.typing as npt
from slow_random import WORD, Pcg32, derive

Floats = npt.NDArray[np.float32]


@dataclass
class Outcome:
    """What a step did: for each agent its reward, whether it acted, whether it died; and how the episode stands."""

    rewards: list[np.float32]
    acted: list[bool]
    died: list[bool]
    end: str  # "terminal", "truncated" or ""


def one(reward: float, end: str = "") -> Outcome:
    """The outcome of a step of a single agent."""
    return Outcome([np.float32(reward)], [True], [False], end)


class Slow:
    """A game of one environment. `config` has every setting; `begin` starts an episode with the generator as it is."""

    name: ClassVar[str]

    def __init__(self, config: Mapping[str, float], batch_seed: int, random: Pcg32) -> None:
        self.config, self.random = config, random
        self.secret = Pcg32.seeded(derive(WORD - 1 - batch_seed, 0))
        self.learn_secret()
        self.begin()

    def learn_secret(self) -> None:
        """Draws what stays hidden and the same in all episodes."""

    def begin(self) -> None:
        raise NotImplementedError

    def step(self, actions: list[int]) -> Outcome:
        raise NotImplementedError

    def observation(self) -> Floats:
        """[agents, size]."""
        raise NotImplementedError

    def score(self) -> float:
        """Of the episode that has just ended."""
        raise NotImplementedError


class Bandit(Slow):
    name = "bandit"

    def learn_secret(self) -> None:
        arms = int(self.config["arms"])
        self.chances = [
            (np.float32(i) + np.float32(0.25) + np.float32(0.5) * np.float32(self.secret.unit())) / np.float32(arms)
            for i in range(arms)
        ]
        for i in reversed(range(1, arms)):
            other = self.secret.below(i + 1)
            self.chances[i], self.chances[other] = self.chances[other], self.chances[i]

    def begin(self) -> None:
        self.pulled: list[int] = []

    def step(self, actions: list[int]) -> Outcome:
        self.pulled += actions
        paid = self.random.unit() < self.chances[actions[0]]
        return one(paid, "terminal" if len(self.pulled) == self.config["pulls"] else "")

    def observation(self) -> Floats:
        return np.ones((1, 1), np.float32)

    def score(self) -> float:
        return self.pulled.count(int(np.argmax(self.chances))) / len(self.pulled)


class Memory(Slow):
    name = "memory"

    def begin(self) -> None:
        delay, cues = int(self.config["delay"]), int(self.config["cues"])
        self.cue = self.random.below(cues)
        shown = [float(i == self.cue) for i in range(cues)]
        self.script = [[*shown, 0.0], *[[0.0] * (cues + 1)] * delay, [0.0] * cues + [1.0]]
        self.named = -1

    def step(self, actions: list[int]) -> Outcome:
        self.script.pop(0)
        self.named = actions[0]
        if self.script:
            return one(0)
        return one(1 if self.named == self.cue else -1, "terminal")

    def observation(self) -> Floats:
        return np.array(self.script[:1], np.float32)

    def score(self) -> float:
        return float(self.named == self.cue)


class Password(Slow):
    name = "password"

    def learn_secret(self) -> None:
        self.password = [self.secret.below(int(self.config["symbols"])) for _ in range(int(self.config["length"]))]

    def begin(self) -> None:
        self.typed: list[int] = []

    def step(self, actions: list[int]) -> Outcome:
        self.typed += actions
        return one(self.typed == self.password, "terminal" if len(self.typed) == len(self.password) else "")

    def observation(self) -> Floats:
        return np.eye(len(self.password), dtype=np.float32)[len(self.typed)][None]

    def score(self) -> float:
        return float(self.typed == self.password)


class Stochastic(Slow):
    name = "stochastic"

    def begin(self) -> None:
        self.done: list[int] = []

    def miss(self) -> np.float32:
        steps, share = np.float32(self.config["steps"]), np.float32(self.config["share"])
        away = (np.float32(sum(self.done)) - share * np.float32(len(self.done))) / steps
        return np.float32(0.5) * steps * away * away

    def step(self, actions: list[int]) -> Outcome:
        before = self.miss()
        self.done += actions
        return one(before - self.miss(), "terminal" if len(self.done) == self.config["steps"] else "")

    def observation(self) -> Floats:
        return np.ones((1, 1), np.float32)

    def score(self) -> float:
        share = self.config["share"]
        away = (sum(self.done) / len(self.done) - share) / min(share, 1 - share)
        return max(0.0, 1 - away**2)


class Squared(Slow):
    name = "squared"
    MOVES: ClassVar = {0: (0, 0), 1: (0, -1), 2: (0, 1), 3: (-1, 0), 4: (1, 0)}

    def begin(self) -> None:
        distance = int(self.config["distance"])
        end = 2 * distance
        clockwise = (
            [(i, 0) for i in range(end)]
            + [(end, i) for i in range(end)]
            + [(i, end) for i in range(end, 0, -1)]
            + [(0, i) for i in range(end, 0, -1)]
        )
        self.targets: set[tuple[int, int]] = set()
        while len(self.targets) < self.config["targets"]:
            self.targets.add(clockwise[self.random.below(len(clockwise))])
        self.end, self.at, self.steps = end, (distance, distance), 0

    def step(self, actions: list[int]) -> Outcome:
        x, y = np.clip(np.add(self.at, self.MOVES[actions[0]]), 0, self.end)
        self.at = int(x), int(y)
        hit = self.at in self.targets
        self.targets -= {self.at}
        self.steps += 1
        end = "" if self.targets else "terminal"
        if not end and self.steps == 12 * self.config["distance"]:
            end = "truncated"
        return one(hit / np.float32(self.config["targets"]), end)

    def observation(self) -> Floats:
        grid = np.zeros((self.end + 1, self.end + 1), np.float32)
        for x, y in self.targets:
            grid[y, x] = 1
        grid[self.at[1], self.at[0]] = -1
        return grid.reshape(1, -1)

    def score(self) -> float:
        return 1 - len(self.targets) / self.config["targets"]


class Spaces(Slow):
    name = "spaces"

    def begin(self) -> None:
        self.right: list[bool] = []
        self.draw()

    def draw(self) -> None:
        shades = int(self.config["side"]) ** 2
        words = np.array([self.random.next() for _ in range(0, shades, 4)], "<u4")
        self.shades = words.view(np.uint8)[:shades].astype(np.float64)
        self.digits = [self.random.below(10) for _ in range(int(self.config["digits"]))]

    def answer(self) -> int:
        return 2 * bool(self.shades.mean() > 127.5) + bool(np.mean(self.digits) > 4.5)

    def step(self, actions: list[int]) -> Outcome:
        right = [divmod(actions[0], 2)[i] == divmod(self.answer(), 2)[i] for i in (0, 1)]
        self.right += right
        over = len(self.right) == 2 * self.config["steps"]
        if not over:
            self.draw()
        return one(sum(right) / 2, "terminal" if over else "")

    def observation(self) -> Floats:
        return np.array([[*((self.shades - 127.5) / 127.5), *self.digits]], np.float32)

    def score(self) -> float:
        return sum(self.right) / len(self.right)


@dataclass
class Player:
    number: int
    alive: bool = True
    right: int = 0


@dataclass
class Table:
    """Those who sit around it, and how often they have been asked."""

    players: list[Player]
    asked: int = field(default=0)


class Multiagent(Slow):
    name = "multiagent"

    def begin(self) -> None:
        self.table = Table([Player(i) for i in range(int(self.config["agents"]))])
        self.cue = self.random.below(len(self.table.players))

    def asks(self, player: Player) -> bool:
        return player.alive and self.table.asked % 2 == player.number % 2

    def answer(self, player: Player) -> int:
        return (player.number + self.cue) % len(self.table.players)

    def step(self, actions: list[int]) -> Outcome:
        outcome = Outcome([], [], [], "")
        for player, action in zip(self.table.players, actions, strict=True):
            asked, right = self.asks(player), action == self.answer(player)
            outcome.rewards.append(np.float32((1 if right else -1) if asked else 0))
            outcome.acted.append(asked)
            outcome.died.append(asked and not right)
        for player, died, acted in zip(self.table.players, outcome.died, outcome.acted, strict=True):
            player.alive = player.alive and not died
            player.right += acted and not died
        self.table.asked += 1
        self.cue = self.random.below(len(self.table.players))
        over = self.table.asked == 2 * self.config["turns"] or not any(p.alive for p in self.table.players)
        outcome.end = "terminal" if over else ""
        return outcome

    def observation(self) -> Floats:
        unit = np.eye(len(self.table.players))
        return np.array(
            [
                [*unit[p.number], *(unit[self.cue] * p.alive), float(self.asks(p)), float(p.alive)]
                for p in self.table.players
            ],
            np.float32,
        )

    def score(self) -> float:
        return float(np.mean([player.right / self.config["turns"] for player in self.table.players]))


SLOW: dict[str, type[Slow]] = {
    game.name: game for game in (Bandit, Memory, Password, Stochastic, Squared, Spaces, Multiagent)
}
"""Every sanity environment by its name."""
