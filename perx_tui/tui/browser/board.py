"""What the list of runs shows and which of them are meant: order, filter, cursor and marks, without a screen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engine import RunInfo
from perx_tui.tui.browser.columns import COLUMNS, STARTED, matches, ordered

LONGEST = 40
"""Characters of the filter."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The runs of a folder at a moment."""

    root: Path
    runs: tuple[RunInfo, ...] = ()
    free: int | None = None
    """Bytes left on the disk of the folder."""
    at: float = 0.0
    """Seconds since the epoch; 0 before the first look."""

    @property
    def used(self) -> int | None:
        """Bytes of all runs; None while not all are measured."""
        sizes = [run.bytes for run in self.runs]
        return None if None in sizes else sum(size for size in sizes if size is not None)

    @property
    def live(self) -> int:
        """How many train."""
        return sum(run.live for run in self.runs)


@dataclass
class Board:
    """A listing and how it is looked at. The cursor and the marks belong to runs and stay with them when the order
    changes; where the run under the cursor goes, the one in its place is chosen."""

    listing: Listing
    column: int = STARTED
    reversed: bool = False
    typed: str = ""
    typing: bool = False
    """Letters go into the filter."""
    marked: set[Path] = field(default_factory=set)
    _chosen: Path | None = None
    _place: int = 0
    _rows: list[RunInfo] = field(default_factory=list)
    _sorted_for: tuple[object, ...] = ()

    def take(self, listing: Listing) -> None:
        """Show another listing."""
        self.listing = listing
        self.marked &= {run.path for run in listing.runs}

    @property
    def now(self) -> float:
        """The time by which ages are told: that of the listing, so that they move with it."""
        return self.listing.at or time.time()

    @property
    def rows(self) -> Sequence[RunInfo]:
        """The runs that the filter lets through, in order."""
        key = (id(self.listing), self.column, self.reversed, self.typed)
        if key != self._sorted_for:
            self._sorted_for = key
            words = self.typed.lower().split()
            self._rows = ordered(
                [run for run in self.listing.runs if matches(run, words)], self.column, reverse=self.reversed
            )
        return self._rows

    @property
    def cursor(self) -> int:
        """The row of the chosen run."""
        rows = self.rows
        if self._place < len(rows) and rows[self._place].path == self._chosen:
            return self._place
        for place, run in enumerate(rows):
            if run.path == self._chosen:
                self._place = place
                return place
        self._place = max(0, min(self._place, len(rows) - 1))
        self._chosen = rows[self._place].path if rows else None
        return self._place

    @property
    def chosen(self) -> RunInfo | None:
        """The run under the cursor."""
        rows = self.rows
        return rows[self.cursor] if rows else None

    @property
    def meant(self) -> list[RunInfo]:
        """The marked runs in the order of the list, whether the filter shows them or not; without marks the chosen."""
        if not self.marked:
            return [self.chosen] if self.chosen is not None else []
        return [
            run for run in ordered(self.listing.runs, self.column, reverse=self.reversed) if run.path in self.marked
        ]

    def go_to(self, row: int) -> None:
        """Choose the run of a row, or the nearest."""
        rows = self.rows
        self._place = max(0, min(row, len(rows) - 1))
        self._chosen = rows[self._place].path if rows else None

    def move(self, by: int) -> None:
        """Choose a run further down, or up."""
        self.go_to(self.cursor + by)

    def sort(self, column: int) -> None:
        """Sort by a column, from its natural end; the cursor goes to the first row."""
        self.column, self.reversed = column % len(COLUMNS), False
        self.go_to(0)

    def reverse(self) -> None:
        """Turn the order round."""
        self.reversed = not self.reversed
        self.go_to(0)

    def mark(self) -> None:
        """Mark the chosen run, or take its mark away, and go on to the next."""
        if self.chosen is not None:
            self.marked ^= {self.chosen.path}
            self.move(1)

    def narrow(self, typed: str) -> None:
        """Another filter."""
        self.typed = typed[:LONGEST]
        if self.typed and not any(run.path == self._chosen for run in self.rows):
            self.go_to(0)
