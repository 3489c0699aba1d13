"""The run that is soaked: its process, its terminal, its viewers, its books."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from engine import Profile, RemoteSession

from .ledger import Ledger, Violation
from .resources import Sampler, Track
from .screens import Screen, wait_until

NORMAL_SIZES = ((80, 24), (120, 36), (160, 48), (200, 60))
STOP_SECONDS = 20.0
"""A run that is asked to end has so long: 10 s on a machine that does nothing else."""


@dataclass(slots=True)
class Viewer:
    """Somebody who has attached."""

    screen: Screen
    track: Track
    until: float
    """When they leave (time.monotonic)."""


class SoakedRun:
    """One run over all its processes. `resident` is a viewer that stays to the end."""

    name = "soak"
    program = (sys.executable, "-m", "perx_tui")

    def __init__(self, folder: Path, threads: int, generator: random.Random) -> None:
        self.folder, self.random = folder, generator
        self.environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
        self.run = folder / "runs" / self.name
        profile = Profile.load("breakout.toml")
        self.ledger = Ledger(self.run, profile.env.agents * profile.train.horizon)
        self.sampler = Sampler(self.ledger.history_bytes)
        self.edits: dict[str, object] = {}
        self.viewers: list[Viewer] = []
        self.resident: Viewer | None = None
        self.process: Track | None = None
        self.loose_ends = True
        self.starts = self.viewers_met = 0
        self.slowest: dict[str, float] = {}
        self._threads = threads
        self._control: RemoteSession | None = None
        self._step = 0
        self._screen: Screen | None = None

    # ---- its parts ----

    @property
    def screen(self) -> Screen:
        """The terminal of the process that trains; it may have been hung up."""
        assert self._screen is not None
        return self._screen

    @property
    def control(self) -> RemoteSession:
        """A viewer without a screen: what another program would steer the run with."""
        assert self._control is not None
        return self._control

    @property
    def screens(self) -> list[Screen]:
        """Every terminal on which somebody sees the run and could press a key."""
        own = [] if self.screen.hung_up else [self.screen]
        return own + [viewer.screen for viewer in self.everybody]

    @property
    def everybody(self) -> list[Viewer]:
        """The viewers that are there."""
        return self.viewers + ([self.resident] if self.resident else [])

    @property
    def is_quiet(self) -> bool:
        """Nobody is there who comes and goes."""
        return not self.viewers and self.control.snapshot().state == "running"

    # ---- life ----

    def start(self) -> None:
        """A new run, or a resumed one: it stands where its newest checkpoint stood, with all edits in force."""
        since, expected = len(self.ledger.events), None
        options = ["--profile", "breakout.toml", "--name", self.name, "--steps", "1e12"]
        options += ["--set", f"train.threads={self._threads}", "--set", "run.checkpoint_every=40"]
        if self.starts:
            expected = self.ledger.newest_checkpoint()
            options = ["--resume", self.name]
        self.starts += 1
        columns, lines = self.random.choice(NORMAL_SIZES)
        began = time.monotonic()
        self._screen = Screen([*self.program, *options], self.folder, self.environment, columns, lines)
        if expected is not None:
            # The file is rewritten by the resume: its lines are looked at again only after that.
            if not wait_until(lambda: self._has_resumed(since), 120):
                raise Violation(f"the resume did not begin: {self.screen.last_output}")
            told = next(event for event in self.ledger.events[since:] if event["kind"] == "resumed")
            if told["checkpoint"] != expected[0]:
                raise Violation(f"resumed from {told['checkpoint']}, the newest checkpoint was {expected[0]}")
            self.ledger.resumed(expected[1])
            if left := self.ledger.left_over():
                raise Violation(f"left in checkpoints/ after a resume: {left}")
        if not wait_until(lambda: (self.run / "control.sock").exists(), 60):
            raise Violation(f"no control.sock: {self.screen.last_output}")
        self._control = RemoteSession(self.run)
        self._control.start()
        self._step = 0
        self.ledger.wait_for_iterations(2, 120)
        self.took("start to second iteration", time.monotonic() - began)
        self.expect_on(self.screen, self.name, "running")
        self.process = self.sampler.add(f"train {self.starts}", self.screen.pid)
        for key, value in self.edits.items():
            if self.control.profile.info(key).value != value:
                raise Violation(f"{key} was edited to {value} and is {self.control.profile.info(key).value}")

    def _has_resumed(self, since: int) -> bool:
        if not self.screen.alive:
            raise Violation(f"the resume ended with {self.screen.code}: {self.screen.last_output}")
        self.ledger.read_events()
        return any(event["kind"] == "resumed" for event in self.ledger.events[since:])

    def ended(self, code: int, *, saved: bool, seconds: float = STOP_SECONDS) -> None:
        """The process has to end with this code, and with a checkpoint of its last iteration where it `saved`."""
        began = time.monotonic()
        found = self.screen.wait(seconds)
        self.took(f"end with {code}", time.monotonic() - began)
        if found != code:
            raise Violation(f"the process ended with {found}, not {code}: {self.screen.last_output}")
        self.ledger.read()
        name, iteration = self.ledger.newest_checkpoint()
        if saved and iteration != self.ledger.iteration:
            raise Violation(f"it ended at iteration {self.ledger.iteration}, its last checkpoint is {name}")
        self.control.close()
        self.check_terminal(self.screen)
        for viewer in list(self.viewers):
            self.dismiss(viewer)
        self.screen.close()

    def settle_down(self) -> None:
        """From here on one process lives, and one viewer with it."""
        self.ledger.wait_for_iterations(1)
        self.resident = self.attach(float("inf"), "resident viewer")
        # Memory for the largest screen is never given back: it is taken now, or it would look like growth.
        for screen in self.screens:
            size = screen.size
            screen.resize(500, 200)
            time.sleep(2)
            screen.resize(*size)

    def finish(self) -> None:
        """Everybody leaves and the run is stopped."""
        for viewer in self.everybody:
            self.dismiss(viewer)
        self.resident = None
        self.screen.send(signal.SIGTERM)
        self.ended(143, saved=True)

    def close(self) -> None:
        """Nothing stays behind, whatever has happened."""
        self.sampler.close()
        if self._control is not None:
            self._control.close()
        for viewer in self.everybody:
            viewer.screen.close()
        if self._screen is not None:
            self._screen.close()

    # ---- viewers ----

    def attach(self, seconds: float, label: str = "") -> Viewer:
        """Another viewer, which has to show the run."""
        columns, lines = self.random.choice(NORMAL_SIZES)
        screen = Screen([*self.program, "attach", self.name], self.folder, self.environment, columns, lines)
        self.viewers_met += 1
        viewer = Viewer(
            screen, self.sampler.add(label or f"viewer {self.viewers_met}", screen.pid), time.monotonic() + seconds
        )
        if not label:
            self.viewers.append(viewer)
        began = time.monotonic()
        self.expect_on(screen, self.name, self.control.snapshot().state)
        self.took("viewer shows the run", time.monotonic() - began)
        return viewer

    def dismiss(self, viewer: Viewer) -> None:
        """A viewer is gone at once, in a way that asks nobody."""
        self.check_terminal(viewer.screen)
        viewer.screen.close()
        with contextlib.suppress(ValueError):
            self.viewers.remove(viewer)

    # ---- checks ----

    def check(self) -> None:
        """What holds at every moment."""
        if not self.screen.alive:
            raise Violation(f"the process has ended by itself with {self.screen.code}: {self.screen.last_output}")
        self.ledger.read()
        self.ledger.look_at_checkpoints()
        snapshot = self.control.snapshot()
        if snapshot.step < self._step:
            raise Violation(f"steps fell from {self._step} to {snapshot.step}")
        self._step = snapshot.step
        if snapshot.state == "failed":
            raise Violation(f"the run counts as failed: {snapshot.error}")
        for screen in [self.screen, *(viewer.screen for viewer in self.everybody)]:
            self.check_terminal(screen)
        for viewer in self.everybody:
            if not viewer.screen.alive:
                raise Violation(f"{viewer.track.name} ended by itself with {viewer.screen.code}")

    def check_terminal(self, screen: Screen) -> None:
        """No traceback was seen on a terminal."""
        if screen.traceback:
            raise Violation(f"a traceback on a terminal: {screen.last_output}")

    def expect_on(self, screen: Screen, *words: str) -> None:
        """The words have to come to stand on a screen."""
        if not screen.shows(*words):
            raise Violation(f"{words} are not on this screen of {screen.size}:\n{screen.text()}")

    def expect_state(self, state: str, seconds: float = 30) -> float:
        """The run has to come into a state; the seconds it took."""
        began = time.monotonic()
        if not wait_until(lambda: self.control.snapshot().state == state, seconds, 0.02):
            raise Violation(f"the run is {self.control.snapshot().state}, not {state}, after {seconds:.0f} s")
        return time.monotonic() - began

    def took(self, what: str, seconds: float) -> None:
        """Remember the slowest."""
        self.slowest[what] = max(self.slowest.get(what, 0.0), seconds)
