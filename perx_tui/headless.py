"""The front end without a screen: progress on standard error, one JSON object per iteration on standard output."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from perx_tui import format as spell
from perx_tui import terminal
from perx_tui.output import abandon_stdout, emit, say, visible
from perx_tui.scores import RecentScore
from perx_tui.signals import StopSignals

if TYPE_CHECKING:
    from rich.progress import Progress

    from engine import Alarm, LogLine, Snapshot

POLL = 0.2
"""Seconds between two looks at the session."""

LINE_EVERY = 10.0
"""Seconds between two progress lines where standard error is not a terminal."""


class Session(Protocol):
    """The part of `engine.TrainingSession` that this front end needs."""

    def snapshot(self) -> Snapshot: ...

    def history(self, since: int = 0) -> Sequence[Mapping[str, float]]: ...

    def join(self, timeout: float | None = None) -> bool: ...

    def stop(self, checkpoint: bool = True) -> None: ...


class View(Protocol):
    """One way to show progress."""

    def show(self, snapshot: Snapshot, score: float | None) -> None: ...

    def close(self) -> None: ...


def follow(
    session: Session, signals: StopSignals, as_json: bool = False, labels: Mapping[str, object] | None = None
) -> None:
    """Show a started session until its thread has ended; `labels` stand first in every JSON object."""
    lines = JsonLines(session, labels or {}) if as_json else None
    view = _choose_view(as_json)
    log = LogPrinter()
    score, rollbacks = RecentScore(), 0
    told = ended = False
    try:
        while not ended:
            ended = session.join(POLL)
            snapshot = session.snapshot()
            if signals.received is not None and not told:
                told = True
                view.close()
                view = NoView()
                say("stopping: the checkpoint is being written; once more to leave at once without it")
            log.show(snapshot, view)
            if snapshot.rollbacks != rollbacks:
                rollbacks, score = snapshot.rollbacks, RecentScore()
            score.feed(session.history(score.iteration))
            view.show(snapshot, score.value)
            if lines is not None:
                lines.print_new(snapshot)
    finally:
        view.close()


def _choose_view(as_json: bool) -> View:
    if not terminal.is_terminal(sys.stderr) or (as_json and terminal.is_terminal(sys.stdout)):
        return Lines()
    return Bar()


class JsonLines:
    """Prints each iteration of this session once, and again what is done again after a rollback. When the reader goes
    away, the run stops with a checkpoint."""

    def __init__(self, session: Session, labels: Mapping[str, object]) -> None:
        self._session = session
        self._labels = labels
        self._printed = self._rollbacks = 0
        self._open = True

    def print_new(self, snapshot: Snapshot) -> None:
        # Before training begins it is not known yet where a resumed run's past ends.
        if not self._open or snapshot.state == "starting":
            return
        if snapshot.rollbacks != self._rollbacks:
            self._rollbacks = snapshot.rollbacks
            self._printed = min(self._printed, snapshot.resumed_iteration)
        self._printed = max(self._printed, snapshot.resumed_iteration)
        try:
            for row in self._session.history(self._printed):
                iteration = int(row["iteration"])
                # A rollback leaves alarms behind that were raised in iterations which are done again.
                newest = snapshot.iteration
                raised = [each.name for each in snapshot.alarms if not iteration < each.iteration <= newest]
                emit({**self._labels, **row, **({"alarms": raised} if raised else {})})
                self._printed = iteration
        except (BrokenPipeError, ConnectionResetError):
            self._open = False
            abandon_stdout()
            say("nobody reads standard output any more: stopping with a checkpoint")
            self._session.stop(checkpoint=True)


class LogPrinter:
    """Passes warnings and errors of the run's log on to standard error, each once, and says when an alarm is over."""

    def __init__(self) -> None:
        self._seen: LogLine | None = None
        self._alarms: tuple[Alarm, ...] = ()

    def show(self, snapshot: Snapshot, view: View) -> None:
        fresh = list(snapshot.log)
        if self._seen in fresh:
            last = len(fresh) - 1 - fresh[::-1].index(self._seen)
            fresh = fresh[last + 1 :]
        if snapshot.log:
            self._seen = snapshot.log[-1]
        for line in fresh:
            if line.level != "info" and line.text != snapshot.error:
                self._print(f"{line.level}: {line.text}", view)
        for alarm in self._alarms:
            if alarm not in snapshot.alarms:
                self._print(f"over: {alarm.title}", view)
        self._alarms = snapshot.alarms

    @staticmethod
    def _print(text: str, view: View) -> None:
        if isinstance(view, Bar):
            view.print(text)
        else:
            say(text)


class NoView:
    """Nothing to show progress on."""

    def show(self, snapshot: Snapshot, score: float | None) -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    """A plain line now and then, for a log file: the first iteration, then one every `LINE_EVERY` seconds."""

    def __init__(self) -> None:
        self._due = 0.0
        self._named = False

    def show(self, snapshot: Snapshot, score: float | None) -> None:
        if not self._named and snapshot.folder:
            self._named = True
            say(headline(snapshot))
        now = time.monotonic()
        if now >= self._due and snapshot.steps_per_second is not None and not snapshot.ended:
            self._due = now + LINE_EVERY
            say(progress_line(snapshot, score))

    def close(self) -> None:
        pass


class Bar:
    """A rich progress bar on standard error, drawn by the main thread only."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn

        self._console = Console(stderr=True, highlight=False, markup=False)
        self._progress: Progress | None = Progress(
            TextColumn("{task.fields[state]}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}", markup=False, style="default"),
            console=self._console,
            auto_refresh=False,
            expand=True,
            transient=True,  # the summary says it all, and better
        )
        self._task = self._progress.add_task("", total=1.0, state="starting", numbers="")
        self._named = False
        self._guard(self._progress.start)

    def show(self, snapshot: Snapshot, score: float | None) -> None:
        if self._progress is None:
            return
        if not self._named and snapshot.folder:
            self._named = True
            self.print(headline(snapshot))
        self._progress.update(
            self._task,
            completed=snapshot.progress,
            state=snapshot.state if snapshot.state == "running" else visible(snapshot.stage) or snapshot.state,
            numbers=_numbers(snapshot, score),
        )
        self._guard(self._progress.refresh)

    def print(self, text: str) -> None:
        """A line above the bar."""
        if self._progress is not None:
            progress = self._progress
            self._guard(lambda: progress.print(f"perx-tui: {visible(text)}", soft_wrap=True))

    def close(self) -> None:
        if self._progress is not None:
            self._guard(self._progress.stop)
            self._progress = None

    def _guard(self, draw: Callable[[], object]) -> None:
        """Draw; when the terminal is gone, never draw again."""
        try:
            draw()
        except (OSError, ValueError):
            self._progress = None


def headline(snapshot: Snapshot) -> str:
    """What runs where, said once at the beginning."""
    return (
        f"training {snapshot.environment or snapshot.profile} on {snapshot.device or 'auto'}, "
        f"run folder {snapshot.folder}"
    )


def progress_line(snapshot: Snapshot, score: float | None) -> str:
    """One line of plain progress."""
    return (
        f"{spell.exact(snapshot.step)} of {spell.exact(snapshot.total_steps)} steps "
        f"({spell.percent(snapshot.progress)}), {spell.rate(snapshot.steps_per_second)}, score {spell.score(score)}, "
        f"{spell.duration(snapshot.seconds_left)} left"
    )


def _numbers(snapshot: Snapshot, score: float | None) -> str:
    if not snapshot.total_steps:
        return ""
    done = f"{spell.count(snapshot.step)}/{spell.count(snapshot.total_steps)}"
    if snapshot.steps_per_second is None:
        return done
    return (
        f"{done}  {spell.rate(snapshot.steps_per_second)}  "
        f"score {spell.score(score)}  {spell.duration(snapshot.seconds_left)} left"
    )
