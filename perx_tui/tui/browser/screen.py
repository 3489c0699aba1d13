"""The screen of the runs: the list, the chosen run from near, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.binding import BindingType
from textual.timer import Timer

from engine import EngineError, RunFolder, RunInfo
from perx_tui import format as fmt
from perx_tui.tui.arrangement import Rect
from perx_tui.tui.browser.board import Board
from perx_tui.tui.browser.columns import COLUMNS
from perx_tui.tui.browser.panels import Heading, RunDetails, RunTable
from perx_tui.tui.browser.watch import Deletion, Watch
from perx_tui.tui.keys import BROWSER_KEYS, FILTER_KEYS, RUNS_KEYS, bindings
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.screens.question import CANCEL, Option, QuestionScreen
from perx_tui.tui.theme import Palette

_LOOKS = 0.2
"""Seconds between two looks at what the thread has found."""
_BESIDE, _SIDE = 170, 62
"""From so many columns on the chosen run stands beside the list, so many wide."""
_NAMES = 8

Visit = Callable[[Sequence[str]], str]
"""Runs another command with these options in place of the screen; answers with why it failed, if it did."""


class RunsScreen(FullScreen):
    """Looks at a folder of runs while it is open. `perx-tui runs` shows it alone, the training app among others."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(RUNS_KEYS))

    def __init__(
        self,
        palette: Palette,
        watch: Watch,
        tell: Callable[[str], None],
        visit: Visit,
        resume: Callable[[Sequence[str]], None] | None = None,
    ) -> None:
        """`tell` answers in the first line, `visit` runs another command meanwhile. `resume` leaves with options that
        train a run on; without it the screen belongs to a run that trains, and there is no such key."""
        self._watch, self._tell, self._visit, self._resume = watch, tell, visit, resume
        self._timer: Timer | None = None
        self.board = Board(watch.listing)
        self.list = RunTable(palette, self.board, id="runs")
        self.details = RunDetails(palette, self.board, id="details")
        self._own_keys = BROWSER_KEYS if resume is not None else RUNS_KEYS
        self.heading = Heading(palette, self.board, id="header")
        header = self.heading if resume is not None else None
        super().__init__(palette, self._own_keys, [self.list, self.details], header)

    def on_mount(self) -> None:
        """See from time to time what the thread has found."""
        self._timer = self.set_interval(_LOOKS, self.look)

    def on_screen_resume(self) -> None:
        """Look at the folder from now on."""
        self._watch.start()
        if self._timer is not None:
            self._timer.resume()

    def on_screen_suspend(self) -> None:
        """Nobody looks."""
        self._watch.stop()
        if self._timer is not None:
            self._timer.pause()

    def on_unmount(self) -> None:
        """The same where the whole app goes."""
        self._watch.stop()

    def places(self, body: Rect) -> Mapping[str, Rect]:
        """The chosen run below the list, or beside it where there is room."""
        if body.width >= _BESIDE:
            left = body.width - _SIDE
            return {
                "runs": Rect(body.x, body.y, left, body.height),
                "details": Rect(body.x + left, body.y, _SIDE, body.height),
            }
        lower = max(9, min(16, body.height // 3)) if body.height >= 18 else 0
        upper = Rect(body.x, body.y, body.width, body.height - lower)
        below = {"details": Rect(body.x, body.y + upper.height, body.width, lower)} if lower else {}
        return {"runs": upper, **below}

    def look(self) -> None:
        """Show what the thread has found since the last time."""
        if self._watch.listing is not self.board.listing or self._watch.details is not self.details.details:
            self._show_board()
        if not self._watch.deletions.empty():
            self._deleted(self._watch.deletions.get())

    @on(RunTable.Chosen)
    def _show_board(self) -> None:
        self.board.take(self._watch.listing)
        chosen = self.board.chosen
        self._watch.want(chosen.path if chosen is not None else None)
        self.details.details = self._watch.details
        for panel in (self.header, *self.panels):
            if panel.display:
                panel.redraw()

    # ---- the list ----

    def action_move(self, by: int) -> None:
        """Choose another run."""
        self.board.move(by)
        self._show_board()

    def action_page(self, by: int) -> None:
        """Move by what is seen at once."""
        self.action_move(by * self.list.page)

    def action_sort(self, by: int) -> None:
        """Sort by the column beside the present one."""
        self.board.sort((self.board.column + by) % len(COLUMNS))
        self._show_board()

    def action_reverse(self) -> None:
        """Turn the order round."""
        self.board.reverse()
        self._show_board()

    def action_mark(self) -> None:
        """Mark the chosen run, or take its mark away."""
        self.board.mark()
        self._show_board()

    def action_filter(self) -> None:
        """Type words that runs must have."""
        self._mode(typing=True)

    def action_keep(self) -> None:
        """Back to the list, with the filter."""
        self._mode(typing=False)

    def action_erase(self) -> None:
        """The last letter of the filter goes."""
        self.board.narrow(self.board.typed[:-1])
        self._show_board()

    def on_key(self, event: events.Key) -> None:
        """While a filter is typed letters are text, never commands.

        Keys that begin and end the typing are taken here, too: as bindings they would be acted on behind letters that
        a slow line brings together with them.
        """
        if not self.board.typing:
            if event.key != "slash":
                return
            self.action_filter()
        elif event.key in ("enter", "escape", "backspace"):
            {"enter": self.action_keep, "escape": self.action_back, "backspace": self.action_erase}[event.key]()
        elif event.character is not None and event.is_printable:
            self.board.narrow(self.board.typed + event.character)
            self._show_board()
        else:
            return
        event.stop()
        event.prevent_default()

    def action_back(self) -> None:
        """Drop the filter, then the marks; then back to the training, where there is one."""
        if self.board.typing or self.board.typed:
            self.board.narrow("")
            self._mode(typing=False)
        elif self.board.marked:
            self.board.marked.clear()
            self._show_board()
        elif self._resume is None:
            self.dismiss()

    def action_close(self) -> None:
        """Straight back."""
        self.dismiss()

    def _mode(self, *, typing: bool) -> None:
        self.board.typing = typing
        self.table = self.footer.table = FILTER_KEYS if typing else self._own_keys
        self.footer.redraw()
        self._show_board()

    # ---- the chosen run ----

    @on(RunTable.Opened)
    def action_open(self) -> None:
        """A live run: attach. Another one: ask what to do with it."""
        run = self._chosen()
        if run is None:
            return
        if run.live:
            self.action_attach()
        elif run.state == "unreadable":
            self._tell(f"the run.json of {run.name} is damaged; its checkpoints may play (p), d deletes it")
        else:
            about = [f"{run.name} is {run.state} at {_steps(run)}."]
            self._ask(f"open a run that is {run.state}", about, self._ways(), self._opened)

    def _ways(self) -> tuple[Option, ...]:
        count = len(self.board.marked)
        compare = f"Curves of the {count} marked runs." if count else "Its curves and figures; mark several with space."
        resume = Option("r", "resume", "Resume", "Train it on from its newest checkpoint.")
        return (
            Option("p", "play", "Play", "Watch its newest checkpoint play."),
            *((resume,) if self._resume is not None else ()),
            Option("c", "compare", "Compare", compare),
            replace(CANCEL, key="x"),
        )

    def _opened(self, answer: str | None) -> None:
        ways = {"play": self.action_play, "resume": self.action_resume, "compare": self.action_compare}
        if answer in ways:
            ways[answer]()

    def action_attach(self) -> None:
        """The TUI on a live run."""
        run = self._chosen()
        if run is None:
            return
        if run.path.resolve() == self._trained_here:
            self._tell(f"{run.name} is the run that you look at; esc goes back to it")
        elif not run.live:
            self._tell(f"{run.name} is {run.state}, nobody trains it; enter asks what to do with it")
        else:
            self._go("attach", [run])

    def action_play(self) -> None:
        """Watch a checkpoint."""
        run = self._chosen()
        if run is not None:
            self._go("play", [run])

    def action_compare(self) -> None:
        """The marked runs beside one another, or the chosen one alone."""
        if self.board.meant:
            self._go("compare", self.board.meant)

    def action_resume(self) -> None:
        """Train the chosen run on, which leaves the list."""
        run = self._chosen()
        if run is None or self._resume is None:
            return
        if run.live:
            self._tell(f"{run.name} is training; a attaches to it")
            return
        options, how = ["--resume", str(run.path.absolute()), "--runs", str(self._watch.root)], "to its end"
        if run.step is not None and run.total_steps and run.step >= run.total_steps:
            options += ["--steps", str(2 * run.step)]
            how = f"to {fmt.count(2 * run.step)} steps, twice as many as it has"
        choices = (Option("r", "resume", "Train on", f"From its newest checkpoint {how}. The list is left."), CANCEL)
        leave = self._resume
        about = [f"{run.name} is {run.state} at {_steps(run)}."]
        self._ask("train on?", about, choices, lambda answer: leave(options) if answer == "resume" else None)

    @property
    def _trained_here(self) -> Path | None:
        """The folder of the run that this app shows; None where it shows no run."""
        folder = self.view.snapshot.folder
        return Path(folder).resolve() if folder else None

    def _chosen(self) -> RunInfo | None:
        """The run under the cursor; tells where there is none."""
        if self.board.chosen is None:
            self._tell("there is no run here")
        return self.board.chosen

    def _go(self, command: str, runs: Sequence[RunInfo]) -> None:
        """Run another command on runs that are still there."""
        try:
            for run in runs:
                RunFolder.read(run.path)
        except EngineError as error:
            self._tell(str(error))
            return
        paths = [str(run.path.absolute()) for run in runs]
        said = self._visit([command, *paths, "--runs", str(self._watch.root)])
        if said:
            self._tell(said)

    # ---- deleting ----

    def action_delete(self) -> None:
        """Ask, then delete the marked runs or the chosen one."""
        if self.board.typing:
            return
        runs = self.board.meant
        live = [run for run in runs if run.live]
        if live:
            more = ", or take its mark away (space)" if self.board.marked else ""
            self._tell(f"{live[0].name} is training; stop it first{more}")
            return
        if not runs:
            self._tell("there is no run here")
            return
        sizes = [run.bytes for run in runs if run.bytes is not None]
        total = fmt.bytes_(sum(sizes) if len(sizes) == len(runs) else None)
        about = _some([f"{run.name} ({run.state}, {_steps(run)}, {fmt.bytes_(run.bytes)})" for run in runs])
        what = "this run" if len(runs) == 1 else f"these {len(runs)} runs"
        options = (
            Option("y", "delete", f"Delete {what}", f"Checkpoints, metrics, everything: {total}. It cannot be undone."),
            CANCEL,
        )
        self._ask(f"delete {what} for good?", about, options, lambda answer: self._delete(runs, answer), marked=1)

    def _delete(self, runs: Sequence[RunInfo], answer: str | None) -> None:
        if answer == "delete":
            self._tell(f"deleting {runs[0].name if len(runs) == 1 else f'{len(runs)} runs'}…")
            self._watch.delete(runs)

    def _deleted(self, done: Deletion) -> None:
        """Say what is gone, and what is not and why."""
        self._tell(f"deleted {done.deleted} run{'s' * (done.deleted != 1)}, {fmt.bytes_(done.freed)}")
        if done.problems:
            about = _some(done.problems)
            close = Option("c", "cancel", "Close", "Runs that are still listed are as they were. (esc)")
            self._ask("not everything could be deleted", about, (close,), lambda _: None)

    def _ask(
        self,
        question: str,
        about: Sequence[str],
        options: tuple[Option, ...],
        answered: Callable[[str | None], None],
        marked: int = 0,
    ) -> None:
        palette = self.list.palette
        self.app.push_screen(QuestionScreen(palette, question, options, about, marked), answered)


def _some(lines: Sequence[str]) -> list[str]:
    """The first of them, and how many more there are."""
    more = [f"and {len(lines) - _NAMES} more"] if len(lines) > _NAMES else []
    return [*lines[:_NAMES], *more]


def _steps(run: RunInfo) -> str:
    return f"{fmt.count(run.step)} of {fmt.count(run.total_steps)} steps"


class BrowserScreen(RunsScreen):
    """The screen on its own: `perx-tui runs`."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(BROWSER_KEYS))
