"""The full-screen comparison."""

from __future__ import annotations

import asyncio
import dataclasses
import signal
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from engine import Comparison, EngineError, RunMetrics, compare_runs, group_runs, read_run
from perx_tui.compare.panels import Curves, Footer, Header, Showing, Table
from perx_tui.compare.wording import Axis
from perx_tui.output import FINISHED, INTERRUPTED, TERMINATED, say
from perx_tui.tui.driver import TerminalDriver
from perx_tui.tui.terminal import guarded
from perx_tui.tui.theme import DARK, THEMES, Palette

Groups = Mapping[str, Sequence[RunMetrics]]

FIRST_METRICS = (
    "episode/score",
    "episode/return",
    "episode/length",
    "loss/policy",
    "loss/value",
    "loss/entropy",
    "loss/approx_kl",
    "loss/explained_variance",
    "replay/ess",
    "sps",
)
"""The order in which metrics are gone through; the others follow by name."""

_ENDINGS = {signal.SIGINT: INTERRUPTED, signal.SIGTERM: TERMINATED, signal.SIGHUP: 128 + signal.SIGHUP}
_SMALLEST_CHART = 8
_EXPLANATION = 10
"""Rows of the explanation that may stand in place of the table."""


def show(paths: Sequence[Path], groups: Groups, metric: str, x: Axis, threshold: float | None) -> int:
    """Show the comparison of `groups`, read from `paths`, until the person leaves; the exit code."""
    with guarded():
        app = CompareApp(paths, groups, metric, x, threshold)
        app.driver_class = TerminalDriver
        code = app.run()
    if app.return_code:
        say("the screen failed; the same comparison as tables: --headless")
        return app.return_code
    return code if code is not None else FINISHED


class _Stack(Layout):
    """A line, the chart, the table as high as its groups need and the chart can spare, a line."""

    name = "stack"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        """Place the four, from the top."""
        assert isinstance(parent, _Board)
        inner = size.height - 2
        wanted = _EXPLANATION if parent.explaining else parent.groups + 3
        table = min(wanted, max(4, inner - _SMALLEST_CHART), max(4, inner // 2))
        heights = (1, inner - table, table, 1)
        placed = []
        top = 0
        for child, height in zip(children, heights, strict=True):
            placed.append(WidgetPlacement(Region(0, top, size.width, max(0, height)), NULL_OFFSET, NULL_SPACING, child))
            top += height
        return placed


class _Board(Widget):
    """Holds the parts of the screen."""

    DEFAULT_CSS = "_Board { width: 1fr; height: 1fr; background: $background; }"

    def __init__(self, parts: Sequence[Header | Curves | Table | Footer], groups: int) -> None:
        super().__init__()
        self.groups = groups
        self.explaining = False
        self._parts = parts
        self._stack = _Stack()

    @property
    def layout(self) -> Layout:
        """One line, chart, table, one line."""
        return self._stack

    def compose(self) -> ComposeResult:
        """The parts, from the top."""
        yield from self._parts


class CompareApp(App[int]):
    """Curves and figures of some runs; keys change what is compared over what."""

    TITLE = "perx-tui compare"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    AUTO_FOCUS = None
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("m", "metric(1)", show=False),
        Binding("M", "metric(-1)", show=False),
        Binding("x", "axis", show=False),
        Binding("d", "differences", show=False),
        Binding("i", "explain", show=False),
        Binding("r", "reload", show=False),
        Binding("down", "scroll(1)", show=False),
        Binding("up", "scroll(-1)", show=False),
        Binding("q,escape", "quit", show=False),
    ]

    def __init__(self, paths: Sequence[Path], groups: Groups, metric: str, x: Axis, threshold: float | None) -> None:
        super().__init__()
        self._paths = paths
        self._groups = groups
        self._wanted = threshold
        self._metric_of_threshold = metric
        self._known: dict[tuple[str, Axis], Comparison] = {}
        for known in THEMES:
            self.register_theme(known)
        self.theme = DARK.name
        palette = self._palette()
        self.showing = self._look(Showing(None, metric, x))
        self.parts = (
            Header(palette, id="header"),
            Curves(palette, id="curves"),
            Table(palette, id="table"),
            Footer(palette, id="footer"),
        )
        for part in self.parts[::3]:
            part.styles.height = 1
        self._board = _Board(self.parts, len(groups))
        self._tell(self.showing)

    def compose(self) -> ComposeResult:
        """One container."""
        yield self._board

    def on_mount(self) -> None:
        """Signals that end a process end the screen first."""
        self.theme_changed_signal.subscribe(self, lambda _: self._recolor())
        loop = asyncio.get_running_loop()
        for number, code in _ENDINGS.items():
            loop.add_signal_handler(number, self.exit, code)

    def action_metric(self, by: int) -> None:
        """Another of the metrics that all runs have."""
        metrics = self.metrics()
        place = metrics.index(self.showing.metric) if self.showing.metric in metrics else -max(by, 0)
        self._show(metric=metrics[(place + by) % len(metrics)])

    def action_axis(self) -> None:
        """Over steps, or over time."""
        self._show(x="time" if self.showing.x == "steps" else "steps")

    def action_differences(self) -> None:
        """Differences from the first group in front, or the groups' own figures."""
        if len(self._groups) < 2:
            self._show(notice="there is one group: nothing to subtract")
            return
        self._show(differences_first=not self.showing.differences_first)

    def action_explain(self) -> None:
        """What the metric and the columns mean, or the table again."""
        self._board.explaining = not self._board.explaining
        self._rearrange()
        self._show(explaining=self._board.explaining)

    def action_scroll(self, by: int) -> None:
        """Other groups in the table."""
        last = len(self._groups) - 1
        self._show(first_group=min(last, max(0, self.showing.first_group + by)))

    def action_reload(self) -> None:
        """Read the runs again, which may have trained on."""
        try:
            self._groups = group_runs([read_run(path) for path in self._paths])
        except EngineError as error:
            self._show(notice=str(error))
            return
        self._known.clear()
        self._board.groups = len(self._groups)
        self._rearrange()
        self._show(notice="read again")

    async def action_quit(self) -> None:
        """Leave."""
        self.exit(FINISHED)

    def action_help_quit(self) -> None:
        """Ctrl+C leaves too."""
        self.exit(INTERRUPTED)

    def metrics(self) -> list[str]:
        """The metrics that every run has, in the order in which they are gone through."""
        common = frozenset.intersection(*(run.metrics for runs in self._groups.values() for run in runs))
        first = [metric for metric in FIRST_METRICS if metric in common]
        return first + sorted(common.difference(first))

    def _show(self, *, notice: str = "", **changes: object) -> None:
        """Change what is shown. A notice stays until the next key."""
        changed = dataclasses.replace(self.showing, notice=notice, **changes)  # type: ignore[arg-type]
        self.showing = self._look(changed)
        self._tell(self.showing)
        for part in self.parts:
            part.redraw()

    def _look(self, showing: Showing) -> Showing:
        """`showing` with the comparison that it asks for."""
        key = (showing.metric, showing.x)
        if key not in self._known:
            threshold = self._wanted if showing.metric == self._metric_of_threshold else None
            try:
                self._known[key] = compare_runs(self._groups, showing.metric, showing.x, threshold)
            except EngineError as error:
                return dataclasses.replace(showing, comparison=None, problem=str(error))
        return dataclasses.replace(showing, comparison=self._known[key], problem="")

    def _rearrange(self) -> None:
        # Textual keeps a container's last arrangements by size; only a child's request makes it forget them.
        self.parts[0].refresh(layout=True)

    def _tell(self, showing: Showing) -> None:
        for part in self.parts:
            part.showing = showing

    def _palette(self) -> Palette:
        return Palette(self.get_css_variables(), self.current_theme.dark)

    def _recolor(self) -> None:
        palette = self._palette()
        for part in self.parts:
            part.recolor(palette)
