"""The maze once more, slowly and by other means: cells by coordinates, the window turned by numpy."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from slow_random import WORD, Pcg32, derive

LAYOUT = struct.Struct("<QQfi4i")
FLOOR, WALL, GOAL = 0, 1, -1
NORTH, EAST, SOUTH, WEST = range(4)
STEPS = {NORTH: (0, -1), EAST: (1, 0), SOUTH: (0, 1), WEST: (-1, 0)}
TURNS = {1: 0, 2: -1, 3: 1, 4: 2}
"""Quarter turns to the right for forward, left, right and back."""

Cells = npt.NDArray[np.int8]


@dataclass
class Level:
    cells: Cells  # [y, x]
    goal: tuple[int, int]  # x, y

    @property
    def size(self) -> int:
        return len(self.cells)


def build_level(seed: int, index: int, difficulty: float, sizes: list[int]) -> Level:
    """Level `index` of a batch's seed. `sizes` are those it may have; one size takes no random number."""
    random = Pcg32.seeded(derive(WORD - 1 - seed, index))
    size = sizes[random.below(len(sizes))] if len(sizes) > 1 else sizes[0]
    cells = np.full((size, size), WALL, np.int8)
    side = size // 2
    start = random.below(side * side)
    growing = [(start % side, start // side)]
    reached = set(growing)
    cells[2 * growing[0][1] + 1, 2 * growing[0][0] + 1] = FLOOR
    while growing:
        newest = len(growing) - 1
        at = random.below(len(growing)) if random.unit() < difficulty else newest
        x, y = growing[at]
        around = [(x + dx, y + dy) for dx, dy in (STEPS[d] for d in (NORTH, EAST, SOUTH, WEST))]
        free = [(i, j) for i, j in around if 0 <= i < side and 0 <= j < side and (i, j) not in reached]
        if not free:
            growing.pop(at)
            continue
        i, j = free[random.below(len(free))]
        cells[y + j + 1, x + i + 1] = FLOOR  # the door: midway between rooms 2x+1 and 2i+1
        cells[2 * j + 1, 2 * i + 1] = FLOOR
        growing.append((i, j))
        reached.add((i, j))
    goal = 2 * random.below(side) + 1, 2 * random.below(side) + 1
    cells[goal[1], goal[0]] = GOAL
    return Level(cells, goal)


@dataclass
class Maze:
    """The state under the names of the C struct."""

    random: Pcg32
    total_reward: float
    steps: int
    level: int
    x: int
    y: int
    heading: int

    @classmethod
    def read(cls, state: bytes) -> Maze:
        values = LAYOUT.unpack(state)
        return cls(Pcg32(values[0], values[1]), *values[2:])

    @classmethod
    def begin(cls, random: Pcg32, levels: list[Level]) -> Maze:
        """A new episode's state."""
        number = random.below(len(levels))
        level = levels[number]
        x, y = level.goal
        while abs(x - level.goal[0]) + abs(y - level.goal[1]) < 4:
            x, y = 2 * random.below(level.size // 2) + 1, 2 * random.below(level.size // 2) + 1
        return cls(random, 0.0, 0, number, x, y, random.below(4))

    def step(self, action: int, levels: list[Level]) -> tuple[float, str]:
        """The reward and "terminal", "truncated" or ""."""
        level = levels[self.level]
        self.steps += 1
        if action in TURNS:
            heading = (self.heading + TURNS[action]) % 4
            x, y = self.x + STEPS[heading][0], self.y + STEPS[heading][1]
            if level.cells[y, x] != WALL:
                self.x, self.y, self.heading = x, y, heading
        if (self.x, self.y) == level.goal:
            self.total_reward = 1.0
            return 1.0, "terminal"
        return 0.0, "truncated" if self.steps >= 2 * level.size * level.size else ""

    def observation(self, levels: list[Level]) -> npt.NDArray[np.float32]:
        level = levels[self.level]
        padded = np.pad(level.cells, 5, constant_values=WALL)
        window = np.rot90(padded[self.y : self.y + 11, self.x : self.x + 11], self.heading)
        east, south = STEPS[self.heading]
        used = self.steps / (2 * level.size * level.size)
        return np.array([*window.ravel(), east, -south, used], np.float32)
