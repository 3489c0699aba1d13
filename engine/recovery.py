"""What a run does about numbers that are not finite: tells of them, goes back to a checkpoint, or ends."""

from __future__ import annotations

import time
from collections.abc import Callable

from engine.alarm_watch import AlarmWatch
from engine.errors import CheckpointError
from engine.guard import PATIENCE, NonFiniteError
from engine.resume import load_state
from engine.run_folder import RunFolder
from engine.telemetry import Telemetry
from engine.trainer import Trainer

ROLLBACKS = 3
"""Ways back to one and the same checkpoint: if other random numbers do not help thrice, chance is not the cause."""
WARN_SECONDS = 10.0
"""What is left out is told this often at most; the metrics train/skipped and train/skipped_segments count it all."""


class Recovery:
    """Carries out `run.on_nan`. `saved` and `after_iteration` tell it that things go well."""

    def __init__(
        self,
        trainer: Trainer,
        folder: RunFolder,
        telemetry: Telemetry,
        alarms: AlarmWatch,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._trainer, self._folder, self._telemetry, self._alarms = trainer, folder, telemetry, alarms
        self._clock = clock
        self._warned: float | None = None
        self._untold = 0
        self._sound = 0
        self._rollbacks = 0

    def warn(self, source: str) -> None:
        """Something was left out."""
        self._sound = 0
        now = self._clock()
        if self._warned is not None and now - self._warned < WARN_SECONDS:
            self._untold += 1
            return
        more = f" ({self._untold} more since the last warning)" if self._untold else ""
        self._warned, self._untold = now, 0
        advice = "it was left out; lower train.learning_rate, or mend the environment if it is the source"
        if not self._alarms.trouble("nan", "a number is not finite", source, advice):
            self._telemetry.log(f"left out: {source}{more}", "warning")

    def after_iteration(self) -> None:
        """An iteration is done; enough of them without a fault clear the alarm."""
        self._sound += 1
        if self._sound == PATIENCE:
            self._alarms.over("nan", f"all numbers of the last {PATIENCE} iterations are finite")

    def saved(self) -> None:
        """There is a new checkpoint to go back to."""
        self._rollbacks = 0

    def recover(self, error: NonFiniteError) -> None:
        """Goes back to the newest checkpoint where `run.on_nan` asks for it; otherwise raises what ends the run."""
        telemetry, trainer = self._telemetry, self._trainer
        policy = trainer.profile.run.on_nan
        if policy != "rollback":
            way = "resume from the newest checkpoint" if self._folder.checkpoints.paths() else "start anew"
            raise NonFiniteError(
                f"{error}; nothing of it was learned or saved. Lower train.learning_rate or mend the environment, then "
                f"{way}" + ("" if policy == "skip" else ', perhaps with run.on_nan = "skip" or "rollback"')
            ) from error
        if self._rollbacks >= ROLLBACKS:
            raise NonFiniteError(
                f"{error}; {ROLLBACKS} rollbacks to {telemetry.snapshot().checkpoint} did not get past it: "
                "lower train.learning_rate, then resume"
            ) from error
        try:
            path, checkpoint, skipped = self._folder.newest_good()
        except CheckpointError as missing:
            raise NonFiniteError(f"{error}; there is nothing to roll back to: {missing}") from error
        for line in skipped:
            telemetry.log(line, "warning")
        met_at = trainer.step
        load_state(trainer, checkpoint)
        self._rollbacks += 1
        trainer.reseed(self._rollbacks)
        telemetry.rewind(
            step=trainer.step,
            iteration=trainer.iteration,
            elapsed=float(checkpoint.manifest.get("elapsed", 0.0)),
            checkpoint=path.name,
        )
        telemetry.event(
            "rollback",
            f"{error}; back to {path.name}, rollback {self._rollbacks} of {ROLLBACKS}",
            level="warning",
            text=str(error),
            checkpoint=path.name,
            rollback=self._rollbacks,
            met_at_step=met_at,
        )
        self._sound = 0
        advice = f"it goes on from {path.name}; lower train.learning_rate if it comes back"
        self._alarms.trouble("nan", "a number is not finite", str(error), advice)
