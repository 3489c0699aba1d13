"""Workers that share one minibatch or one horizon: each thread does its own part from end to end.

On a CPU this beats threads inside every matrix product: no barrier after each small operation, no thread that spins
while it waits, and the few Python calls a part needs run while the other parts compute. torch itself is held to one
thread.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

Result = TypeVar("Result")

LEAST_ROWS = 128
"""Fewer agents than this a worker and the interpreter's share of a step outweighs its arithmetic."""


def prepare_thread() -> None:
    """Settings that torch keeps per thread: one arithmetic thread, and denormals flushed to zero.

    Gradients through time decay into denormal numbers, on which a CPU is several times slower.
    """
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def split(total: int, parts: int) -> list[slice]:
    """Cuts range(total) into `parts` neighbouring slices whose lengths differ by at most one."""
    bounds = [total * part // parts for part in range(parts + 1)]
    return [slice(low, high) for low, high in itertools.pairwise(bounds)]


class Workers:
    """`count` threads, the caller's among them. The same split of the same work gives the same bits each time."""

    def __init__(self, count: int) -> None:
        self.count = max(1, count)
        prepare_thread()
        self._pool = (
            ThreadPoolExecutor(self.count - 1, thread_name_prefix="engine-worker", initializer=prepare_thread)
            if self.count > 1
            else None
        )

    def run(self, work: Callable[[int], Result]) -> list[Result]:
        """Calls work(part) for every part, part 0 in this thread; results in order, or the first error raised."""
        if self._pool is None:
            return [work(0)]
        futures = [self._pool.submit(work, part) for part in range(1, self.count)]
        try:
            results = [work(0)]
        finally:
            errors = [future.exception() for future in futures]
        for error in errors:
            if error is not None:
                raise error
        return results + [future.result() for future in futures]

    def map(self, work: Callable[[Result], None], items: Sequence[Result]) -> None:
        """Calls work(item) for every item, item k in thread k modulo the number of threads."""

        def part(index: int) -> None:
            for item in items[index :: self.count]:
                work(item)

        self.run(part)

    def close(self) -> None:
        """Ends the threads; no work may be under way."""
        if self._pool is not None:
            self._pool.shutdown(wait=True)
