"""What the app hands to its panels at every refresh."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine import Profile, Snapshot
from perx_tui.tui.chart_choice import Choice
from perx_tui.tui.editing import Edits
from perx_tui.tui.history import History
from perx_tui.tui.replay_past import ReplayPast


@dataclass(frozen=True, slots=True)
class View:
    """A moment of the run as the panels show it."""

    snapshot: Snapshot = field(default_factory=Snapshot)
    history: History = field(default_factory=History)
    pending: str = ""
    """What was asked for and is not confirmed yet: "pausing…"."""
    notice: str = ""
    """A short message about the last key, gone after a few seconds."""

    past: ReplayPast = field(default_factory=ReplayPast)
    profile: Profile | None = None
    """The settings in force, None where nobody knows them."""
    edits: Edits = field(default_factory=Edits)
    now: float = 0.0
    """Seconds by the app's clock, for what is drawn at most once a second."""
    cost: str = ""
    """What the screen itself costs, for the footer."""
    charts: Choice = field(default_factory=Choice)
    """What the charts show."""
    hint: str = ""
    """What the last line says in place of the keys: the meaning of the figure under the pointer."""
    newcomer: bool = False
    """Whether the last line says how one finds one's way, because this user has never pressed a key here."""

    def metric(self, key: str) -> float | None:
        """The newest value of a metric, None while it has none."""
        return self.snapshot.metrics.get(key)
