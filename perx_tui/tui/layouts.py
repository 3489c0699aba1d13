"""How a person has arranged the panels: for each class of sizes which are hidden, which is in front, which is alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeAlias

from perx_tui.tui.arrangement import PANELS, SIZE_CLASSES, SizeClass


@dataclass
class PanelLayout:
    """The choice for one class of sizes; as it is made, the standard one."""

    hidden: set[str] = field(default_factory=set)
    tab: str | None = None
    """The panel in the place that several share; None for the one that it is anyway."""
    maximized: str | None = None


Layouts: TypeAlias = dict[SizeClass, PanelLayout]


def standard() -> Layouts:
    """Nothing chosen."""
    return {kind: PanelLayout() for kind in SIZE_CLASSES}


def to_record(layouts: Layouts) -> dict[str, Any]:
    """What is chosen, as JSON can hold it; empty for the standard layouts."""
    record: dict[str, Any] = {}
    for kind, layout in layouts.items():
        chosen = {
            "hidden": [name for name in PANELS if name in layout.hidden],
            "tab": layout.tab,
            "maximized": layout.maximized,
        }
        if any(chosen.values()):
            record[kind] = {key: value for key, value in chosen.items() if value}
    return record


def from_record(record: object) -> Layouts:
    """The layouts of such a record. ValueError that says what of it will not do."""
    if not isinstance(record, dict):
        raise ValueError("it is not a JSON object")
    layouts = standard()
    for kind, chosen in record.items():
        if kind not in SIZE_CLASSES or not isinstance(chosen, dict):
            raise ValueError(f"it must have objects called {', '.join(SIZE_CLASSES)}")
        hidden, tab, maximized = chosen.get("hidden", []), chosen.get("tab"), chosen.get("maximized")
        if not isinstance(hidden, list) or not all(name in PANELS for name in (*hidden, tab or PANELS[0])):
            raise ValueError(f"hidden and tab of {kind} must name panels ({', '.join(PANELS)})")
        if maximized is not None and maximized not in PANELS:
            raise ValueError(f"maximized of {kind} must be one of {', '.join(PANELS)}")
        if set(hidden) == set(PANELS):
            raise ValueError(f"{kind} hides every panel")
        layouts[kind] = PanelLayout(set(hidden), tab or None, maximized)
    return layouts
