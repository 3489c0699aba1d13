"""One run in the trainer's thread: the trainer, its folder on disk, and what is told of it.

Imports torch; `engine.session` imports this module in its thread.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from engine.alarm_watch import AlarmWatch
from engine.collector import CollectionAbandoned
from engine.devices import resolve_device
from engine.disk_space import LowSpaceWarning, require_room
from engine.durable import reason
from engine.errors import EngineError, RunError
from engine.following import Follower
from engine.guard import NonFiniteError, require_finite
from engine.memory import MemoryProbe
from engine.memory_advice import advise, is_out_of_memory
from engine.metric_history import HISTORY
from engine.phases import Timer
from engine.profile import Profile
from engine.recovery import Recovery
from engine.report import Report
from engine.resume import check_resumable, largest_checkpoint, load_state, save_state
from engine.run_folder import RunFolder
from engine.snapshot import Clip, Follow, Frame
from engine.spectator import Spectator
from engine.telemetry import Telemetry
from engine.trainer import Trainer
from engine.viewing import view_segment

MEMORY_SECONDS = 0.5
"""Memory is read this often at most: asking a GPU's driver more often would cost the GPU speed."""
CLIP_SECONDS = 0.2
"""The horizon of the environment that is watched is taken this often at most: its frames are shown for seconds, and
where an iteration takes milliseconds a GPU would wait for each."""
RECORD_SECONDS = 10.0
"""run.json is brought up to date this often at most."""
LAST_SECONDS, AGAIN_SECONDS = 600.0, 10.0
"""A finished run whose last checkpoint is refused waits so long for somebody to make room, and tries so often."""


class Run:
    """Trains, saves, records. `gate` is called between steps and minibatches, `edits` before every minibatch."""

    def __init__(
        self,
        profile: Profile,
        gate: Callable[[Timer], None],
        edits: Callable[[], None],
        telemetry: Telemetry,
        *,
        runs: Path,
        name: str | None,
        resume: Path | None,
    ) -> None:
        self.telemetry, self._edits = telemetry, edits
        self.device = resolve_device(profile.train.device)
        profile = profile.for_device(self.device.type)
        self.folder: RunFolder | None = RunFolder.open(resume) if resume else None
        try:
            if self.folder is not None:
                check_resumable(Profile.from_toml(self.folder.profile_toml, name=profile.name), profile)
            more = ", compiling kernels" if self.device.type == "cuda" else ""
            telemetry.update(stage=f"building {profile.env.name} for {profile.env.agents:,} agents{more}")
            with advise(lambda: profile, lambda: None):
                self.trainer = Trainer(
                    profile,
                    self.device,
                    gate,
                    self._before_minibatch,
                    self._left_out,
                    lambda text: telemetry.log(text, "warning"),
                )
            present = self.folder.checkpoints.paths() if self.folder is not None else []
            require_room(self.folder.path if self.folder else runs, largest_checkpoint(self.trainer), len(present))
            if self.folder is None:
                info = {
                    "seed": profile.train.seed,
                    "device": str(self.device),
                    "total_steps": profile.train.total_steps,
                    "environment": profile.env.name,
                }
                self.folder = RunFolder.create(runs, name, profile.name, profile.to_toml(), info)
                telemetry.open(self.folder, [])
            else:
                self._continue(self.folder, profile)
        except BaseException:
            if telemetry.close() and self.folder is not None:
                self.folder.close()
            raise
        self._low_space = LowSpaceWarning()
        self.alarms = AlarmWatch(telemetry, profile, self.folder.path)
        self.recovery = Recovery(self.trainer, self.folder, telemetry, self.alarms)
        self._memory = MemoryProbe(self.trainer)
        self._follower = Follower(self.trainer)
        self._followed: Follow | None = None
        self._watched: int | Follow | None = None
        """What was watched in the iteration before."""
        self._clip_taken = 0.0
        self._untold: Callable[..., None] | None = None
        """Tells of the last iteration, where that was put off; takes more fields of the snapshot."""
        self.trainer.meanwhile = self.catch_up
        self._memory_read = self._recorded = 0.0
        self._last_saved = self.trainer.iteration
        policy = profile.policy
        telemetry.update(
            run=self.folder.name,
            folder=str(self.folder.path),
            device=str(self.device),
            environments=self.trainer.batch.environments,
            total_steps=profile.train.total_steps,
            policy=f"{policy.core} {policy.layers}x{policy.hidden}",
            parameters=self.trainer.policy.parameter_count(),
            memory=self._memory.read(),
        )

    @property
    def finished(self) -> bool:
        """The run has all the steps its profile asks for."""
        return self.trainer.step >= self.trainer.profile.train.total_steps

    def _continue(self, folder: RunFolder, profile: Profile) -> None:
        """Takes the newest good checkpoint; what was recorded after it will be done again."""
        self.telemetry.update(stage="reading the checkpoint")
        path, checkpoint, skipped = folder.newest_good()
        load_state(self.trainer, checkpoint)
        self.telemetry.update(stage="reading the run's past")
        folder.truncate_metrics_after(self.trainer.iteration)
        folder.replace_profile(profile.to_toml())
        telemetry = self.telemetry
        telemetry.open(folder, folder.read_metrics(HISTORY))
        for line in skipped:
            telemetry.log(line, "warning")
        telemetry.update(
            step=self.trainer.step,
            iteration=self.trainer.iteration,
            resumed_iteration=self.trainer.iteration,
            elapsed=float(checkpoint.manifest.get("elapsed", 0.0)),
            checkpoint=path.name,
            checkpoint_step=self.trainer.step,
        )
        telemetry.event("resumed", f"resumed from {path.name} at step {self.trainer.step:,}", checkpoint=path.name)

    def begin(self) -> None:
        """The run is about to train."""
        assert self.folder is not None
        self.telemetry.record_state("running")
        self._look_at_disk()
        self.telemetry.log(f"training {self.trainer.policy.parameter_count():,} parameters on {self.device}")

    def show_segment(self, by: str, index: int) -> None:
        """Publishes a segment of the last iteration to be looked at."""
        self.settle()
        if self.trainer.iteration and len(self.trainer.buffer.environments):
            self.telemetry.update(segment=view_segment(self.trainer, by, index))

    def iterate(self, watched: int | Follow | None, inspected: bool = False) -> None:
        """One iteration, its report, and the checkpoint that is due.

        Where a GPU would wait for it, the report is put off until the GPU is at work on the next horizon, or `settle`.
        """
        self._edits()
        trainer = self.trainer
        wanted = watched if isinstance(watched, str) else None
        watched = self._due(watched)
        trainer.collector.watch.environment = watched if isinstance(watched, int) else None
        self._followed = watched if isinstance(watched, str) else None
        self.telemetry.update(stage="collect")
        trainer.inspected = inspected
        try:
            with advise(lambda: trainer.profile, self._how_far):
                report = trainer.iterate()
        except NonFiniteError as error:
            self.recovery.recover(error)
            self._last_saved = trainer.iteration
            return
        except CollectionAbandoned:
            return
        if wanted is not None:
            self._follower.after_iteration(wanted)
        self._untold = partial(self._publish, report, trainer.profile)
        if not trainer.overlaps or watched is not None:
            self.settle()
        every = trainer.profile.run.checkpoint_every
        if trainer.iteration - self._last_saved >= every and not self.finished:
            self.checkpoint()

    def _due(self, watched: int | Follow | None) -> int | Follow | None:
        """`watched`, where a clip of it is due; what is watched anew is due at once."""
        now = time.monotonic()
        if watched == self._watched and now - self._clip_taken < CLIP_SECONDS:
            return None
        self._watched, self._clip_taken = watched, now
        return watched

    def catch_up(self, **fields: object) -> None:
        """Tells of the last iteration, where that was put off. `fields` are further ones of the snapshot."""
        untold, self._untold = self._untold, None
        if untold is not None:
            untold(**fields)

    def settle(self) -> None:
        """The same between two iterations, where nothing is under way."""
        self.catch_up(stage="")

    def lend(self, spectator: Spectator) -> None:
        """Gives those who watch the policy play its present weights, where that is due."""
        if spectator.due:
            spectator.lend(self.trainer.policy, self.trainer.step, self.trainer.iteration)

    def _before_minibatch(self, index: int, count: int) -> None:
        self._edits()
        self.telemetry.update(stage=f"train {index + 1}/{count}")

    def _how_far(self) -> str | None:
        """How far the run is and what there is to resume; None before the first iteration of this session is done."""
        now = self.telemetry.snapshot()
        if now.average_steps_per_second is None:
            return None
        newest = f"resume from {now.checkpoint}" if now.checkpoint else "there is no checkpoint yet, start anew"
        return f"in iteration {self.trainer.iteration}; {newest}"

    def _left_out(self, source: str) -> None:
        self.recovery.warn(source)

    def _publish(self, report: Report, profile: Profile, **fields: object) -> None:
        """Tells of an iteration that `profile` was in force in."""
        now = time.monotonic()
        if now - self._memory_read >= MEMORY_SECONDS:
            self._memory_read = now
            fields["memory"] = self._memory.read()
        clip = self._clip()
        if clip is not None:
            fields["clip"] = clip
        self.telemetry.iteration(report.metrics, report.seconds, report.view, **fields)
        self.alarms.after_iteration(report.metrics, profile)
        self.recovery.after_iteration()
        if now - self._recorded >= RECORD_SECONDS:
            self._recorded = now
            self.telemetry.refresh_record()
            self._look_at_disk()

    def _look_at_disk(self) -> None:
        """Warns once when the disk is nearly full. A disk that hangs is not waited for."""

        def look() -> None:
            assert self.folder is not None
            text = self._low_space.look(self.folder.path)
            if text is not None:
                self.telemetry.log(text, "warning")

        self.telemetry.aside(look)

    def _clip(self) -> Clip | None:
        """The watched environment's horizon: states before each step, and what its first agent did there."""
        if self._followed is not None:
            return self._follower.clip(self._followed)
        trainer = self.trainer
        watch = trainer.collector.watch
        if watch.environment is None or len(watch.states) != trainer.buffer.horizon:
            return None
        agent = watch.environment * (trainer.buffer.agents // trainer.batch.environments)
        columns = [
            tensor[:, agent].tolist()
            for tensor in (trainer.buffer.actions, trainer.buffer.rewards, trainer.buffer.values, trainer.buffer.done)
        ]
        frames = tuple(
            Frame(state, action, reward, value, bool(done))
            for state, action, reward, value, done in zip(watch.states, *columns, strict=True)
        )
        return Clip(watch.environment, trainer.iteration, frames)

    def edit(self, key: str, old: object, new: object) -> None:
        """Brings an edit into force, records it, and keeps it for a resumed run."""
        self.trainer.profile = self.trainer.profile.with_value(key, new)
        self.telemetry.event("edit", f"{key}: {old} -> {new}", key=key, old=old, new=new, step=self.trainer.step)
        toml = self.trainer.profile.to_toml()
        self.telemetry.write(lambda folder: folder.replace_profile(toml))

    def checkpoint(self) -> bool:
        """Saves everything; a refusal costs a warning and leaves the older checkpoints as they were."""
        refusal = self._save()
        if refusal is not None:
            advice = "training goes on; make room or mend the cause, then press c"
            if not self.alarms.trouble("checkpoint", "no checkpoint", refusal, advice):
                self.telemetry.log(f"no checkpoint: {refusal}; training goes on", "warning")
        return refusal is None

    def _save(self) -> str | None:
        """Saves everything, or says what was in the way."""
        assert self.folder is not None
        telemetry, trainer = self.telemetry, self.trainer
        self.settle()
        self._look_at_disk()
        state = telemetry.snapshot().state
        telemetry.update(state="saving", stage="writing a checkpoint")
        began = time.perf_counter()
        telemetry.flush()
        try:
            state_now = save_state(trainer, {"elapsed": telemetry.snapshot().elapsed})
            require_finite(state_now)
            path = self.folder.save_checkpoint(
                trainer.step,
                state_now,
                telemetry.recent_score(),
                trainer.profile.run.keep_checkpoints,
            )
        except (EngineError, OSError, MemoryError, RuntimeError) as error:
            text = _refusal(error)
            if text is None:
                raise
            return text
        finally:
            self._last_saved = trainer.iteration
            telemetry.update(state=state if state != "saving" else "running", stage="")
        self.recovery.saved()
        telemetry.update(checkpoint=path.name, checkpoint_step=trainer.step)
        milliseconds = (time.perf_counter() - began) * 1000
        self.alarms.over("checkpoint", f"{path.name} is saved")
        telemetry.event("checkpoint", f"saved {path.name} in {milliseconds:.0f} ms", checkpoint=path.name)
        return None

    def end(self, *, checkpoint: bool, give_up: Callable[[], bool] = lambda: True) -> None:
        """The last checkpoint, where asked for, and the final state: finished with all steps done, else stopped.

        Where that checkpoint is refused it is tried again for some minutes, or until `give_up`; RunError in the end.
        """
        self.settle()
        saved = self.telemetry.snapshot().checkpoint_step == self.trainer.step
        if checkpoint and not saved:
            self._save_the_last(give_up)
        self.telemetry.update(stage="")
        state = "finished" if self.finished else "stopped"
        self.telemetry.event(state, f"{state} at step {self.trainer.step:,}")
        self.telemetry.record_state(state)

    def _save_the_last(self, give_up: Callable[[], bool]) -> None:
        """What was learned after the checkpoint before is lost without it, so that a full disk is waited for."""
        assert self.folder is not None
        refusal, deadline = self._save(), time.monotonic() + LAST_SECONDS
        if refusal is not None and not give_up():
            wait = f"trying again for {LAST_SECONDS / 60:.0f} minutes, or until a stop is asked for"
            self.telemetry.log(f"the last checkpoint cannot be saved: {refusal}; make room; {wait}", "error")
        while refusal is not None:
            again = time.monotonic() + AGAIN_SECONDS
            self.telemetry.update(stage="waiting for room for the last checkpoint")
            while (now := time.monotonic()) < again:
                if give_up() or now >= deadline:
                    newest = self.telemetry.snapshot().checkpoint
                    rest = f"--resume {self.folder.name} goes on from {newest}" if newest else "nothing was saved"
                    raise RunError(f"the last checkpoint could not be saved: {refusal}; {rest}")
                time.sleep(0.1)
            refusal = self._save()

    def close(self) -> None:
        """Frees threads, environments and the folder's lock."""
        with contextlib.suppress(RuntimeError):  # a GPU that has failed answers nothing any more
            self.settle()
        self._memory.close()
        self.trainer.close()


def _refusal(error: Exception) -> str | None:
    """Why a checkpoint could not be saved; None for an error that is a fault of this program."""
    if isinstance(error, EngineError):
        return str(error)
    if isinstance(error, OSError):
        return reason(error)
    return "memory does not suffice to gather it" if is_out_of_memory(error) else None
