"""The alarms that are raised, with what to try, and everything that is watched."""

from __future__ import annotations

import time
from collections.abc import Callable

from textual import events

from engine import Alarm, AlarmRule, Profile, alarm_rules, read_alarm
from perx_tui import format as fmt
from perx_tui.tui.lines import EMPTY, Line, Part, centered, clean, shorten, spread, wrap
from perx_tui.tui.panel import Panel

_MARKS = {"warning": ("! ", "yellow+"), "error": ("✗ ", "red+")}


def alarm_lines(alarm: Alarm, width: int, clock: Callable[[float], time.struct_time], now: float | None) -> list[Line]:
    """Title and beginning in one line, then what is wrong and what to try. `now`: seconds since the epoch."""
    mark, style = _MARKS[alarm.level]
    ago = f", {fmt.duration(now - alarm.since)} ago" if now is not None and now >= alarm.since else ""
    since = f"since {time.strftime('%H:%M:%S', clock(alarm.since))}{ago}"
    where = f"iteration {fmt.exact(alarm.iteration)}, {fmt.count(alarm.step)} steps"
    title: tuple[Part, ...] = ((mark, style), (clean(alarm.title), style))
    head = spread(title, ((f"{since} · {where}", "dim"),), width)
    if len(alarm.title) + len(since) + len(where) + 6 > width:
        head = spread(title, ((since, "dim"),), width)
    lines = [head]
    for label, text in (("", alarm.text), ("try  ", alarm.advice)):
        for number, row in enumerate(wrap(clean(text), max(8, width - 2 - len(label)))):
            lines.append((("  ", ""), (label if number == 0 else " " * len(label), "blue+"), (row, "")))
    return lines


class ActiveAlarms(Panel):
    """The worst first. Scrolls where there are more than fit."""

    title = "alarms"
    clock: Callable[[float], time.struct_time] = staticmethod(time.localtime)
    wall: Callable[[], float] = staticmethod(time.time)
    _upper = _below = 0

    def summary(self) -> list[Line]:
        """How many there are."""
        count = len(self.view.snapshot.alarms)
        if not count:
            return [(("none", "green+"),)]
        more: tuple[Part, ...] = ((f"  {self._below} lines below", "yellow"),) if self._below else ()
        return [((f"{count} raised", "red+"), *more)]

    def caption(self) -> list[Line]:
        """Where they are kept."""
        return [(("raised and cleared alarms are kept in events.jsonl", "dim"),)]

    def body(self, width: int, height: int) -> list[Line]:
        """The window on all lines."""
        snapshot = self.view.snapshot
        if not snapshot.alarms:
            return self._quiet(width, height)
        now = None if snapshot.ended else self.wall()
        lines: list[Line] = []
        for alarm in snapshot.alarms:
            lines.extend([*([EMPTY] if lines else []), *alarm_lines(alarm, width, self.clock, now)])
        self._upper = max(0, min(self._upper, len(lines) - height))
        self._below = max(0, len(lines) - height - self._upper)
        return lines[self._upper : self._upper + height]

    def _quiet(self, width: int, height: int) -> list[Line]:
        profile = self.view.profile
        if profile is not None and not profile.alarms.enabled:
            return centered("alarms are switched off: alarms.enabled = false", width, height)
        return centered("nothing is wrong", width, height)

    def scroll(self, by: int) -> None:
        """Move the window down."""
        self._upper = max(0, self._upper + by)
        self.redraw()

    def on_mouse_scroll_up(self, event: events.MouseScrollUp) -> None:
        """The wheel scrolls three lines."""
        event.stop()
        self.scroll(-3)

    def on_mouse_scroll_down(self, event: events.MouseScrollDown) -> None:
        """The wheel scrolls three lines."""
        event.stop()
        self.scroll(3)


class WatchedAlarms(Panel):
    """Every rule with its value now, its bound and the setting that says so."""

    title = "what is watched"

    def summary(self) -> list[Line]:
        """How to change it."""
        return [(("bounds are settings in ", "dim"), ("[alarms]", ""), (", 0 is off", "dim"))]

    def body(self, width: int, height: int) -> list[Line]:
        """A row a rule."""
        profile = self.view.profile
        if profile is None:
            return centered("the settings are not known yet", width, height)
        return [self._row(rule, profile, width) for rule in alarm_rules()][:height]

    def _row(self, rule: AlarmRule, profile: Profile, width: int) -> Line:
        snapshot = self.view.snapshot
        setting = getattr(profile.alarms, rule.setting)
        value = read_alarm(rule, snapshot, profile)
        mark: Part = ("· ", "dim")
        if rule.is_off(profile):
            bound: Part = ("off", "dim")
        else:
            bound = (f"{'<' if rule.low else '>'} {setting:g}{rule.unit}", "")
            mark = ("✓ ", "green") if value is not None else mark
        if any(alarm.name == rule.name for alarm in snapshot.alarms):
            mark = _MARKS[rule.level]
        waits = rule.patient and snapshot.iteration - snapshot.resumed_iteration < profile.alarms.warmup
        figure = "warming up" if waits and value is not None else fmt.number(value)
        if rule.unit == " GiB" and value is not None:
            figure += rule.unit
        key = (" " + shorten(rule.setting, max(0, width - 54)), "dim")
        return (
            mark,
            (rule.title.ljust(23), ""),
            (figure.rjust(10) + "  ", "strong"),
            (bound[0].ljust(16), bound[1]),
            key,
        )
