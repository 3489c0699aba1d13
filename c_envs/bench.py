"""Steps per second of the environments alone: `python -m c_envs.bench`."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from c_envs.batch import Batch, cores
from c_envs.info import ENVIRONMENTS, info


@dataclass(frozen=True, slots=True)
class Measurement:
    """Steps per second of `environments` environments under random actions; the median and the best of the rounds."""

    environment: str
    environments: int
    threads: int
    steps_per_second: float
    best: float


class _Load:
    """A batch with buffers of its own and random actions in them."""

    def __init__(self, name: str, environments: int, threads: int, slots: int, config: Mapping[str, object]) -> None:
        self.batch = Batch(name, environments, seed=1, threads=threads, config=config, slots=slots)
        rows, spec = self.batch.rows, self.batch.spec
        random = np.random.default_rng(1)
        pushes = random.uniform(-1, 1, (slots, rows)).astype(np.float32)
        choices = random.integers(0, spec.actions, (slots, rows), dtype=np.int32)
        self.batch.bind(
            observations=np.zeros((slots + 1, rows, spec.observation_size), np.float32),
            actions=pushes if spec.continuous else choices,
            rewards=np.zeros((slots, rows), np.float32),
            terminals=np.zeros((slots, rows), np.uint8),
            truncations=np.zeros((slots, rows), np.uint8),
            masks=np.zeros((slots, rows), np.uint8),
            final_observations=np.zeros((rows, spec.observation_size), np.float32),
        )
        self.batch.reset()

    def round(self, seconds: float) -> float:
        """Steps per second over whole rollouts for about that long."""
        rollouts, start = 0, time.perf_counter()
        while (spent := time.perf_counter() - start) < seconds or rollouts == 0:
            for slot in range(self.batch.slots):
                self.batch.step(slot)
            rollouts += 1
        return rollouts * self.batch.slots * self.batch.rows / spent


def measure(
    name: str,
    environments: int = 1024,
    threads: Sequence[int] = (1,),
    seconds: float = 2.0,
    config: Mapping[str, object] | None = None,
    rounds: int = 10,
    slots: int = 64,
) -> list[Measurement]:
    """Each number of threads for `seconds`, their rounds taken in turn so that a busy machine slows all alike."""
    loads = [_Load(name, environments, count, slots, config or {}) for count in threads]
    rates: list[list[float]] = [[] for _ in loads]
    try:
        for load in loads:
            load.round(0.1 * seconds)
        for _ in range(rounds):
            for load, found in zip(loads, rates, strict=True):
                found.append(load.round(seconds / rounds))
    finally:
        for load in loads:
            load.batch.close()
    return [
        Measurement(name, environments, count, statistics.median(found), max(found))
        for count, found in zip(threads, rates, strict=True)
    ]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m c_envs.bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="ENVIRONMENT", help=f"default: {' '.join(ENVIRONMENTS)}")
    parser.add_argument("--environments", type=int, default=1024, help="environments in a batch (default 1024)")
    parser.add_argument("--seconds", type=float, default=2.0, help="time for each measurement (default 2)")
    parser.add_argument("--json", action="store_true", help="one JSON object with a list of measurements")
    options = parser.parse_args(arguments)
    try:
        for name in options.names:
            info(name)
        found = [
            measurement
            for name in options.names or ENVIRONMENTS
            for measurement in measure(name, options.environments, sorted({1, cores()}), options.seconds)
        ]
    except ValueError as error:
        parser.error(str(error))
    if options.json:
        json.dump({"measurements": [asdict(measurement) for measurement in found]}, sys.stdout, indent=2)
        print()
        return 0
    print(f"{'environment':<12} {'environments':>12} {'threads':>7} {'M steps/s':>10} {'best':>7}")
    for row in found:
        rate, best = row.steps_per_second / 1e6, row.best / 1e6
        print(f"{row.environment:<12} {row.environments:>12} {row.threads:>7} {rate:>10.2f} {best:>7.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
