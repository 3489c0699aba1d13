"""The editor: every setting that can be changed while the run trains, checked as it is typed, applied with one key."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import ClassVar

from textual import events, on
from textual.binding import BindingType

from engine import FieldInfo, ProfileError
from perx_tui.tui.arrangement import Rect
from perx_tui.tui.editing import Edit, alternatives, parse, spell
from perx_tui.tui.keys import EDITOR_KEYS, bindings
from perx_tui.tui.panels.settings import EditsPanel, SettingDetail, SettingsList
from perx_tui.tui.screens.full import FullScreen
from perx_tui.tui.source import Session
from perx_tui.tui.theme import Palette
from perx_tui.tui.view import View

_LONGEST = 40
"""Characters of a value or a filter."""


class EditorScreen(FullScreen):
    """Letters find a setting; Enter begins to change it, then letters belong to the value and Enter applies it."""

    BINDINGS: ClassVar[list[BindingType]] = list(bindings(EDITOR_KEYS))

    def __init__(
        self, palette: Palette, session: Session, refused: Callable[[], bool], refresh: Callable[[], None]
    ) -> None:
        """`refused` answers for a run that takes no commands any more, `refresh` shows a change at once."""
        self._session, self._refused, self._refresh_view = session, refused, refresh
        self.list = SettingsList(palette, id="list")
        self.detail = SettingDetail(palette, id="detail")
        self.edits = EditsPanel(palette, id="edits")
        super().__init__(palette, EDITOR_KEYS, [self.list, self.detail, self.edits])

    def on_screen_suspend(self) -> None:
        """Who comes back finds every setting, and nothing half typed."""
        if self not in self.app.screen_stack:
            self.list.narrow("")
            self._end()

    def places(self, body: Rect) -> Mapping[str, Rect]:
        """Side by side where the terminal is wide, above one another where it is not."""
        if body.width >= 116:
            left = min(body.width - 52, 110)
            upper = min(14, body.height // 2)
            right = Rect(body.x + left, body.y, body.width - left, body.height)
            return {
                "list": Rect(body.x, body.y, left, body.height),
                "detail": Rect(right.x, right.y, right.width, upper),
                "edits": Rect(right.x, right.y + upper, right.width, right.height - upper),
            }
        low = 3 if body.height >= 20 else 0
        middle = min(9, body.height // 2)
        places = {
            "list": Rect(body.x, body.y, body.width, body.height - middle - low),
            "detail": Rect(body.x, body.y + body.height - middle - low, body.width, middle),
        }
        if low:
            places["edits"] = Rect(body.x, body.y + body.height - low, body.width, low)
        return places

    def show(self, view: View) -> None:
        """The chosen setting with the value that is in force now."""
        self.list.view = view
        self._choose()
        super().show(view)

    # ---- choosing ----

    @property
    def editing(self) -> bool:
        """A value is being typed."""
        return self.detail.text is not None

    def _choose(self) -> None:
        """The detail follows the list; while a value is typed it stays with its setting."""
        info = self.list.chosen
        if self.editing and self.detail.info is not None and self.view.profile is not None:
            info = self.view.profile.info(self.detail.info.key)
        self.detail.info = info

    def _redraw(self) -> None:
        self._choose()
        for panel in self.panels:
            panel.redraw()

    @on(SettingsList.Picked)
    def _clicked(self, message: SettingsList.Picked) -> None:
        self._end()
        self._redraw()
        if message.again:
            self.action_confirm()

    def action_move(self, by: int) -> None:
        """Another setting; while a word is chosen, another word."""
        if not self.editing:
            self.list.move(by)
        elif self.detail.info is not None and (options := alternatives(self.detail.info)) and self.detail.text:
            place = options.index(self.detail.text) if self.detail.text in options else 0
            self._type(
                options[max(0, min(place + by, len(options) - 1))]
                if abs(by) > 1
                else options[(place + by) % len(options)]
            )
        self._redraw()

    def action_page(self, by: int) -> None:
        """As many settings as are seen at once."""
        self.action_move(by * self.list.page)

    # ---- typing ----

    def on_key(self, event: events.Key) -> None:
        """Letters are text here, never commands.

        Keys that end what letters began are answered here too: a binding waits for the app's turn, and letters typed
        fast would overtake it.
        """
        ends = {"enter": self.action_confirm, "backspace": self.action_erase, "escape": self.action_back}
        if event.key in ends:
            event.stop()
            event.prevent_default()
            ends[event.key]()
            return
        if event.character is None or not event.is_printable:
            return
        event.stop()
        event.prevent_default()
        if not self.editing:
            if len(self.list.typed) < _LONGEST:
                self.list.narrow((self.list.typed + event.character).lstrip())
        elif self.detail.info is not None and alternatives(self.detail.info):
            if event.character == " ":
                self.action_move(1)
            else:
                self._by_letter(event.character)
        elif len(self.detail.kept) < _LONGEST:
            self._type(self.detail.kept + event.character)
        self._redraw()

    def on_paste(self, event: events.Paste) -> None:
        """Pasted text is typed."""
        event.stop()
        text = "".join(character for character in event.text if character.isprintable())
        if not self.editing:
            self.list.narrow((self.list.typed + text)[:_LONGEST])
        elif self.detail.info is not None and not alternatives(self.detail.info):
            self._type((self.detail.kept + text)[:_LONGEST])
        self._redraw()

    def action_erase(self) -> None:
        """The last letter goes."""
        if not self.editing:
            self.list.narrow(self.list.typed[:-1])
        elif self.detail.info is not None and not alternatives(self.detail.info):
            self._type((self.detail.text or "")[:-1])
        self._redraw()

    def _by_letter(self, letter: str) -> None:
        """The next word that begins with a letter."""
        assert self.detail.info is not None
        options = alternatives(self.detail.info)
        place = options.index(self.detail.text) if self.detail.text in options else -1
        for option in (*options[place + 1 :], *options[: place + 1]):
            if option.startswith(letter):
                self._type(option)
                return

    def _type(self, text: str) -> None:
        """A new value, checked at once."""
        self.detail.text, self.detail.fresh = text, False
        self.detail.problem = self._problem(text)

    def _problem(self, text: str) -> str:
        """Why a value will not do; empty when it will."""
        info, profile = self.detail.info, self._session.profile
        assert info is not None
        try:
            profile.with_value(info.key, parse(info, text))
        except ProfileError as error:
            return _short(str(error), info)
        except ValueError as error:
            return str(error)
        return ""

    def _end(self) -> None:
        self.detail.text, self.detail.problem = None, ""

    # ---- applying ----

    def action_confirm(self) -> None:
        """Begin to change the chosen setting; or apply what was typed."""
        info = self.detail.info
        if info is None or not info.live:
            return
        if not self.editing:
            self._type(spell(info.value))
            self.detail.fresh = True
        elif not self.detail.problem and self.detail.text is not None:
            value = parse(info, self.detail.text)
            if value == info.value or self._apply(info, value, undo=False):
                self._end()
        self._redraw()

    def action_undo(self) -> None:
        """Take the last change back."""
        last = self.view.edits.last
        profile = self.view.profile
        if last is None or profile is None:
            return
        self._end()
        self._apply(profile.info(last.key), last.old, undo=True)
        self._redraw()

    def _apply(self, info: FieldInfo, value: object, *, undo: bool) -> bool:
        """Hand a value to the session; whether it took it."""
        if self._refused():
            return False
        try:
            self._session.set(info.key, value)
        except ProfileError as error:
            self.detail.problem = _short(str(error), info)
            return False
        step = self._session.snapshot().step
        self.view.edits.add(Edit(info.key, info.value, value, step, undo))
        self._refresh_view()
        return True

    def action_back(self) -> None:
        """Leave the value as it is; then drop the filter; then close."""
        if self.editing:
            self._end()
        elif self.list.typed:
            self.list.narrow("")
        else:
            self.dismiss()
            return
        self._redraw()


def _short(message: str, info: FieldInfo) -> str:
    """An error without the key, which stands above it; the first line where there are several."""
    line = message.splitlines()[0] if message else "will not do"
    head, found, tail = line.partition(" must be ")
    if found and head.startswith(info.key):
        return "must be " + tail.partition("; write ")[0]
    return line
