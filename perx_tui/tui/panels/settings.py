"""The editor's panels: the settings that a few letters find, the one that is chosen, and what was changed."""

from __future__ import annotations

from textual import events
from textual.message import Message

from engine import FieldInfo
from perx_tui import format as fmt
from perx_tui.tui.editing import alternatives, find, spell
from perx_tui.tui.lines import EMPTY, Line, Part, cells, centered, clean, shorten, wrap
from perx_tui.tui.panel import Panel

_KEY, _VALUE = 26, 12


class SettingsList(Panel):
    """Live settings first, those that are fixed while a run trains dimmed below them."""

    title = "settings"
    can_focus = True
    typed = ""
    cursor = 0
    _upper = 0

    class Picked(Message):
        """A row was clicked; `again` with a double click."""

        def __init__(self, again: bool) -> None:
            super().__init__()
            self.again = again

    def fields(self) -> list[FieldInfo]:
        """What the filter leaves."""
        return find(self.view.profile.fields(), self.typed) if self.view.profile else []

    @property
    def chosen(self) -> FieldInfo | None:
        """The setting under the cursor."""
        fields = self.fields()
        return fields[min(self.cursor, len(fields) - 1)] if fields else None

    @property
    def page(self) -> int:
        """Rows that are seen at once."""
        return max(1, self.size.height - 3)

    def move(self, by: int) -> None:
        """Move the cursor."""
        self.cursor = max(0, min(self.cursor + by, len(self.fields()) - 1))
        self.redraw()

    def narrow(self, typed: str) -> None:
        """Other letters, another list: from its likeliest."""
        self.typed, self.cursor = typed, 0
        self.redraw()

    def summary(self) -> list[Line]:
        """How many there are."""
        fields = self.fields()
        live = sum(info.live for info in fields)
        if not fields:
            return []
        count: Line = ((f"{live} live", "strong"), (f", {len(fields) - live} fixed", "dim"))
        return [count]

    def body(self, width: int, height: int) -> list[Line]:
        """The filter, then a row a setting."""
        fields = self.fields()
        find_: Line = (("find ", "dim"), (self.typed, "strong"), ("▏", "blue+"))
        if not self.typed:
            find_ = (*find_, ("type a few letters of a name", "dim"))
        if self.view.profile is None:
            return centered("the settings are not known yet", width, height)
        if not fields:
            return [find_, *centered(f"no setting is like {self.typed}", width, height - 1)]
        room = max(1, height - 1)
        self.cursor = min(self.cursor, len(fields) - 1)
        self._upper = max(0, min(self._upper, self.cursor, len(fields) - room))
        self._upper = max(self._upper, self.cursor - room + 1)
        changed = {edit.key for edit in self.view.edits.made}
        lines = [find_]
        for place, info in enumerate(fields[self._upper : self._upper + room], start=self._upper):
            lines.append(self._row(info, width, at_cursor=place == self.cursor, changed=info.key in changed))
        return lines

    def _row(self, info: FieldInfo, width: int, *, at_cursor: bool, changed: bool) -> Line:
        value = shorten(clean(spell(info.value)), _VALUE).rjust(_VALUE)
        unit = info.unit if info.live else f"{info.unit}, fixed" if info.unit else "fixed"
        room = width - _KEY - _VALUE - 3
        text = shorten(f"{unit:16}  {info.help}" if room >= 44 else unit, room)
        mark = "*" if changed else " "
        if at_cursor:
            return ((f"{mark}{info.key.ljust(_KEY)} {value} {text}".ljust(width), "blue!"),)
        key: Part = (info.key.ljust(_KEY), "" if info.live else "dim")
        return ((mark, "yellow+"), key, (" " + value + " ", "strong" if info.live else "dim"), (text, "dim"))

    def on_click(self, event: events.Click) -> None:
        """A row is chosen, a double click changes it."""
        event.stop()
        place = self._upper + event.y - 2
        if 2 <= event.y < self.size.height - 1 and place < len(self.fields()):
            self.cursor = place
            self.post_message(self.Picked(event.chain == 2))

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel moves three rows."""
        event.stop()
        self.cursor = max(0, self.cursor - 3)
        self.post_message(self.Picked(False))

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel moves three rows."""
        event.stop()
        self.cursor = min(self.cursor + 3, max(0, len(self.fields()) - 1))
        self.post_message(self.Picked(False))


class SettingDetail(Panel):
    """What a setting means, what it may be, and the new value while it is typed."""

    title = "setting"
    info: FieldInfo | None = None
    text: str | None = None
    """The new value as typed so far; None while nothing is changed."""
    fresh = False
    """`text` is the value in force, and nothing has been typed yet: a letter takes its place, backspace changes it."""
    problem = ""
    """Why the typed value will not do."""

    @property
    def kept(self) -> str:
        """What another letter is put behind."""
        return "" if self.fresh or self.text is None else self.text

    def heading(self) -> str:
        """The key."""
        return self.info.key if self.info else self.title

    def summary(self) -> list[Line]:
        """Whether it can be changed."""
        if self.info is None:
            return []
        return [(("live", "green+"),) if self.info.live else (("fixed while it trains", "yellow"),)]

    def caption(self) -> list[Line]:
        """What the keys do now."""
        if self.info is None or not self.info.live:
            return []
        if self.text is None:
            return [(("enter", "blue+"), (" changes it", "dim"))]
        if self.problem:
            return [(("esc", "blue+"), (" leaves it as it is", "dim"))]
        return [(("enter", "blue+"), (" applies it   ", "dim"), ("esc", "blue+"), (" leaves it", "dim"))]

    def body(self, width: int, height: int) -> list[Line]:
        """Value, new value and its fault; meaning; range and default."""
        info = self.info
        if info is None:
            return centered("no setting is chosen", width, height)
        unit = f" {info.unit}" if info.unit else ""
        now: Line = (("in force  ", "dim"), (clean(spell(info.value)), "strong"), (unit, "dim"))
        lines: list[Line] = [now, *self._new(info, width)]
        meaning = [((row, ""),) for row in wrap(info.help, width)]
        bounds: list[Line] = [((row, "dim"),) for row in wrap(f"allowed: {info.range}", width)] if info.range else []
        default: Line = (("default: " + (spell(info.default) if info.default is not None else fmt.UNKNOWN), "dim"),)
        rest = [*meaning, *bounds, default]
        if len(lines) + len(rest) < height:
            lines.append(EMPTY)
        return [*lines, *rest][:height]

    def _new(self, info: FieldInfo, width: int) -> list[Line]:
        if not info.live:
            how = f"to change it: q, stop with a checkpoint, then perx-tui --resume RUN --set {info.key}=..."
            return [((row, "yellow"),) for row in wrap(how, width)]
        if self.text is None:
            return []
        options = alternatives(info)
        if options:
            parts: list[Part] = [("new       ", "dim")]
            parts.extend(
                (f"[{option}]", "orange!") if option == self.text else (f" {option} ", "dim") for option in options
            )
            lines = [tuple(parts)] if sum(len(text) for text, _ in parts) <= width else []
            if not lines:
                lines = [(("new       ", "dim"), (f"[{self.text}]", "orange!"), ("  ↑ ↓ another", "dim"))]
        else:
            lines = [(("new       ", "dim"), (self.text, "orange+"), ("▏", "blue+"))]
        if self.problem:
            lines.extend(((row, "red+"),) for row in wrap("✗ " + self.problem, width))
        elif self.text == spell(info.value):
            typed = "" if options or not self.fresh else "; type another value, or backspace to change this one"
            lines.extend(((row, "dim"),) for row in wrap("= as it is" + typed, width))
        else:
            lines.append(((f"✓ {clean(spell(info.value))} → {self.text}, from the next minibatch on", "green+"),))
        return lines


class EditsPanel(Panel):
    """The changes of this session, the newest first."""

    title = "changes in this session"

    def summary(self) -> list[Line]:
        """How to take one back."""
        last = self.view.edits.last
        return [(("^u", "blue+"), (f" undoes {last.key}", "dim")), (("^u", "blue+"), (" undo", "dim"))] if last else []

    def body(self, width: int, height: int) -> list[Line]:
        """Step, key, old and new value."""
        made = self.view.edits.made
        if not made:
            return centered("none yet; they are kept in events.jsonl too", width, height)
        lines: list[Line] = []
        for edit in reversed(made[-height:]):
            step: Part = (f"step {fmt.count(edit.step).rjust(6)}  ", "dim")
            change: Part = (f"{clean(spell(edit.old))} → {clean(spell(edit.new))}", "strong")
            undone: Part = ("  undone", "yellow") if edit.undo else ("", "")
            whole: Line = (step, (edit.key + "  ", ""), change, undone)
            fits = cells(whole) <= width or height < 2
            lines.extend([whole] if fits else [(step, (edit.key, "")), ((" " * len(step[0]), ""), change, undone)])
        return lines[:height]
