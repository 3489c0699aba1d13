"""Another command on the terminal meanwhile: what it answers, and whose the signals are."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from perx_tui.tui.browser.visiting import run_on_terminal


@pytest.fixture
def nothing() -> Iterator[int]:
    descriptor = os.open(os.devnull, os.O_RDWR)
    yield descriptor
    os.close(descriptor)


def run(nothing: int, program: str) -> str:
    return run_on_terminal([sys.executable, "-c", f"import sys, time; {program}"], nothing, nothing)


def said(text: str, code: int) -> str:
    return f"sys.stderr.write({text!r}); sys.exit({code})"


@pytest.mark.parametrize(
    ("text", "code", "answer"),
    [
        ("perx-tui: loading\nperx-tui: there is no checkpoint\n", 2, "there is no checkpoint"),
        ("x" * 9000 + "\nTraceback\nValueError: \x1b[31m\n", 1, "ValueError: \x1b[31m"),
        ("", 1, "the command ended with code 1"),
        ("perx-tui: night goes on training\n", 0, ""),
        ("", 130, ""),
    ],
)
def test_a_command_that_fails_answers_with_its_last_line(nothing: int, text: str, code: int, answer: str) -> None:
    assert run(nothing, said(text, code)) == answer


def test_what_ends_this_process_ends_the_command_and_reaches_the_handler_before(nothing: int) -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: received.append(number))
    try:
        timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGTERM))
        timer.start()
        began = time.monotonic()
        assert run(nothing, "time.sleep(60)") == "the command ended with code -15"
        assert time.monotonic() - began < 30
        assert received == [signal.SIGTERM]
        os.kill(os.getpid(), signal.SIGTERM)
        assert received == [signal.SIGTERM] * 2, "afterwards the handler is back"
    finally:
        signal.signal(signal.SIGTERM, before)


def test_ctrl_c_is_the_commands_alone(nothing: int) -> None:
    """The terminal sends it to both: this process waits on, and its own handler hears nothing."""
    received: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: received.append(number))
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        assert run(nothing, "time.sleep(1); " + said("still there", 4)) == "still there"
        assert received == []
        assert signal.getsignal(signal.SIGINT) is not before
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_hang_up_that_is_ignored_stays_ignored(nothing: int) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGHUP)).start()
        assert run(nothing, "time.sleep(1); " + said("still there", 4)) == "still there"
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)
