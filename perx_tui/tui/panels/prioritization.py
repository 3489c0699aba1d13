"""How prioritized replay works over time: shares as lines, clipping by age, and the settings in force."""

from __future__ import annotations

from perx_tui import format as fmt
from perx_tui.tui import chart, marks, plotting
from perx_tui.tui.chart import Window, percent_tick
from perx_tui.tui.lines import Line, beside, centered, pair
from perx_tui.tui.panel import Panel
from perx_tui.tui.plotting import Axis, Stroke

_LINES = (
    ("entropy", "replay/entropy", "blue"),
    ("effective", "replay/ess", "green"),
    ("never used", "replay/unused", "orange"),
    ("older", "replay/old_share", "purple"),
)
"""Name, metric and hue; the last one exists only where older segments are kept."""


class Shares(Panel):
    """Effective sample size, entropy of the draw, what was never used and what is not fresh, over steps."""

    title = "over time"
    _key: tuple[int, int, int] | None = None
    _drawn = -chart.PERIOD
    _lines: list[Line]

    def caption(self) -> list[Line]:
        """The legend, with the newest values."""
        parts: list[Line] = []
        for name, key, hue in _LINES:
            value = self.view.metric(key)
            if value is not None:
                parts.append((("━ ", hue), (f"{name} ", "dim"), (fmt.percent(value).rjust(5), "strong")))
        wide = tuple(part for line in parts for part in ((("  ", ""), *line) if line is not parts[0] else line))
        narrow = tuple(part for line in parts for part in (line[0], line[1]))
        return [wide, narrow] if parts else []

    def body(self, width: int, height: int) -> list[Line]:
        """The chart, or why there is none yet."""
        history = self.view.history
        if not any(history.series(key) for _, key, _ in _LINES):
            return centered("no segment has been drawn yet", width, height)
        key = (history.version, width, height)
        if key != self._key and (
            self._key is None or self._key[1:] != key[1:] or chart.due(self._drawn, self.view.now)
        ):
            self._key, self._drawn = key, self.view.now
            self._lines = self._plot(width, height)
        return self._lines

    def _plot(self, width: int, height: int) -> list[Line]:
        """All shares on one scale from nothing to all."""
        found = [(series, hue) for _, key, hue in _LINES if (series := self.view.history.series(key)) and series.xs]
        rows = height - 2
        if not found or rows < plotting.SMALLEST[1] or width < plotting.SMALLEST[0]:
            return []
        scale, ticks = chart.fitted(0.0, 1.0, rows)
        axis = Axis(ticks, percent_tick)
        span = width - plotting.margin_of(axis) - 1
        window = Window(0.0, chart.roomy(max(1.0, *(series.xs[-1] for series, _ in found))), span)
        strokes = [
            Stroke(hue, scale, chart.columns(series.xs, series.ys, window.start, window.end, 2 * span))
            for series, hue in found
        ]
        return plotting.plot(strokes, window, rows, axis, chart.step_tick).lines


class ClipByAge(Panel):
    """How much of what was trained on is clipped, by age: what is too old to learn from shows here."""

    title = "clipped, by age"

    def body(self, width: int, height: int) -> list[Line]:
        """A bar an age group."""
        pairs = self.view.snapshot.replay.clip_by_age
        overall = self.view.metric("loss/clip_fraction")
        if not pairs:
            if overall is None:
                return centered("nothing has been trained on yet", width, height)
            return [pair("all ages", fmt.percent(overall), width)]
        ages = [age for age, _ in pairs]
        names = [_span(age, after) for age, after in zip(ages, [*ages[1:], None], strict=True)]
        margin = max(len(name) for name in names)
        high = max((value for _, value in pairs), default=0.0)
        lines: list[Line] = []
        for name, (_, value) in zip(names, pairs, strict=True):
            bar = marks.bar(value / high if high else 0.0, width - margin - 9)
            lines.append(((name.rjust(margin) + "  ", "dim"), (bar, "yellow"), (fmt.percent(value).rjust(7), "strong")))
        if len(lines) > height:
            lines = lines[: height - 1] + lines[-1:]
        elif len(lines) < height:
            lines.append(pair("all ages", fmt.percent(overall), width))
        if len(pairs) == 1 and len(lines) + 2 <= height:
            lines.extend([(), (("older ones: set replay.factor (e)", "dim"),)])
        return lines

    def caption(self) -> list[Line]:
        """What an age is."""
        return [(("age in iterations", "dim"),)] if self.view.snapshot.replay.clip_by_age else []


def _span(age: int, after: int | None) -> str:
    """The ages of a group: "0", "2-3", "8+"; one that stands alone is fresh."""
    if after is None:
        return "fresh" if age == 0 else f"{age}+"
    return str(age) if after == age + 1 else f"{age}-{after - 1}"


class InForce(Panel):
    """Settings of the replay as they are now, and the figures of the last draw."""

    title = "in force"

    def caption(self) -> list[Line]:
        """How to change them."""
        return [(("e", "blue+"), (" changes them", "dim"))]

    def body(self, width: int, height: int) -> list[Line]:
        """Settings first; figures where there is room."""
        settings, figures = self._settings(), self._figures()
        if width >= 48:
            column = (width - 4) // 2
            left = [pair(label, value, column) for label, value in settings]
            right = [pair(label, value, width - 4 - column) for label, value in figures]
            return beside([(left, column), (right, width - 4 - column)], height, 4)
        lines = [pair(label, value, width) for label, value in settings]
        room = height - len(lines)
        if room > 1:
            lines += [pair(label, value, width) for label, value in figures][:room]
        return lines

    def _settings(self) -> list[tuple[str, str]]:
        metric, profile = self.view.metric, self.view.profile
        scheme = self.view.snapshot.replay.scheme or (profile.replay.scheme if profile else "")
        rows = [
            ("scheme", scheme or fmt.UNKNOWN),
            ("metric of priority", profile.replay.metric if profile else fmt.UNKNOWN),
            ("alpha", _fixed(metric("replay/alpha"))),
            ("beta", _fixed(metric("replay/beta"))),
        ]
        if profile is None:
            return rows
        replay = profile.replay
        rows.append(("factor", f"{replay.factor:g}" if replay.factor else "0 (fresh only)"))
        rows.append(("refill", replay.refill if replay.factor else fmt.UNKNOWN))
        rows.append(("drawn twice", "allowed" if replay.replacement else "no"))
        rows.append(("weights", "divided by max" if replay.normalize_weights else "as they are"))
        return rows

    def _figures(self) -> list[tuple[str, str]]:
        metric, replay = self.view.metric, self.view.snapshot.replay
        known = bool(replay.segments)
        rows = [
            ("segments", fmt.exact(replay.segments) if known else fmt.UNKNOWN),
            ("draws", fmt.exact(replay.draws) if known else fmt.UNKNOWN),
            ("uses mean", _fixed(metric("replay/uses_mean"))),
            ("uses max", fmt.count(metric("replay/uses_max"))),
            ("never used", fmt.percent(metric("replay/unused"))),
            ("effective size", fmt.percent(metric("replay/ess"))),
            ("weight min", _fixed(metric("replay/weight_min"))),
            ("weight max", _fixed(metric("replay/weight_max"))),
        ]
        if metric("replay/age_mean") is not None:
            rows[6:] = [
                ("kept from before", fmt.exact(replay.segments - replay.fresh)),
                ("age mean / max", f"{_fixed(metric('replay/age_mean'))} / {fmt.count(metric('replay/age_max'))}"),
            ]
        return rows


def _fixed(value: float | None) -> str:
    return fmt.UNKNOWN if value is None else f"{value:.2f}" if abs(value) < 1000 else fmt.count(value)
