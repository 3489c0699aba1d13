"""Numbers as people read them: one spelling for counts, rates, times, sizes and losses in every front end.

Every function answers `UNKNOWN` ("-") for None, so that a value not known yet never looks like a zero. A number
that is not finite is spelled "nan" or "inf": a diverged loss must be seen. The results of a function have a bounded
width, given in its docstring, so that columns can be aligned to the right without jitter.
"""

from __future__ import annotations

import math

UNKNOWN = "-"

_COUNT_UNITS = ("", "k", "M", "G", "T", "P", "E")
_BYTE_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def _special(value: float | None) -> str | None:
    """The spelling of a value that has no digits, or None for an ordinary number."""
    if value is None:
        return UNKNOWN
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return None


def _three_digits(value: float) -> str:
    """`value` in [0, 1000) with three significant digits: "8.19", "41.7", "512"."""
    if value < 9.995:
        return f"{value:.2f}"
    if value < 99.95:
        return f"{value:.1f}"
    return f"{value:.0f}"


def _scaled(value: float, base: float, units: tuple[str, ...]) -> tuple[str, str]:
    """Three significant digits of |value| and the unit they stand in; rounding carries over to the next unit."""
    magnitude = abs(value)
    unit = 0
    while unit + 1 < len(units) and magnitude >= (999.5 if base == 1000 else base - 0.5):
        magnitude /= base
        unit += 1
    digits = f"{magnitude:.0f}" if unit == 0 or magnitude >= 999.5 else _three_digits(magnitude)
    return ("-" if value < 0 and float(digits) else "") + digits, units[unit]


def setting(value: object) -> str:
    """A setting's value as a profile has it: True -> "true"."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def count(value: float | None) -> str:
    """A number of things, at most 5 characters (6 below zero): 8_192_000 -> "8.19M", 999 -> "999"."""
    special = _special(value)
    if special is not None or value is None:
        return special or UNKNOWN
    digits, unit = _scaled(value, 1000, _COUNT_UNITS)
    return digits + unit


def exact(value: int | None) -> str:
    """A whole number with thousands separated: 8_192_000 -> "8,192,000"."""
    return UNKNOWN if value is None else f"{value:,}"


def rate(value: float | None, unit: str = "steps/s") -> str:
    """A speed: 41_700 -> "41.7k steps/s". Unknown is the bare "-", without a unit."""
    return UNKNOWN if value is None else f"{count(value)} {unit}"


def duration(seconds: float | None) -> str:
    """A span of time in its two largest units, at most 7 characters below 100 days: 3725 -> "1h 02m", 0 -> "0s"."""
    special = _special(seconds)
    if special is not None or seconds is None:
        return special or UNKNOWN
    whole = max(0, round(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d {whole % 86_400 // 3600:02d}h"


def milliseconds(seconds: float | None) -> str:
    """A short span in milliseconds without its unit, for columns: 0.0123 -> "12.3", 2.5 -> "2500"."""
    special = _special(seconds)
    if special is not None or seconds is None:
        return special or UNKNOWN
    value = abs(seconds) * 1000
    digits = f"{value:.0f}" if value >= 999.5 else _three_digits(value)
    return ("-" if seconds < 0 and float(digits) else "") + digits


def bytes_(value: float | None) -> str:
    """An amount of memory in binary units, at most 8 characters: 1_610_612_736 -> "1.50 GiB"."""
    special = _special(value)
    if special is not None or value is None:
        return special or UNKNOWN
    digits, unit = _scaled(value, 1024, _BYTE_UNITS)
    return f"{digits} {unit}"


def percent(share: float | None) -> str:
    """A share in [0, 1], at most 6 characters: 0.123 -> "12.3%". Only all of it is "100.0%", only none of it "0.0%"."""
    special = _special(share)
    if special is not None or share is None:
        return special or UNKNOWN
    if 0 < share < 0.0005:
        return "<0.1%"
    if 0.9995 <= share < 1:
        return "99.9%"
    return f"{share * 100:.1f}%"


def number(value: float | None) -> str:
    """A loss, a norm, a rate, at most 9 characters below 1e99: 0.01234 -> "0.0123", 1.2e-5 -> "1.20e-05"."""
    special = _special(value)
    if special is not None or value is None:
        return special or UNKNOWN
    magnitude = abs(value)
    if magnitude < 1e-99:
        return "0.0000"
    if magnitude < 0.00095 or magnitude >= 99_999.5:
        return f"{value:.2e}"
    if magnitude < 0.9995:
        return f"{value:.4f}"
    if magnitude < 9.9995:
        return f"{value:.3f}"
    if magnitude < 99.995:
        return f"{value:.2f}"
    if magnitude < 999.95:
        return f"{value:.1f}"
    return f"{value:.0f}"


def score(value: float | None) -> str:
    """An episode's score or return, at most 7 characters: 123.456 -> "123.5", 0.953 -> "0.953", 12_345 -> "12.3k"."""
    special = _special(value)
    if special is not None or value is None:
        return special or UNKNOWN
    magnitude = abs(value)
    if magnitude < 0.9995:
        return f"{value:.3f}"
    if magnitude < 9.995:
        return f"{value:.2f}"
    if magnitude < 9_999.5:
        return f"{value:.1f}"
    return count(value)
