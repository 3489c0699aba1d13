"""The thread that reads keys: what it makes of bytes, and how soon."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from queue import Queue
from types import SimpleNamespace

import pytest
from textual import constants, events
from textual.message import Message

from perx_tui.tui.driver import TerminalDriver


class Reader(TerminalDriver):
    """A driver of which only the thread that reads keys lives, at one end of a pipe."""

    def __init__(self, descriptor: int) -> None:
        self.fileno = descriptor
        self.exit_event = threading.Event()
        self.heard: list[tuple[str, float]] = []
        self.thread = threading.Thread(target=self.run_input_thread, daemon=True)

    def process_message(self, message: Message) -> None:
        if isinstance(message, events.Key):
            self.heard.append((message.key, time.monotonic()))

    def keys(self, count: int) -> list[str]:
        """The first keys that are heard."""
        end = time.monotonic() + 10
        while len(self.heard) < count and time.monotonic() < end:
            time.sleep(0.002)
        return [key for key, _ in self.heard]


@pytest.fixture
def reader() -> Iterator[tuple[Reader, int]]:
    """The thread, and where to type."""
    there, here = os.pipe()
    reader = Reader(there)
    reader.thread.start()
    yield reader, here
    reader.exit_event.set()
    reader.thread.join(5)
    for descriptor in (there, here):
        with contextlib.suppress(OSError):
            os.close(descriptor)


def test_esc_alone_is_heard_when_its_time_is_up(reader: tuple[Reader, int]) -> None:
    """Law: Esc is heard when no rest of a sequence can come any more, and not a look of 100 ms later. The quickest of
    several counts, because the machine may be busy."""
    driver, here = reader
    taken = []
    for number in range(10):
        time.sleep(0.01 * number)
        began = time.monotonic()
        os.write(here, b"\x1b")
        assert driver.keys(number + 1) == ["escape"] * (number + 1)
        taken.append(driver.heard[-1][1] - began)
    assert constants.ESCAPE_DELAY - 0.005 <= min(taken) < constants.ESCAPE_DELAY + 0.04


def test_a_sequence_in_two_pieces_is_one_key(reader: tuple[Reader, int]) -> None:
    """Law: Esc that begins another key's sequence is no key of its own where the rest comes in time."""
    driver, here = reader
    os.write(here, b"\x1b")
    os.write(here, b"[A")
    os.write(here, b"x\x1b[Bq")
    assert driver.keys(4) == ["up", "x", "down", "q"]


def test_half_a_character_and_bytes_that_are_none_end_nothing(reader: tuple[Reader, int]) -> None:
    """Law: whatever bytes come, the keys after them are heard."""
    driver, here = reader
    os.write(here, "ü".encode()[:1])
    time.sleep(0.05)
    os.write(here, "ü".encode()[1:])
    os.write(here, b"\xff\xfe")
    os.write(here, b"p")
    driver.keys(4)
    assert driver.heard[0][0] == "ü"
    assert driver.heard[-1][0] == "p"


def test_the_thread_ends_with_the_terminal(reader: tuple[Reader, int]) -> None:
    """Law: a terminal that is gone is not read again and again."""
    driver, here = reader
    os.write(here, b"p")
    driver.keys(1)
    os.close(here)
    driver.thread.join(5)
    assert not driver.thread.is_alive()


class Stopped(TerminalDriver):
    """A driver of which only the signals live. Giving the terminal back takes the queue's lock, as Textual's does."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._app = SimpleNamespace(leaving=False)  # type: ignore[assignment]
        self._auto_restart = True
        self._key_thread = threading.main_thread()
        self.queue: Queue[str] = Queue()
        self.done: list[str] = []

    def suspend_application_mode(self) -> None:
        self.queue.put("given back")
        self.done.append("suspend")

    def resume_application_mode(self) -> None:
        self.done.append("resume")

    def run(self) -> list[str]:
        """What is done when the loop has its turn."""
        self._loop.run_until_complete(asyncio.sleep(0))  # type: ignore[union-attr]
        return self.done


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stopped]:
    """The driver, in a process that SIGSTOP stops for no time and that then hears SIGCONT."""
    loop = asyncio.new_event_loop()
    driver = Stopped(loop)

    def kill(pid: int, number: int) -> None:
        assert (pid, number) == (os.getpid(), signal.SIGSTOP)
        driver.done.append("stop")
        driver._sigcont_application()

    monkeypatch.setattr(os, "kill", kill)
    yield driver
    loop.close()


def test_a_stop_that_comes_amid_a_write_waits_for_its_end(stopped: Stopped) -> None:
    """Law: a signal's handler takes no lock that the code it interrupts may hold."""
    with stopped.queue.mutex:
        stopped._sigtstp_application()
        assert stopped.done == []
    assert stopped.run() == ["suspend", "stop", "resume"]
    assert stopped.run() == ["suspend", "stop", "resume"], "the SIGCONT that ended the stop sets up nothing again"


def test_a_continuation_out_of_the_blue_sets_up_the_terminal_once(stopped: Stopped) -> None:
    with stopped.queue.mutex:
        stopped._sigcont_application()
    assert stopped.run() == ["suspend", "resume"]


@pytest.mark.parametrize(("signal_handler", "done"), [("_sigtstp_application", ["stop"]), ("_sigcont_application", [])])
def test_whoever_is_about_to_leave_touches_the_terminal_no_more(
    stopped: Stopped, signal_handler: str, done: list[str]
) -> None:
    stopped._app.leaving = True  # type: ignore[attr-defined]
    handle: Callable[[], None] = getattr(stopped, signal_handler)
    handle()
    assert stopped.run() == done
