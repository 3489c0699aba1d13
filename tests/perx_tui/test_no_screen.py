"""Terminals that cannot hold the screens: a clear line, and training goes on without one."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from perx_tui import terminal

from .program import TINY, command, environment, metrics
from .pseudo_terminal import PseudoTerminal


class Terminal:
    """A stream that is one."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def size(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says how large the terminal of this process is."""

    def claim(columns: int, rows: int, term: str = "xterm-256color") -> None:
        for name in ("stdin", "stdout"):
            monkeypatch.setattr(sys, name, Terminal())
        monkeypatch.setenv("TERM", term)
        monkeypatch.setattr(terminal, "terminal_size", lambda: (columns, rows))

    return claim


@pytest.mark.parametrize(
    "term", ["xterm-256color", "tmux-256color", "xterm-kitty", "screen", "linux", "xterm-ghostty", "st"]
)
def test_known_terminals_hold_the_screens(size: Any, term: str) -> None:
    size(40, 12, term)
    assert terminal.obstacle() is None


@pytest.mark.parametrize(
    ("term", "said"),
    [("", "''"), ("dumb", "'dumb'"), ("unknown", "'unknown'"), ("frobnicator-9", "'frobnicator-9' is not known here")],
)
def test_other_terminals_are_named(size: Any, term: str, said: str) -> None:
    size(80, 24, term)
    found = terminal.obstacle()
    assert found is not None
    assert said in found


@pytest.mark.parametrize(("columns", "rows"), [(39, 24), (80, 11), (10, 3)])
def test_a_small_terminal_is_told_with_the_size_that_is_needed(size: Any, columns: int, rows: int) -> None:
    size(columns, rows)
    assert terminal.obstacle() == f"the terminal is {columns}x{rows}, the screen needs 40x12"
    assert terminal.obstacle(smallest=None) is None


@pytest.mark.parametrize(
    ("columns", "lines", "variables", "said"),
    [
        (30, 8, {}, "the terminal is 30x8, the screen needs 40x12: training headless"),
        (80, 24, {"TERM": "frobnicator-9"}, "the terminal type 'frobnicator-9' is not known here"),
    ],
)
def test_training_goes_on_headless(
    tmp_path: Path, columns: int, lines: int, variables: dict[str, str], said: str
) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    shell = ["env", "-u", "COLUMNS", *(f"{key}={value}" for key, value in variables.items())]
    arguments = command("--profile", "tiny.toml", "--name", "a")
    with PseudoTerminal([*shell, *arguments], tmp_path, environment(), columns, lines) as shown:
        assert shown.wait(60) == 0
        output = shown.output.decode("utf-8", "replace")
    assert said in " ".join(output.split())
    assert "\x1b[?1049h" not in output
    assert metrics(tmp_path / "runs" / "a")[-1]["step"] == 2560


@pytest.mark.parametrize("others", [("-u", "LC_ALL", "-u", "LC_CTYPE"), ("LC_ALL=", "LC_CTYPE=")])
def test_without_utf_8_the_progress_of_a_headless_run_is_ascii(tmp_path: Path, others: tuple[str, ...]) -> None:
    """Unset or empty, the other variables say nothing; Python itself fills one of them."""
    (tmp_path / "tiny.toml").write_text(TINY)
    arguments = ["env", *others, "LANG=C", *command("--profile", "tiny.toml", "--headless")]
    with PseudoTerminal(arguments, tmp_path, environment(), 100, 30) as shown:
        assert shown.wait(60) == 0
        assert b"finished at" in shown.output
        assert max(shown.output) < 128


@pytest.mark.parametrize("told", [True, False])
def test_an_exported_size_counts_only_where_no_terminal_tells_its_own(
    monkeypatch: pytest.MonkeyPatch, told: bool
) -> None:
    """What was exported elsewhere, and before a resize, misleads libraries that look at it first, too."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LINES", "60")

    def size(descriptor: int) -> os.terminal_size:
        if not told:
            raise OSError("Inappropriate ioctl for device")
        return os.terminal_size((81, 25))

    monkeypatch.setattr(os, "get_terminal_size", size)
    assert terminal.terminal_size() == ((81, 25) if told else (200, 60))
    terminal.forget_exported_size()
    assert ("COLUMNS" in os.environ, "LINES" in os.environ) == (not told, not told)
