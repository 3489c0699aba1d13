"""Writes to a run's folder in a thread of its own: a disk that refuses or hangs costs a warning, not the trainer.

What is written stays in the order in which it was asked for. What cannot be written is lost, and is told.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from engine.errors import EngineError
from engine.run_folder import RunFolder

LIMIT = 10_000
"""Writes that may wait. Behind a disk that hangs for longer, the newest are dropped."""
STALL_SECONDS = 10.0
"""A write that takes so long is told."""
REPEAT_SECONDS = 60.0
"""A disk that refuses now and then is told of this often at most."""

Write = Callable[[RunFolder], object]
Tell = Callable[[str, str], None]


class Recorder:
    """The one thread that writes metrics, events and the state of a run.

    `tell(text, level)` hears of trouble, in this thread.
    """

    def __init__(
        self, folder: RunFolder, tell: Tell, limit: int = LIMIT, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._folder, self._tell, self._limit, self._clock = folder, tell, limit, clock
        self._changed = threading.Condition()
        self._waiting: deque[Write] = deque()
        self._asked = self._done = 0
        self._began: float | None = None
        self._closing = False
        self._stalled = False
        self._lost = 0
        self._over_untold = False
        """A failure was told, and not yet that it is over."""
        self._told: float | None = None
        self._thread = threading.Thread(target=self._main, name="recorder", daemon=True)
        self._thread.start()

    def submit(self, write: Write) -> str | None:
        """Has `write(folder)` called after all that was submitted before. Returns at once; a line where the disk has
        not answered for long, each time it stops to answer once."""
        with self._changed:
            full = len(self._waiting) >= self._limit
            if full or self._closing:
                self._lost += 1
            else:
                self._waiting.append(write)
                self._asked += 1
                self._changed.notify_all()
            stalled = not self._stalled and self._began is not None and self._clock() - self._began >= STALL_SECONDS
            self._stalled |= stalled
        if not stalled:
            return None
        return (
            f"the disk of {str(self._folder.path)!r} has not answered for {STALL_SECONDS:.0f} s: metrics and events "
            "wait in memory; training goes on"
        )

    def flush(self, seconds: float) -> bool:
        """Waits until all that was submitted is written; False where it is not within the time.

        A disk that is known to hang is not waited for.
        """
        with self._changed:
            target = self._asked
            return self._changed.wait_for(lambda: self._done >= target, 0 if self._stalled else seconds)

    def close(self, seconds: float) -> bool:
        """Writes what is left and ends the thread; False where that takes longer: then the folder is still in use."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self._thread.join(seconds)
        return not self._thread.is_alive()

    def _main(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closing)
                if not self._waiting:
                    return
                write = self._waiting.popleft()
                self._began = self._clock()
            fault: Exception | None = None
            try:
                write(self._folder)
            except Exception as error:  # whatever a logger raises, it is no reason to lose the run
                fault = error
            with self._changed:
                took = self._clock() - self._began
                self._began = None
                self._done += 1
                was_stalled, self._stalled = self._stalled, False
                self._lost += fault is not None
                self._changed.notify_all()
            if was_stalled:
                self._tell(f"the disk answers again after {took:.0f} s", "info")
            self._report(fault)

    def _report(self, fault: Exception | None) -> None:
        """Tells of a failure, and once it is over of what is missing."""
        now = self._clock()
        if fault is not None:
            if self._told is None or now - self._told >= REPEAT_SECONDS:
                text = str(fault) if isinstance(fault, EngineError) else f"{type(fault).__name__}: {fault}"
                self._told, self._over_untold = now, True
                self._tell(f"{text}; training goes on", "warning")
        elif self._over_untold:
            with self._changed:
                lost, self._lost = self._lost, 0
            self._over_untold = False
            self._tell(f"the run's files are written again, {lost} records are missing", "info")
