"""A thread that looks at the runs of a folder every few seconds, so that the screen never waits for the disk."""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from engine import EngineError, RunCatalogue, RunFolder, RunInfo
from perx_tui.tui.browser.board import Listing
from perx_tui.tui.browser.details import Details, read_details

PERIOD = 2.0
"""Seconds from one look to the next."""
_FIRST_SIZES = 0.2
"""Seconds for which the first look measures: the list is there before every size is."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """What came of a request: runs deleted, bytes freed, a line for each run that is still there."""

    deleted: int
    freed: int
    problems: tuple[str, ...] = ()


class Watch:
    """`listing` and `details` are replaced whole by the thread and read by the screen whenever it likes."""

    def __init__(
        self,
        root: Path,
        read: Callable[[Path], Details] = read_details,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.listing = Listing(root)
        self.details: Details | None = None
        self.deletions: queue.SimpleQueue[Deletion] = queue.SimpleQueue()
        self._catalogue = RunCatalogue(root)
        self._read = read
        self._clock = clock
        self._turn = threading.Lock()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._wanted: Path | None = None
        self._described: tuple[Path, RunInfo | None] | None = None
        self._hasty = True
        """The last look was the first one, or there was none: another one follows at once."""

    @property
    def root(self) -> Path:
        """The folder of runs."""
        return self.listing.root

    def start(self) -> None:
        """Look from now on, at once and then every `PERIOD` seconds."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="runs", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Look no longer. The thread ends by itself when it has done what it is about."""
        self._thread = None
        self._wake.set()

    def want(self, path: Path | None) -> None:
        """Read the details of a run, now and whenever it has changed."""
        if path != self._wanted:
            self._wanted = path
            self._wake.set()

    def look(self) -> None:
        """List the runs and read the details that are wanted. Called by the thread, and by tests."""
        with self._turn:
            self._hasty = not self.listing.at
            runs = tuple(self._catalogue.list(_FIRST_SIZES if self._hasty else math.inf))
            self.listing = Listing(self.root, runs, self._catalogue.free_bytes(), self._clock())
            self._describe()
            if self._hasty:
                self._wake.set()

    def _describe(self) -> None:
        """The details of the wanted run, read anew where its line of the list has changed."""
        wanted = self._wanted
        if wanted is None:
            return
        key = (wanted, next((run for run in self.listing.runs if run.path == wanted), None))
        if key != self._described:
            self.details, self._described = self._read(wanted), key

    def delete(self, runs: Sequence[RunInfo]) -> None:
        """Delete runs in a thread of their own, which puts what came of it into `deletions`."""

        def work() -> None:
            deleted, freed, problems = 0, 0, []
            for run in runs:
                try:
                    freed += RunFolder.delete(self.root, run.path.name)
                    deleted += 1
                except EngineError as error:
                    problems.append(str(error))
            self.look()
            self.deletions.put(Deletion(deleted, freed, tuple(problems)))

        threading.Thread(target=work, name="delete-runs", daemon=True).start()

    def _work(self) -> None:
        own = threading.current_thread()
        due = time.monotonic()
        while self._thread is own:
            self._wake.clear()
            if time.monotonic() >= due or self._hasty:
                self.look()
                due = time.monotonic() + PERIOD
            else:
                with self._turn:
                    self._describe()
            self._wake.wait(max(0.0, due - time.monotonic()))
