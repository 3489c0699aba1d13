"""How other threads steer the trainer: it looks here between steps and minibatches, and nobody ever waits for it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.phases import Timer


STOP_PATIENCE = 4.0
"""Seconds that the iteration under way has to end by itself when a stop is asked for."""
IDLE_SECONDS = 0.1
"""How often `Control.idle` is called while the trainer is held inside an iteration."""


class Control:
    """Pause, single iterations, checkpoint and stop requests.

    A pause holds the trainer at its next gate, which may lie inside an iteration. What needs an iteration's end (a
    checkpoint, a stop, a single iteration) lets the trainer run on to it, and it then stands still again.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._go = threading.Event()
        self._go.set()
        self._paused = False
        self._iterations = 0
        self._checkpoint = False
        self._stop: bool | None = None
        self._stop_by = 0.0
        self.idle: Callable[[], None] = lambda: None
        """Called by threads that are held at a gate, now and then; several may call it at once."""

    @property
    def paused(self) -> bool:
        """The trainer stands still, or will at its next gate."""
        return self._paused and not self._go.is_set()

    @property
    def stopping(self) -> bool:
        """A stop was asked for."""
        return self._stop is not None

    @property
    def hurried(self) -> bool:
        """A stop was asked for, and the iteration under way takes too long to wait for its end."""
        return self._stop is not None and time.monotonic() >= self._stop_by

    @property
    def checkpoint_on_stop(self) -> bool:
        """The stop asked for a checkpoint."""
        return bool(self._stop)

    def pause(self) -> bool:
        """Holds the trainer at its next gate, or where a checkpoint is asked for after that; whether it was not held
        already."""
        with self._lock:
            if self._stop is not None:
                return False
            news = not self._paused or self._iterations > 0
            self._paused = True
            self._iterations = 0
            if not self._checkpoint:
                self._go.clear()
            return news

    def resume(self) -> bool:
        """Lets the trainer run, also one that runs on to an iteration's end only; whether there was a pause to end."""
        with self._lock:
            news, self._paused = self._paused, False
            self._go.set()
            return news

    def step_iteration(self) -> bool:
        """Lets a paused trainer run to the end of an iteration: of the one under way, else of the next. False where
        there is no pause."""
        with self._lock:
            if self._paused:
                self._iterations = 1
                self._go.set()
            return self._paused

    def request_checkpoint(self) -> None:
        """Asks for a checkpoint at the end of the iteration."""
        with self._lock:
            self._checkpoint = True
            self._go.set()

    def stop(self, checkpoint: bool) -> None:
        """Ends training at the end of the iteration, or of the minibatch where that takes too long."""
        with self._lock:
            if self._stop is None:
                self._stop_by = time.monotonic() + STOP_PATIENCE
            self._stop = checkpoint
            self._go.set()

    def gate(self, timer: Timer) -> None:
        """Called by the trainer's threads between steps and minibatches: returns at once unless paused."""
        if not self._go.is_set():
            timer.lap("unaccounted")
            while not self._go.wait(IDLE_SECONDS):
                self.idle()
            timer.skip()

    def take_checkpoint_request(self) -> bool:
        """Whether a checkpoint was asked for since the last call."""
        with self._lock:
            asked, self._checkpoint = self._checkpoint, False
            return asked

    def end_iteration(self) -> None:
        """An iteration has ended: a single one is used up, and a pause holds again."""
        with self._lock:
            self._iterations = max(0, self._iterations - 1)
        self.settle()

    def settle(self) -> None:
        """Between iterations: a pause holds again when nothing else is asked for."""
        with self._lock:
            if self._paused and not self._iterations and self._stop is None and not self._checkpoint:
                self._go.clear()

    @property
    def held(self) -> bool:
        """The trainer may not go on now."""
        return not self._go.is_set()

    def wait(self, seconds: float) -> None:
        """Called between iterations: holds a paused trainer until something is asked of it, at most so long."""
        self._go.wait(seconds)
