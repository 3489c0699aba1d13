"""Numbers as the front ends spell them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perx_tui import format as fmt


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (7, "7"),
        (999, "999"),
        (999.6, "1.00k"),
        (1000, "1.00k"),
        (41_700, "41.7k"),
        (999_499, "999k"),
        (999_500, "1.00M"),
        (8_192_000, "8.19M"),
        (1e9, "1.00G"),
        (-1500, "-1.50k"),
        (-0.2, "0"),
        (None, "-"),
        (math.nan, "nan"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
    ],
)
def test_a_count_has_three_digits_and_a_unit(value: float | None, text: str) -> None:
    assert fmt.count(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (59.4, "59s"),
        (59.6, "1m 00s"),
        (185, "3m 05s"),
        (3599.7, "1h 00m"),
        (3725, "1h 02m"),
        (86_399.9, "1d 00h"),
        (90_000, "1d 01h"),
        (None, "-"),
        (math.inf, "inf"),
    ],
)
def test_a_duration_shows_its_two_largest_units(seconds: float | None, text: str) -> None:
    assert fmt.duration(seconds) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (1_610_612_736, "1.50 GiB"),
        (1023.7 * 1024, "1.00 MiB"),
        (None, "-"),
    ],
)
def test_memory_is_spelled_in_binary_units(value: float | None, text: str) -> None:
    assert fmt.bytes_(value) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0, "0.0%"),
        (0.00001, "<0.1%"),
        (0.123, "12.3%"),
        (0.99999, "99.9%"),
        (1, "100.0%"),
        (None, "-"),
        (math.nan, "nan"),
    ],
)
def test_a_percentage_claims_all_or_nothing_only_when_it_is_so(share: float | None, text: str) -> None:
    assert fmt.percent(share) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0.0000"),
        (0.01234, "0.0123"),
        (-0.01234, "-0.0123"),
        (0.99996, "1.000"),
        (9.9999, "10.00"),
        (123.44, "123.4"),
        (99_999.6, "1.00e+05"),
        (0.000012, "1.20e-05"),
        (None, "-"),
        (math.nan, "nan"),
    ],
)
def test_a_loss_keeps_its_leading_digits_at_every_size(value: float | None, text: str) -> None:
    assert fmt.number(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.9534, "0.953"), (6, "6.00"), (123.456, "123.5"), (12_345, "12.3k"), (None, "-")]
)
def test_a_score_is_short(value: float | None, text: str) -> None:
    assert fmt.score(value) == text


def test_an_unknown_rate_has_no_unit() -> None:
    assert fmt.rate(None) == "-"
    assert fmt.rate(41_700) == "41.7k steps/s"
    assert fmt.rate(3.0, "episodes") == "3 episodes"


def test_exact_numbers_separate_their_thousands() -> None:
    assert fmt.exact(8_192_000) == "8,192,000"
    assert fmt.exact(None) == "-"


@pytest.mark.parametrize(
    ("function", "widest", "largest"),
    [
        (fmt.count, 6, 1e20),
        (fmt.duration, 7, 99 * 86_400.0),
        (fmt.bytes_, 9, 1e20),
        (fmt.number, 9, 1e98),
        (fmt.score, 7, 1e17),
        (fmt.milliseconds, 7, 999.0),
    ],
)
def test_widths_are_bounded_so_that_columns_do_not_jitter(
    function: Callable[[float], str], widest: int, largest: float
) -> None:
    """Law: a formatted number never exceeds the width its docstring promises, whatever its value."""

    @given(st.floats(min_value=-largest, max_value=largest))
    def holds(value: float) -> None:
        assert len(function(value)) <= widest

    holds()


@given(st.floats(min_value=1, max_value=9e17))
def test_a_count_is_within_half_a_percent_of_the_value(value: float) -> None:
    """Law: reading a count back gives the value to three significant digits."""
    match = re.fullmatch(r"([\d.]+)([kMGTPE]?)", fmt.count(value))
    assert match is not None
    back = float(match[1]) * 1000.0 ** ("", "k", "M", "G", "T", "P", "E").index(match[2])
    assert back == pytest.approx(value, rel=0.0051 if match[2] else 0.5)
