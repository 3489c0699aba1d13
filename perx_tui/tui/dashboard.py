"""The one container of the main screen: it places header, tabs, panels and footer as `arrangement` says."""

from __future__ import annotations

from collections.abc import Iterator

from textual import events
from textual.app import ComposeResult
from textual.geometry import NULL_OFFSET, NULL_SPACING, Region, Size
from textual.layout import ArrangeResult, Layout, WidgetPlacement
from textual.widget import Widget

from perx_tui.tui.arrangement import PANELS, Arrangement, SizeClass, arrange, size_class
from perx_tui.tui.layouts import PanelLayout, standard
from perx_tui.tui.panel import Lines, Panel
from perx_tui.tui.panels.curve import Curve
from perx_tui.tui.panels.episode import Episode
from perx_tui.tui.panels.failure import Failure
from perx_tui.tui.panels.footer import Footer
from perx_tui.tui.panels.header import Header
from perx_tui.tui.panels.log import Log
from perx_tui.tui.panels.losses import Losses
from perx_tui.tui.panels.memory import MemoryPanel
from perx_tui.tui.panels.notice import Notice
from perx_tui.tui.panels.phases import Phases
from perx_tui.tui.panels.replay import Replay
from perx_tui.tui.panels.tabs import Tabs
from perx_tui.tui.panels.throughput import Throughput
from perx_tui.tui.theme import Palette
from perx_tui.tui.view import View


class _Places(Layout):
    """Textual's side of an arrangement."""

    name = "places"

    def arrange(self, parent: Widget, children: list[Widget], size: Size, greedy: bool = True) -> ArrangeResult:
        """Place every child that the arrangement names."""
        assert isinstance(parent, Dashboard)
        places = parent.arrangement_for(size).places
        return [
            WidgetPlacement(Region(*places[child.id]), NULL_OFFSET, NULL_SPACING, child)
            for child in children
            if child.id in places
        ]


class Dashboard(Widget):
    """Owns the panels and which of them are seen."""

    DEFAULT_CSS = "Dashboard { width: 1fr; height: 1fr; background: $background; }"

    def __init__(self, palette: Palette) -> None:
        super().__init__(id="dashboard")
        self.arrangement = Arrangement({})
        self.layouts = standard()
        self.tab = "curve"
        self.maximized: str | None = None
        self._kind: SizeClass | None = None
        self.failure = False
        self.picture_rows = 14
        self._places = _Places()
        self.header = Header(palette, id="header")
        self.footer = Footer(palette, id="footer")
        self.tabs = Tabs(palette, id="tabs")
        self.episode = Episode(palette, id="episode")
        self.panels: dict[str, Panel] = {
            "throughput": Throughput(palette, id="throughput"),
            "episode": self.episode,
            "curve": Curve(palette, id="curve"),
            "losses": Losses(palette, id="losses"),
            "phases": Phases(palette, id="phases"),
            "replay": Replay(palette, id="replay"),
            "memory": MemoryPanel(palette, id="memory"),
            "log": Log(palette, id="log"),
        }
        self.others: tuple[Lines, ...] = (
            self.header,
            self.tabs,
            self.footer,
            Failure(palette, id="failure"),
            Notice(palette, id="notice"),
        )
        for widget in self.lines():
            widget.display = False

    @property
    def layout(self) -> Layout:
        """Our own layout instead of one by name."""
        return self._places

    def compose(self) -> ComposeResult:
        """Header first, panels in the order of their numbers, so that Tab goes through them in that order."""
        yield self.header
        yield self.tabs
        yield from (self.panels[name] for name in PANELS)
        yield from self.others[2:]

    def lines(self) -> Iterator[Lines]:
        """Everything that is drawn."""
        yield from self.others
        yield from self.panels.values()

    def on_resize(self, event: events.Resize) -> None:
        """Another size, another arrangement."""
        self.rearrange(event.size)

    def arrangement_for(self, size: Size) -> Arrangement:
        """Where everything belongs at a size."""
        kind = size_class(*size)
        if size and kind != self._kind:
            self._adopt(kind)
        return arrange(
            size.width,
            size.height,
            tab=self.tab,
            maximized=self.maximized,
            failure=self.failure,
            picture_rows=self.picture_rows,
            hidden=self.layouts[kind].hidden,
        )

    def _adopt(self, kind: SizeClass) -> None:
        """Another class of sizes: what is in front is what was chosen for it, or stays. What fills the screen stays in
        any case once there is something to see: nobody loses it by dragging a window."""
        if self._kind is None:
            self.maximized = self.layouts[kind].maximized
        self._kind = kind
        self.tab = self.layouts[kind].tab or self.tab

    def rearrange(self, size: Size | None = None) -> None:
        """Work out who is seen where; widgets that are not placed are hidden and cost nothing."""
        self.arrangement = self.arrangement_for(size or self.size)
        places = self.arrangement.places
        self.tabs.tabs = self.arrangement.tabs
        self.tabs.chosen = next((name for name in self.arrangement.tabs if name in places), "")
        self.footer.maximized = self.maximized is not None
        for widget in self.lines():
            widget.display = widget.id in places
        # Textual keeps a container's last arrangements by size; only a child's request makes it forget them.
        self.header.refresh(layout=True)

    def show(self, view: View) -> None:
        """Hand a view to everything that is drawn."""
        for widget in self.lines():
            widget.show(view)

    def make_room(self, picture_rows: int) -> None:
        """Tell how high the game's picture is."""
        if picture_rows != self.picture_rows:
            self.picture_rows = picture_rows
            self.rearrange()

    def go_to(self, name: str) -> None:
        """Bring a panel into sight, out of hiding too, and give it the focus."""
        if name not in self.arrangement.places:
            if self.maximized is not None:
                self.maximized = self._chosen_layout.maximized = name
            self._chosen_layout.hidden.discard(name)
            self.tab = name
            self.failure = False
            self.rearrange()
            if name in self.arrangement.tabs:
                self._chosen_layout.tab = name
        self.panels[name].focus(scroll_visible=False)

    def maximize(self, name: str | None) -> None:
        """Give one panel the whole body, or with None everyone their place."""
        self.maximized = self._chosen_layout.maximized = name
        self.rearrange()

    def hide(self, name: str) -> bool:
        """Take a panel from the arrangements of this class of sizes; False for the last one, which stays."""
        if self._chosen_layout.hidden | {name} == set(PANELS):
            return False
        self._chosen_layout.hidden.add(name)
        self.maximize(None)
        return True

    def reset(self) -> None:
        """The standard layout for this class of sizes."""
        self.layouts[self._kind or "small"] = PanelLayout()
        self.tab = "curve"
        self.maximize(None)

    @property
    def _chosen_layout(self) -> PanelLayout:
        """What is chosen for the present class of sizes."""
        return self.layouts[self._kind or "small"]
