"""The engine's public face: a training run in a background thread, steered and read from any other.

No method here waits for the trainer, and importing this module does not import torch: the thread does, so that a front
end can paint first.
"""

from __future__ import annotations

import threading
import traceback
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import c_envs
from engine.control import Control
from engine.control_server import ControlServer
from engine.errors import EngineError, ProfileError, RunError
from engine.profile import Profile
from engine.run_folder import RunFolder
from engine.run_listing import plain_text
from engine.snapshot import Follow, Snapshot
from engine.spectator import Spectator
from engine.telemetry import Telemetry

if TYPE_CHECKING:
    from engine.run import Run


def live_edit(profile: Profile, key: str, value: object) -> Profile:
    """`profile` with `key` at `value`. ProfileError where it cannot be so, or not while a run trains."""
    if not profile.info(key).live:
        raise ProfileError(f"{key} cannot be changed while training; stop, then resume with --set {key}=...")
    return profile.with_value(key, value)


CRASH_LOG = "crash.log"
PAUSE_POLL_SECONDS = 0.05
"""How soon a paused trainer answers what is not worth waking it for."""


class TrainingSession:
    """One session of a run: `start`, look at `snapshot` and `history`, steer, `stop`, `join`.

    `runs` is the folder that new runs are made in, `name` the run's name (one is made up without). `resume` is the
    folder of a run to go on with, from its newest good checkpoint; `profile` is then that run's, perhaps edited.
    """

    def __init__(
        self, profile: Profile, *, runs: Path = Path("runs"), name: str | None = None, resume: Path | None = None
    ) -> None:
        self._profile = profile
        self._runs, self._name, self._resume = runs, name, resume
        self._control = Control()
        self._edits: deque[tuple[str, object, object]] = deque()
        self._edit_lock = threading.Lock()
        self._watched: int | Follow | None = None
        self._wanted_segment: tuple[str, int] | None = None
        self._inspected = False
        self._folder: RunFolder | None = None
        self._run: Run | None = None
        self._server: ControlServer | None = None
        self._renderer: c_envs.Renderer | None = None
        self.exception: BaseException | None = None
        """What ended the training when the state is "failed"."""
        self._telemetry = Telemetry(
            profile=profile.name,
            environment=profile.env.name,
            total_steps=profile.train.total_steps,
            device=profile.train.device,
            stage="waiting to start",
        )
        telemetry = self._telemetry
        self._spectator = Spectator(
            lambda: self._profile,
            lambda spectacle: telemetry.update(spectacle=spectacle),
            lambda text: telemetry.log(text, "warning"),
        )
        self._thread = threading.Thread(target=self._main, name="trainer", daemon=True)

    @property
    def profile(self) -> Profile:
        """The settings in force, edits included."""
        return self._profile

    @property
    def folder(self) -> Path | None:
        """The run's folder, None until it is made."""
        return self._folder.path if self._folder else None

    @property
    def is_alive(self) -> bool:
        """The trainer's thread has begun and not ended."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Begins training in a background thread."""
        self._thread.start()

    def join(self, timeout: float | None = None) -> bool:
        """Waits for the thread to end; False when the timeout (seconds) came first."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def snapshot(self) -> Snapshot:
        """The newest snapshot; never blocks."""
        state = self._telemetry.snapshot().state
        if state == "running" and self._control.paused:
            self._telemetry.update(state="paused")
        elif state == "paused" and not self._control.paused:
            self._telemetry.update(state="running")
        return self._telemetry.seen()

    def history(self, since: int = 0, limit: int | None = None) -> list[Mapping[str, float]]:
        """Metrics of the iterations after `since`, oldest first: the first `limit` of them, or all of the 20,000 that
        are kept at most, a resumed run's past included."""
        return self._telemetry.history(since, limit)

    def renderer(self) -> c_envs.Renderer:
        """Draws the states that a Clip's frames hold."""
        if self._renderer is None:
            env = self._profile.env
            self._renderer = c_envs.Renderer(env.name, env.config, seed=self._profile.train.seed)
        return self._renderer

    def pause(self) -> None:
        """Stops training within one step or minibatch."""
        if not self.snapshot().ended and self._control.pause():
            self._telemetry.event("pause", "paused")
            self._record_state()

    def resume(self) -> None:
        """Goes on after a pause."""
        if self._control.resume():
            self._telemetry.event("resume", "resumed")
            self._record_state()

    def _record_state(self) -> None:
        """Who lists the runs sees from the folder whether this one is paused."""
        if self.snapshot().state in ("running", "paused"):
            self._telemetry.refresh_record()

    def step_iteration(self) -> None:
        """Trains to the end of one iteration while paused."""
        if self._control.step_iteration():
            self._telemetry.event("step", "one iteration")

    def checkpoint(self) -> None:
        """Asks for a checkpoint at the end of the iteration; the outcome is an event and a line of the log."""
        self._telemetry.log("checkpoint asked for")
        self._control.request_checkpoint()

    def set(self, key: str, value: object) -> None:
        """Changes a live setting from the next minibatch on. ProfileError when the key or the value will not do."""
        with self._edit_lock:
            old = self._profile.info(key).value
            self._profile = live_edit(self._profile, key, value)
            self._edits.append((key, old, value))

    @property
    def watched(self) -> int | Follow | None:
        """The environment whose frames are recorded, or by what an episode is chosen to be shown."""
        return self._watched

    def watch(self, environment: int | str | None) -> None:
        """Shows this environment's frames from the next iteration on, or the "best" or the "newest" episode of those
        that end; None shows nothing. ValueError for anything else."""
        if isinstance(environment, str):
            if environment not in ("best", "newest"):
                raise ValueError(f"environment is '{plain_text(environment, 40)}': a number, best or newest")
            self._watched = "best" if environment == "best" else "newest"
            return
        count = self._telemetry.snapshot().environments
        if environment is not None and count and not 0 <= environment < count:
            raise ValueError(f"environment {environment}: there are {count}, 0 to {count - 1}")
        self._watched = environment

    def show_segment(self, by: str = "priority", index: int = 0) -> None:
        """Asks for a segment to look at; it comes as `Snapshot.segment`, at the end of the iteration or at once while
        paused between two.

        `by` is "priority", "uses" or "age" (then `index` 0 is the highest, 1 the next), "random", or "index" (the
        segment of that index, see `SegmentSummary`). ValueError for another word.
        """
        if by not in ("priority", "uses", "age", "random", "index"):
            raise ValueError(f"by is '{plain_text(by, 40)}', none of priority, uses, age, random, index")
        self._wanted_segment = (by, index)

    def inspect(self, wanted: bool) -> None:
        """Whether `ReplayView.table` is filled from the next iteration on: it costs the trainer a little."""
        self._inspected = wanted

    def spectate(self, wanted: bool, viewer: str = "screen") -> None:
        """Whether `viewer` wants to see the present policy play: one game for everybody, beside training, in
        `Snapshot.spectacle`. It goes on after the end of the training until nobody wants it any more."""
        self._spectator.wish(viewer, wanted)

    def direct(self, act: str, value: float | None = None) -> None:
        """Changes how the spectators' game is played, see `engine.spectator.Spectator.direct`. ValueError for what is
        none of its acts."""
        self._spectator.direct(act, value)

    def stop(self, checkpoint: bool = True) -> None:
        """Ends training at the end of the iteration, with a checkpoint unless told otherwise.

        An iteration that takes seconds more is cut short: what it has collected so far is given up, or the minibatches
        that are left are owed. The checkpoint holds either, and a resumed run goes on from there.
        """
        self._control.stop(checkpoint)

    def _main(self) -> None:
        """The trainer's thread: whatever ends it, the last snapshot says so."""
        try:
            self._train()
        except EngineError as error:
            self._fail(error, str(error))
        except BaseException as error:
            detail = "".join(traceback.format_exception(error))
            self._fail(error, f"{type(error).__name__}: {error}", detail)
        finally:
            if self._server is not None:
                self._server.close()
            # A folder that a hanging disk still writes to keeps its lock until this process ends.
            if self._telemetry.close() and self._folder is not None:
                self._folder.close()

    def _serve(self, folder: Path) -> None:
        """Lets viewers in other processes in. Where no socket can be made, the run goes on without."""
        try:
            self._server = ControlServer(self, folder)
        except RunError as error:
            self._telemetry.log(f"{error}; nobody can attach to this run", "warning")
        else:
            self._server.start()

    def _fail(self, error: BaseException, text: str, detail: str | None = None) -> None:
        self.exception = error
        self._telemetry.log(text, "error")
        if detail is not None and self._folder is not None:
            crash = self._folder.path / CRASH_LOG
            self._telemetry.write(lambda folder: (folder.path / CRASH_LOG).write_text(detail, "utf-8"))
            self._telemetry.log(f"the traceback is in {crash}", "error")
        self._telemetry.update(error=text, stage="")
        self._telemetry.record_state("failed", error=text)

    def _train(self) -> None:
        telemetry, control = self._telemetry, self._control
        telemetry.update(stage="loading torch")
        from engine.run import Run  # torch is imported here, off the front end's thread

        telemetry.update(stage="preparing")
        run = Run(
            self._profile,
            control.gate,
            self._apply_edits,
            telemetry,
            runs=self._runs,
            name=self._name,
            resume=self._resume,
        )
        with self._edit_lock:
            # Edits made while torch was loading wait in the queue; the resolved profile has to show them too.
            edited = run.trainer.profile
            for key, _, value in self._edits:
                edited = edited.with_value(key, value)
            self._profile, self._folder, self._run = edited, run.folder, run
        run.trainer.hurried = lambda: control.hurried
        control.idle = lambda: self._while_held(run)
        assert run.folder is not None
        self._serve(run.folder.path)
        try:
            run.begin()
            while not (control.stopping or run.finished):
                self._apply_edits()  # also while nothing is trained, and so that a checkpoint holds them
                if control.take_checkpoint_request():
                    run.checkpoint()
                    control.settle()
                elif (wanted := self._wanted_segment) is not None and run.trainer.iteration:
                    self._wanted_segment = None
                    run.show_segment(*wanted)
                elif control.held:
                    run.settle()
                    run.lend(self._spectator)
                    control.wait(PAUSE_POLL_SECONDS)
                else:
                    run.iterate(self._watched, self._inspected)
                    run.lend(self._spectator)
                    control.end_iteration()
            self._apply_edits()
            run.end(checkpoint=control.checkpoint_on_stop or run.finished, give_up=lambda: control.stopping)
        finally:
            run.close()

    def _while_held(self, run: Run) -> None:
        """Now and then while a pause holds the trainer inside an iteration."""
        run.catch_up()
        run.lend(self._spectator)

    def _apply_edits(self) -> None:
        """Between minibatches: what `set` was asked for comes into force and is recorded."""
        while self._edits and self._run is not None:
            key, old, new = self._edits.popleft()
            self._run.edit(key, old, new)
