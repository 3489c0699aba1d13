"""Gathers what happens into the newest Snapshot, the metrics history, the log and the run's files.

The trainer's thread writes, any thread reads. Reading is picking up a reference, and making what only readers need: it
never waits for the trainer's work, and the trainer never waits for a reader's. Files are written by another thread
(`engine.recorder`): a disk that refuses or hangs costs a warning, not the run.
"""

from __future__ import annotations

import dataclasses
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from engine.metric_history import HISTORY, MetricHistory, Metrics
from engine.recorder import Recorder, Write
from engine.run_folder import RunFolder
from engine.snapshot import EMPTY, LogLine, Phase, ReplayView, Snapshot

FLUSH_SECONDS = 5.0
"""How long a checkpoint, and the end of a run, wait for metrics and events to be on the disk."""
LOG_LINES = 200
SCORE_EPISODES = 100
"""Episodes that the score of a checkpoint is averaged over, at least."""


class Telemetry:
    """The one writer of snapshots, history and log of a session."""

    def __init__(self, **fields: Any) -> None:
        self._lock = threading.Lock()
        self._snapshot = Snapshot(**fields)
        self._fields: dict[str, Any] = {}
        """What is newer than in the snapshot: the trainer tells more often than anybody looks."""
        self._sequence = self._snapshot.sequence
        self._view: Callable[[], ReplayView] | None = None
        """Makes the newest view of replay, as long as nobody has looked at it."""
        self._history = MetricHistory()
        self._log: deque[LogLine] = deque(maxlen=LOG_LINES)
        self._recorder: Recorder | None = None
        self._scores: deque[tuple[float, float]] = deque()
        self._session_steps = 0.0
        self._session_seconds = 0.0

    def open(self, folder: RunFolder, past: list[dict[str, Any]]) -> None:
        """From now on metrics and events also go to the run's files; `past` are the metrics of a resumed run."""
        with self._lock:
            self._recorder = Recorder(folder, self._tell)
            self._history.extend(_numbers(metrics) for metrics in past[-HISTORY:])
            self._start_from_history()

    def _start_from_history(self) -> None:
        self._scores.clear()
        for metrics in self._history.since():
            self._count_score(metrics)
        self._replace(metrics=self._history.newest() or EMPTY)

    def snapshot(self) -> Snapshot:
        """The newest snapshot, for those who do not look at its view of replay: it may be an older one."""
        with self._lock:
            return self._newest()

    def seen(self) -> Snapshot:
        """The newest snapshot with its view of replay, which the thread makes that looks at it first."""
        with self._lock:
            newest, make = self._newest(), self._view
        if make is None:
            return newest
        view = make()
        with self._lock:
            if self._view is make:  # no newer one has come meanwhile
                self._view = None
                self._snapshot = dataclasses.replace(self._newest(), replay=view)
                return self._snapshot
        return dataclasses.replace(newest, replay=view)

    def history(self, since: int = 0, limit: int | None = None) -> list[Metrics]:
        """Metrics of the iterations after `since`, oldest first: the first `limit` of them, or all."""
        return self._history.since(since, limit)

    def update(self, **fields: Any) -> None:
        """Publishes a snapshot with other values in the given fields."""
        with self._lock:
            self._replace(**fields)

    def log(self, text: str, level: str = "info") -> None:
        """Adds a line to the log; warnings and errors are events too."""
        with self._lock:
            self._add_line(text, level)
            if level != "info":
                self._event(level, text=text)

    def event(self, kind: str, text: str, /, level: str = "info", **fields: object) -> None:
        """Adds a line to the log and a record to events.jsonl."""
        with self._lock:
            self._add_line(text, level)
            self._event(kind, **fields)

    def iteration(
        self, metrics: dict[str, float], seconds: float, view: Callable[[], ReplayView] | None = None, **fields: Any
    ) -> None:
        """Publishes an iteration that took `seconds`: completes its metrics with time and rate, stores them and
        derives the snapshot's figures. `view` makes its view of replay, `fields` are further fields of the snapshot."""
        with self._lock:
            self._view = view or self._view
            before = self._newest()
            steps = metrics["step"] - before.step
            elapsed = before.elapsed + seconds
            self._session_steps += steps
            self._session_seconds += seconds
            metrics["sps"] = steps / seconds if seconds > 0 else 0.0
            metrics["time"] = elapsed
            self._count_score(metrics)
            frozen = MappingProxyType(metrics)
            self._history.append(metrics)
            phases = tuple(
                Phase(key.removeprefix("time/"), value)
                for key, value in metrics.items()
                if key.startswith("time/") and key not in ("time/iteration",)
            )
            self._replace(
                step=int(metrics["step"]),
                iteration=int(metrics["iteration"]),
                elapsed=elapsed,
                steps_per_second=metrics["sps"],
                average_steps_per_second=self._session_steps / self._session_seconds if self._session_seconds else None,
                metrics=frozen,
                phases=phases,
                iteration_seconds=seconds,
                **fields,
            )
            self._write(lambda folder: folder.append_metrics(metrics))

    def _count_score(self, metrics: Metrics) -> None:
        if "episode/score" in metrics and "episode/count" in metrics:
            self._scores.append((metrics["episode/count"], metrics["episode/score"]))
            while sum(count for count, _ in self._scores) - self._scores[0][0] >= SCORE_EPISODES:
                self._scores.popleft()

    def rewind(self, *, step: int, iteration: int, elapsed: float, checkpoint: str) -> None:
        """The run goes back to a checkpoint: what was told of later iterations is forgotten, here and on disk."""
        with self._lock:
            self._history.drop_after(iteration)
            self._start_from_history()
            self._replace(
                step=step,
                iteration=iteration,
                resumed_iteration=iteration,
                rollbacks=self._newest().rollbacks + 1,
                elapsed=elapsed,
                checkpoint=checkpoint,
                checkpoint_step=step,
                stage="",
            )
            self._write(lambda folder: folder.truncate_metrics_after(iteration))

    def recent_score(self) -> float | None:
        """Mean score of about the last hundred episodes, None before the first has ended."""
        count = sum(count for count, _ in self._scores)
        return sum(count * score for count, score in self._scores) / count if count else None

    def write(self, write: Write) -> None:
        """Has something else written to the run's folder, behind all that was told before."""
        with self._lock:
            self._write(write)

    def aside(self, work: Callable[[], object]) -> None:
        """Has something done that a disk may hold up, where nobody waits for it; at once where there is no run yet."""
        with self._lock:
            opened = self._recorder is not None
            self._write(lambda folder: work())
        if not opened:
            work()

    def flush(self) -> bool:
        """Makes durable what was told so far. False, with a warning, where the disk takes too long for it."""
        recorder = self._recorder
        if recorder is None:
            return True
        self.write(lambda folder: folder.sync_lines())
        written = recorder.flush(FLUSH_SECONDS)
        if not written:
            self._tell(
                f"metrics and events are not on the disk after {FLUSH_SECONDS:.0f} s; training goes on", "warning"
            )
        return written

    def close(self) -> bool:
        """Writes what is left; nothing is written from now on. False where the disk takes too long for it: then the
        folder is still in use."""
        with self._lock:
            recorder, self._recorder = self._recorder, None
        if recorder is None or recorder.close(FLUSH_SECONDS):
            return True
        self._tell(f"the disk has not taken the last metrics and events within {FLUSH_SECONDS:.0f} s", "warning")
        return False

    def record_state(self, state: str, **fields: object) -> None:
        """Publishes the run's state and writes it to run.json with the last figures."""
        with self._lock:
            self._replace(state=state)
            self._save_state(state, **fields)

    def refresh_record(self) -> None:
        """Writes run.json again with the present figures."""
        with self._lock:
            self._save_state(self._newest().state)

    def _save_state(self, state: str, **fields: object) -> None:
        now = self._newest()
        figures: dict[str, object] = {
            "step": now.step,
            "total_steps": now.total_steps,
            "device": now.device,
            "iteration": now.iteration,
            "elapsed": now.elapsed,
            "sps": now.average_steps_per_second,
            "score": self.recent_score(),
        }
        self._write(lambda folder: folder.set_state(state, **figures, **fields))

    def _replace(self, **fields: Any) -> None:
        self._sequence += 1
        self._fields |= fields

    def _newest(self) -> Snapshot:
        if self._fields:
            self._snapshot = dataclasses.replace(self._snapshot, sequence=self._sequence, **self._fields)
            self._fields = {}
        return self._snapshot

    def _add_line(self, text: str, level: str) -> None:
        self._log.append(LogLine(time.time(), level, text))  # type: ignore[arg-type]
        self._replace(log=tuple(self._log))

    def _event(self, kind: str, **fields: object) -> None:
        stamped = {"step": self._newest().step, "time": time.time()} | fields
        self._write(lambda folder: folder.append_event(kind, **stamped))

    def _write(self, write: Write) -> None:
        trouble = self._recorder.submit(write) if self._recorder is not None else None
        if trouble is not None:
            self._add_line(trouble, "warning")

    def _tell(self, text: str, level: str) -> None:
        """Trouble with the files, which is no matter for the files."""
        with self._lock:
            self._add_line(text, level)


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    """The numeric keys of a record read back from metrics.jsonl (null stands for what was not finite)."""
    return {key: value for key, value in record.items() if isinstance(value, int | float)}
