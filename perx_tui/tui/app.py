"""The application: turns keys and commands into what the session and the screens shall do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from textual.app import SystemCommand
from textual.binding import BindingType
from textual.screen import Screen

from engine import Snapshot
from perx_tui.tui import taking
from perx_tui.tui.arrangement import PANELS
from perx_tui.tui.browser.screen import RunsScreen
from perx_tui.tui.browser.visiting import visit
from perx_tui.tui.browser.watch import Watch
from perx_tui.tui.keys import KEYS, TITLES, bindings
from perx_tui.tui.lines import text_of
from perx_tui.tui.panels.segment import NO_MORE
from perx_tui.tui.screens.alarms import AlarmScreen
from perx_tui.tui.screens.chart import ChartScreen
from perx_tui.tui.screens.editor import EditorScreen
from perx_tui.tui.screens.explain import ExplainScreen
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.screens.help import HelpScreen
from perx_tui.tui.screens.prioritization import PrioritizationScreen
from perx_tui.tui.screens.segment import SegmentScreen
from perx_tui.tui.screens.watch import WatchScreen, pictures_per_second
from perx_tui.tui.source import Session
from perx_tui.tui.steering import SteeringApp
from perx_tui.tui.theme import Palette

AnyScreen = TypeVar("AnyScreen", bound=Screen[None])


class PerxApp(SteeringApp):
    """Everything the person sees and does."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings())

    def __init__(
        self, session: Session, *, ascii_only: bool = False, colours: str | None = "truecolor", **options: Any
    ) -> None:
        """`ascii_only` and `colours`: the terminal shows no more. `options` are those of `LiveApp`."""
        self._ascii_only = ascii_only
        self._colours = colours
        super().__init__(session, **options)

    def _make_palette(self) -> Palette:
        return Palette(self.get_css_variables(), self.current_theme.dark, self._colours)

    def _colourless(self) -> bool:
        # Half a block has no letter like it, so that colours cannot tell what it shows.
        return self._ascii_only or super()._colourless()

    # ---- panels ----

    def action_panel(self, name: str) -> None:
        """Go to a panel, from a full screen too."""
        self._uncover(lambda screen: not isinstance(screen, FullScreen))
        self.dashboard.go_to(name)
        self._arranged()

    def action_maximize(self) -> None:
        """Maximize the focused panel, or restore; the curves have a screen of their own for that."""
        if self._full is not None:
            return  # its panels are as large as they get
        board = self.dashboard
        if board.maximized is not None:
            board.maximize(None)
            self._arranged()
            return
        focused = self.focused.id if self.focused is not None else None
        name = focused if focused in board.panels else board.tabs.chosen or "curve"
        if name == "curve":
            self.action_chart()
            return
        board.maximize(name)
        board.panels[name].focus(scroll_visible=False)
        self._arranged()

    def action_restore(self) -> None:
        """Show all panels."""
        board = self.dashboard
        if board.maximized is not None or board.failure:
            board.failure = False
            board.maximize(None)
            self._arranged()
        else:
            self.screen.set_focus(None)

    def action_hide(self) -> None:
        """Hide the focused panel; those beside it take its room."""
        board = self.dashboard
        if self._full is not None:
            return
        focused = self.focused.id if self.focused is not None else None
        name = focused if focused in board.panels else board.maximized
        if name is None:
            self._tell("choose a panel by its number first; h hides it then")
        elif board.hide(name):
            self.screen.set_focus(None)
            self._arranged()
            self._tell(f"{TITLES[name]} is hidden; {PANELS.index(name) + 1} shows it again, 0 all")
        else:
            self._tell("one panel has to stay")

    def action_reset_layout(self) -> None:
        """Every panel in its place again."""
        if self._full is None:
            self.dashboard.reset()
            self._arranged()
            self._tell("the standard layout for this size")

    def _arranged(self) -> None:
        """Draw the panels where they stand now, and remember it."""
        self.dashboard.show(self.view)
        if problem := self._layout_memory.save(self.dashboard.layouts):
            self._tell(problem)

    # ---- screens ----

    def action_prioritization(self) -> None:
        """Open the prioritization screen; close it where it is on top."""
        if not self._bring_up(PrioritizationScreen):
            self._open(self._kept(PrioritizationScreen, self._prioritization_screen))

    def action_chart(self) -> None:
        """Open the chart screen; close it where it is on top."""
        if not self._bring_up(ChartScreen):
            self._open(self._kept(ChartScreen, self._chart_screen))

    def action_segment(self) -> None:
        """Open the segment viewer; close it where it is on top."""
        if not self._bring_up(SegmentScreen):
            viewer = self._kept(SegmentScreen, self._viewer)
            self._open(viewer)
            if self._watching.view is None:
                viewer.ask("priority")

    def action_alarms(self) -> None:
        """Open the screen of the alarms; close it where it is on top."""
        if not self._bring_up(AlarmScreen):
            self._open(self._kept(AlarmScreen, lambda: AlarmScreen(self.palette)))

    def action_editor(self) -> None:
        """Open the editor; close it where it is on top."""
        if not self._bring_up(EditorScreen):
            self._open(self._kept(EditorScreen, self._editor))

    def action_explain(self) -> None:
        """Say what the figures mean: those of the screen that is open, of the focused panel, or of the one that is
        shown in front."""
        board = self.dashboard
        focused = self.focused.id if self.focused is not None else None
        subject = (
            (self._full.subject if self._full is not None else "")
            or board.maximized
            or (focused if focused in board.panels else "")
            or board.tabs.chosen
            or "throughput"
        )
        screen = self._kept(ExplainScreen, lambda: ExplainScreen(self.palette, self._show_metric))
        self._open(screen)
        screen.meanings.turn(subject)

    def _show_metric(self, key: str) -> None:
        """A metric by itself on the chart screen."""
        self._charts.only(key)
        self._remember()
        if not self._bring_up(ChartScreen):
            self.action_chart()

    def action_runs(self) -> None:
        """Open the list of the runs beside this one; close it where it is on top."""
        folder = self.session.snapshot().folder
        if self._bring_up(RunsScreen):
            return
        if folder:
            root = Path(folder).parent
            self._open(self._kept(RunsScreen, lambda: self._runs_screen(root)))
        else:
            self._tell("the run has no folder yet; try again when it trains")

    def _runs_screen(self, root: Path) -> RunsScreen:
        return RunsScreen(self.palette, Watch(root), self._tell, lambda options: visit(self, options))

    def action_watch_mode(self) -> None:
        """Open watch mode; close it where it is on top."""
        if not self._bring_up(WatchScreen):
            self._open(self._kept(WatchScreen, self._watch_screen))

    def _watch_screen(self) -> WatchScreen:
        rate = pictures_per_second(self._episode_fps)
        return WatchScreen(
            self.palette, self.session, self._painter(), self._clock, self._beat_of(rate), rate, self._attached
        )

    def _prioritization_screen(self) -> PrioritizationScreen:
        return PrioritizationScreen(self.palette, self.session.inspect, self._watch_segment)

    def _editor(self) -> EditorScreen:
        refused, refresh = lambda: self._refused(self.session.snapshot()), lambda: self._show(self.view.snapshot)
        return EditorScreen(self.palette, self.session, refused, refresh)

    def _chart_screen(self) -> ChartScreen:
        return ChartScreen(
            self.palette, remember=self._remember, tell=self._tell, save=self._save_chart, copy=self._copy
        )

    def _viewer(self) -> SegmentScreen:
        return SegmentScreen(self.palette, self.session, self._watching, self._painter(), self._clock, self._tell)

    def _watch_segment(self, index: int) -> None:
        """The viewer on a segment of the table, while the run can look it up."""
        if self.session.snapshot().ended:
            self._tell(NO_MORE)
            return
        viewer = self._kept(SegmentScreen, self._viewer)
        self._open(viewer)
        viewer.ask("index", index)

    def _kept(self, kind: type[AnyScreen], make: Callable[[], AnyScreen]) -> AnyScreen:
        """The screen of a kind. It stays mounted when it is closed: to open it again takes half the time."""
        kept = self._kept_screens.get(kind)
        if kept is None:
            kept = self._kept_screens[kind] = make()
            self.install_screen(kept, kind.__name__)
        elif kept in self.screen_stack:
            return make()
        assert isinstance(kept, kind)
        return kept

    def _open(self, screen: FullScreen) -> None:
        self.push_screen(screen, lambda _: self._show(self.view.snapshot))
        screen.show(self.view)

    def _bring_up(self, kind: type[FullScreen]) -> bool:
        """Go back to the screen of a kind, or close it where it is on top; whether there was one."""
        if isinstance(self.screen, kind):
            self.screen.action_back()
            return True
        if not any(isinstance(screen, kind) for screen in self.screen_stack):
            return False
        self._uncover(lambda screen: isinstance(screen, kind))
        return True

    def _uncover(self, found: Callable[[Screen[object]], bool]) -> None:
        """Close screens until one is found."""
        while len(self.screen_stack) > 1 and not found(self.screen):
            self.pop_screen()
        self._show(self.view.snapshot)

    def action_help(self) -> None:
        """Show the keys."""
        help_screen = self._kept(HelpScreen, lambda: HelpScreen(self.palette))
        help_screen.list(self.screen.table if isinstance(self.screen, FullScreen) else KEYS)
        self.push_screen(help_screen)

    # ---- taking along ----

    def action_picture(self) -> None:
        """A picture of the screen in the run's folder."""
        self._written(lambda snapshot: [taking.save_screen(self.export_screenshot(title="perx-tui"), snapshot)])

    def action_copy(self) -> None:
        """The focused panel as text to the clipboard; without one the summary."""
        panel = self.dashboard.panels.get(self.focused.id or "") if self.focused is not None else None
        if panel is None or len(self.screen_stack) > 1:
            self.action_copy_summary()
        else:
            rows = text_of(panel._shown)[1:-1]
            self._copy("\n".join(row[1:-1].strip() for row in rows), f"panel {panel.title}")

    def action_copy_summary(self) -> None:
        """The run with all its figures to the clipboard."""
        self._copy(taking.summary(self.view.snapshot), "the summary of the run")

    def _copy(self, text: str, what: str) -> None:
        self.copy_to_clipboard(text)
        self._tell(f"copied {what}")

    def copy_to_clipboard(self, text: str) -> None:
        """Through the terminal, which may be far away, and through tmux where that stands between."""
        self._clipboard = text
        if self._driver is not None:
            self._driver.write(taking.clipboard_sequence(text))
        taking.copy_by_tmux(text)

    def _remember(self) -> None:
        if problem := self._chart_memory.save(self._charts):
            self._tell(problem)

    def _save_chart(self) -> None:
        def save(snapshot: Snapshot) -> list[Path]:
            return taking.save_chart(taking.chart_figure(self._history, self._charts, snapshot.run), snapshot)

        if any(self._history.series(key) for key in self._charts.pinned):
            self._written(save)
        else:
            self._tell("there is no curve to save yet")

    def _written(self, write: Callable[[Snapshot], list[Path]]) -> None:
        """Write files of the run and tell where they are, or why they are not."""
        snapshot = self.view.snapshot
        if not snapshot.folder:
            self._tell("the run has no folder yet; try again when it trains")
            return
        try:
            paths = write(snapshot)
        except OSError as error:
            self._tell(f"cannot write to {snapshot.folder}: {error.strerror or error}")
            return
        more = "".join(f" and {path.suffix}" for path in paths[1:])
        self._tell(f"wrote {paths[0]}{more}")

    # ---- the command palette ----

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """The command palette: every action of the screen that is open and of the key table, then what needs more than
        an action."""
        own = screen.table if isinstance(screen, FullScreen) else ()
        for key in (*(key for key in own if (key.action or "").startswith("screen.")), *KEYS):
            if key.command and key.action is not None:
                action = key.action
                keys = key.display or key.keys.partition(",")[0]
                yield SystemCommand(key.command, f"{key.help}  ({keys})", lambda action=action: self._run_later(action))
        yield SystemCommand("Theme", "Choose the colours", self.action_change_theme)
        yield SystemCommand(
            "Screenshot", "Save the screen as SVG  (S)", lambda: self.set_timer(0.1, self.action_picture)
        )

    def _run_later(self, action: str) -> None:
        self.call_later(self.run_action, action)
