"""The list of runs without a screen: order, filter, cursor and marks; a run described; the thread that looks."""

from __future__ import annotations

import itertools
import json
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from run_fakes import LEARNED, MANY, NOW, info

from engine.run_listing import run_info
from perx_tui.tui.browser.board import Board, Listing
from perx_tui.tui.browser.columns import COLUMNS, LEAST_NAME, RUN_STATES, ago, fitting, ordered, state_text
from perx_tui.tui.browser.describing import describe
from perx_tui.tui.browser.details import Details, event_text, read_details
from perx_tui.tui.browser.watch import Watch
from perx_tui.tui.lines import cells, text_of

from ...synthetic_runs import rows, write_run

ROOT = Path("runs")


def board(*runs: object) -> Board:
    return Board(Listing(ROOT, tuple(runs) or MANY, 1 << 30, NOW))  # type: ignore[arg-type]


def names(board: Board) -> list[str]:
    return [run.name for run in board.rows]


# ---- order and filter ----


@pytest.mark.parametrize("column", range(len(COLUMNS)))
@pytest.mark.parametrize("reverse", [False, True])
def test_every_column_sorts_by_what_it_shows_and_unknown_values_come_last(column: int, reverse: bool) -> None:
    found = ordered(MANY, column, reverse=reverse)
    assert sorted(run.name for run in found) == sorted(run.name for run in MANY)
    values = [COLUMNS[column].sort(run) for run in found]
    known = [value for value in values if value is not None]
    assert values[len(known) :] == [None] * (len(values) - len(known))
    assert known == sorted(known, reverse=COLUMNS[column].upward == reverse)


def test_the_order_of_each_heading_is_the_one_that_is_asked_for_first() -> None:
    first = {column.heading: ordered(MANY, index, reverse=False)[0].name for index, column in enumerate(COLUMNS)}
    assert first["started"] == "night", "the newest"
    assert first["score"] == "plain-s2", "the highest"
    assert first["on disk"] == "plain-s1", "the largest"
    assert first["state"] in ("night", "waits"), "what lives"
    assert first["run"].startswith("\\x1b"), "the alphabet"


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("plain", ["plain-s1", "plain-s2"]),
        ("PLAIN 2", ["plain-s2"]),
        ("lost", ["killed"]),
        ("maze stopped", ["maze-of-all-the-levels-there-are"]),
        ("seed=7", ["night"]),
        ("no such run", []),
    ],
)
def test_the_filter_takes_words_in_any_order_from_all_that_is_told(typed: str, found: list[str]) -> None:
    shown = board()
    shown.narrow(typed)
    assert sorted(names(shown)) == sorted(found)


# ---- cursor and marks ----


def test_the_cursor_stays_with_its_run_through_new_listings_and_orders() -> None:
    shown = board()
    shown.go_to(3)
    run = shown.chosen
    assert run is not None
    shown.take(Listing(ROOT, (info("newer", started=NOW), *MANY), None, NOW))
    assert shown.chosen == run
    assert shown.cursor == 4
    shown.take(Listing(ROOT, tuple(each for each in MANY if each != run), None, NOW))
    assert shown.cursor == 4
    assert shown.chosen not in (None, run), "where the run has gone, the one in its place is chosen"
    shown.take(Listing(ROOT, (), None, NOW))
    assert (shown.chosen, shown.cursor) == (None, 0)


def test_marks_are_those_of_runs_and_go_with_them() -> None:
    shown = board()
    assert [run.name for run in shown.meant] == ["night"]
    shown.mark()
    shown.move(1)
    shown.mark()
    assert [run.name for run in shown.meant] == ["night", "plain-s1"]
    shown.narrow("killed")
    assert [run.name for run in shown.meant] == ["night", "plain-s1"], "a mark out of sight still counts"
    shown.take(Listing(ROOT, tuple(run for run in MANY if run.name != "night"), None, NOW))
    assert [run.name for run in shown.meant] == ["plain-s1"]
    shown.narrow("")
    shown.go_to(names(shown).index("plain-s1"))
    shown.mark()
    assert not shown.marked


@given(st.lists(st.sampled_from(["down", "up", "mark", "sort", "reverse", "narrow", "vanish", "come"]), max_size=30))
def test_whatever_is_pressed_the_cursor_is_on_a_run_that_is_shown(deeds: list[str]) -> None:
    shown, number = board(), itertools.count()
    for deed in deeds:
        runs = shown.listing.runs
        match deed:
            case "down" | "up":
                shown.move(3 if deed == "down" else -3)
            case "mark":
                shown.mark()
            case "sort":
                shown.sort(shown.column + 1)
            case "reverse":
                shown.reverse()
            case "narrow":
                shown.narrow("" if shown.typed else "a")
            case "vanish":
                shown.take(Listing(ROOT, runs[1:], None, NOW))
            case "come":
                shown.take(Listing(ROOT, (*runs, info(f"new-{next(number)}")), None, NOW))
        listed = {run.path for run in shown.listing.runs}
        assert (shown.chosen is None) == (not shown.rows)
        assert shown.chosen is None or shown.rows[shown.cursor] == shown.chosen
        assert shown.marked <= listed
        assert {run.path for run in shown.meant} <= listed


def test_the_sum_of_sizes_is_told_once_all_are_known() -> None:
    assert Listing(ROOT, (info("a", bytes=3), info("b", bytes=4))).used == 7
    assert Listing(ROOT, (info("a", bytes=3), info("b", bytes=None))).used is None
    assert Listing(ROOT, MANY).live == 2


# ---- what is shown ----


@given(st.integers(24, 300), st.integers(0, len(COLUMNS) - 1))
def test_columns_fill_any_width_and_the_one_of_the_order_is_always_there(width: int, chosen: int) -> None:
    shown = fitting(width, chosen)
    assert COLUMNS[chosen] in [column for column, _ in shown]
    used = sum(size for _, size in shown) + 2 * (len(shown) - 1)
    assert used == width or (used > width and dict(shown)[COLUMNS[1]] == LEAST_NAME)


def test_a_wide_terminal_shows_every_column() -> None:
    assert [column for column, _ in fitting(116, 0)] == list(COLUMNS)


def test_states_are_told_apart_without_colour() -> None:
    """By the word, and by a symbol that no other state with another meaning for the reader has."""
    texts = [text for text, _ in RUN_STATES.values()]
    assert len(set(texts)) == len(texts)
    assert {state_text(run)[0].split()[-1] for run in MANY} >= {"running", "finished", "failed", "lost", "unreadable"}
    assert state_text(info("x", "from a newer version"))[0].startswith("? from")


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(None, "-"), (-5, "now"), (0, "now"), (59, "59s ago"), (61, "1m ago"), (3725, "1h ago"), (200_000, "2d ago")],
)
def test_ages_in_their_largest_unit(seconds: float | None, text: str) -> None:
    assert ago(seconds) == text


@pytest.mark.parametrize("size", [(24, 3), (40, 7), (76, 7), (116, 10), (58, 54), (58, 24)])
@pytest.mark.parametrize("run", MANY)
def test_a_description_never_takes_more_room_than_there_is(run: object, size: tuple[int, int]) -> None:
    width, height = size
    failed = replace(LEARNED, error="the gradient of encoder.weight is inf " * 10)
    for details in (None, LEARNED, failed, Details(Path("x"))):
        lines = describe(run, details, NOW, width, height)  # type: ignore[arg-type]
        assert len(lines) <= height
        assert all(cells(line) <= width for line in lines)


@settings(max_examples=150, deadline=None)
@given(
    record=st.dictionaries(
        st.sampled_from(("state", "created", "seed", "total_steps", "step", "profile", "host", "error", "pid")),
        st.none() | st.integers() | st.floats(allow_nan=False) | st.just(10**400) | st.text(max_size=9),
    )
)
def test_whatever_a_run_json_holds_it_can_be_shown_sorted_and_described(
    record: dict[str, object], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any-run"
    path.mkdir(exist_ok=True)
    (path / "run.json").write_text(json.dumps(record))
    shown = board(run_info(path), *MANY)
    details = read_details(path)
    for column in range(len(COLUMNS)):
        shown.sort(column)
        assert len(shown.rows) == len(MANY) + 1
    for run in shown.rows:
        assert all(column.spell(run, NOW) for column in COLUMNS)
        assert all(cells(line) <= 76 for line in describe(run, details, NOW, 76, 12))


def test_a_description_has_facts_curve_events_and_the_error() -> None:
    run = replace(MANY[1], state="failed")
    text = "\n".join(text_of(describe(run, replace(LEARNED, error="the reward is nan"), NOW, 100, 14)))
    for part in ("✗ the reward is nan", "4.00M of 8.00M (50.0%)", "2, newest step-000004000000", "finished at 4.00M"):
        assert part in text
    assert any("⠀" <= character <= "⣿" for character in text), "a curve in braille"


def test_details_are_read_from_a_runs_files(tmp_path: Path) -> None:
    path = write_run(tmp_path, "run", rows([float(k) for k in range(500)]), edits=1, state="failed")
    (path / "checkpoints" / "step-000000001000").mkdir()
    record = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(record | {"error": "it broke"}))
    details = read_details(path)
    assert details.checkpoints == ("step-000000001000",)
    assert details.error == "it broke"
    assert [text for _, text in details.events] == ["edit replay.alpha: 0.8 -> 0.4"]
    assert 100 < len(details.xs) == len(details.ys) <= 240
    assert details.xs[-1] == 500_000
    assert read_details(tmp_path / "absent") == Details(tmp_path / "absent")


def test_events_of_any_content_can_be_shown() -> None:
    assert event_text({"kind": "alarm_raised", "step": 3, "text": "entropy is low"}) == "entropy is low"
    assert event_text({"kind": "checkpoint", "step": 3, "checkpoint": "step-3"}) == "checkpoint step-3"
    assert event_text({"kind": "pause", "step": 1_200_000}) == "pause at 1.20M"
    for hostile in ({}, {"kind": ["\x1b[31m"]}, {"kind": "x" * 999, "step": "\n"}, {"key": None, "old": {}}):
        assert event_text(hostile).isprintable()
        assert len(event_text(hostile)) <= 200


# ---- the thread ----


def eventually(what: object, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not what():  # type: ignore[operator]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_the_thread_lists_reads_what_is_wanted_and_ends(tmp_path: Path) -> None:
    first = write_run(tmp_path, "first", rows([1.0, 2.0]))
    watch = Watch(tmp_path)
    watch.want(first)
    watch.start()
    watch.start()
    try:
        eventually(lambda: watch.details is not None and watch.listing.used is not None)
        assert [run.name for run in watch.listing.runs] == ["first"]
        assert watch.details is not None
        assert watch.details.path == first
        assert sum(thread.name == "runs" for thread in threading.enumerate()) == 1
        second = write_run(tmp_path, "second", rows([3.0]))
        watch.want(second)
        eventually(lambda: watch.details is not None and watch.details.path == second)
        eventually(lambda: len(watch.listing.runs) == 2)
    finally:
        watch.stop()
    eventually(lambda: not any(thread.name == "runs" for thread in threading.enumerate()))


def test_details_are_read_again_only_when_the_run_has_changed(tmp_path: Path) -> None:
    read: list[Path] = []
    path = write_run(tmp_path, "run", rows([1.0]))
    watch = Watch(tmp_path, read=lambda path: read.append(path) or Details(path))  # type: ignore[func-returns-value]
    watch.want(path)
    for _ in range(2):
        watch.look()
    count = len(read)
    assert count in (1, 2), "where a slow disk let the first look end before the size was known, once more"
    watch.look()
    assert len(read) == count
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 9000}\n')
    watch.look()
    assert len(read) == count + 1
    watch.want(None)
    watch.look()
    assert len(read) == count + 1


def test_a_thousand_runs_are_sorted_filtered_and_drawn_within_a_moment() -> None:
    runs = tuple(info(f"run-{k}", score=float(k % 97), started=NOW - k) for k in range(1000))
    shown = Board(Listing(ROOT, runs, None, NOW))
    began = time.thread_time()
    for column in range(len(COLUMNS)):
        shown.sort(column)
        shown.narrow(f"run-{column}")
        assert 0 < len(shown.rows) < 1000
        shown.narrow("")
        assert len(shown.rows) == 1000
    assert (time.thread_time() - began) / len(COLUMNS) < 0.05
