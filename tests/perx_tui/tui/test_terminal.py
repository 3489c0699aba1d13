"""The app in a real terminal: a pseudo-terminal whose screen is read back through an emulator."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pseudo_terminal import Terminal

from perx_tui.tui.terminal import TerminalFile, hung_up

PROGRAM = str(Path(__file__).parent / "fake_program.py")


def start(columns: int, rows: int, *arguments: str) -> Terminal:
    return Terminal([PROGRAM, "0.4", *arguments], columns, rows)


def test_keys_steer_the_run_at_80x24(tmp_path: Path) -> None:
    """Typed keys reach the session, and the screen answers each of them."""
    with start(80, 24, "quiet", str(tmp_path / "result")) as terminal:
        terminal.wait_for("running")
        terminal.wait_for("score")
        for key, answers in [
            (" ", ["pausing…", "paused", "resume"]),
            ("s", ["one step…", "paused"]),
            (" ", ["resuming…", "running"]),
            ("c", ["saving…", "saved step-"]),
            ("n", ["env 1"]),
            ("4", ["[4 losses]", "policy loss"]),
            ("f", ["restore", "\n│ policy loss"]),
            ("\x1b", ["[4 losses]"]),
            ("?", ["One iteration, while paused"]),
            ("?", ["[4 losses]"]),
            ("q", ["Keep training headless"]),
        ]:
            terminal.send(key)
            for answer in answers:
                terminal.wait_for(answer)
        terminal.send("h")
        assert terminal.wait_exit() == 0
    assert (tmp_path / "result").read_text() == "headless"


def test_everything_is_shown_at_160x48_and_follows_a_resize() -> None:
    with start(160, 48) as terminal:
        terminal.wait_for("running")
        panels = ("throughput", "episode", "learning curve", "losses", "phases", "prioritized replay", "memory", "log")
        for panel in panels:
            terminal.wait_for(f" {panel} ")
        terminal.resize(80, 24)
        terminal.wait_for("[3 curve]")
        assert "prioritized replay" not in terminal.text
        terminal.resize(160, 48)
        terminal.wait_for("prioritized replay")
        terminal.send("q")
        terminal.wait_for("Stop with a checkpoint")
        terminal.send("s")
        assert terminal.wait_exit() == 0


def test_cropped_updates_leave_the_same_screen_as_a_full_one() -> None:
    """Law: after many partial updates every cell that stands still looks as on a screen that is drawn anew."""
    with start(160, 48) as terminal:
        terminal.wait_for("running")
        terminal.wait_for("score")
        for key, answer in (("", "throughput"), ("p", "priorities"), ("v", "surprise")):
            terminal.send(key)
            terminal.wait_for(answer)
            terminal.pump(2.0)
        terminal.send("h")
        terminal.wait_for("by priority")
        for _ in range(12):
            terminal.send("\x1b[C")
            terminal.pump(0.05)
        terminal.send("p")
        terminal.pump(1.5)
        terminal.send("\x1b")
        terminal.wait_for("learning curve")
        terminal.pump(1.5)
        terminal.send(" ")
        terminal.wait_for("paused")
        terminal.pump(1.0)
        before = cells_of(terminal)
        terminal.send("?")
        terminal.wait_for("esc closes")
        terminal.send("?")
        terminal.pump(1.0)
        after = cells_of(terminal)
        for y in range(47):
            # The game is played on to the end of its last clip, and the last row tells what the screen costs now.
            first = 77 if y >= 14 else 0
            assert before[y][first:] == after[y][first:], y


def cells_of(terminal: Terminal) -> list[list[tuple[str, str, str, bool]]]:
    """Every cell of the screen with its looks; a blank has only a background."""
    buffer, columns = terminal.screen.buffer, range(terminal.screen.columns)
    return [
        [
            (cell.data, cell.fg, cell.bg, cell.bold) if cell.data != " " else (" ", "", cell.bg, False)
            for cell in (buffer[y][x] for x in columns)
        ]
        for y in range(terminal.screen.lines)
    ]


def test_output_of_libraries_stays_off_the_screen_and_is_not_lost() -> None:
    """Bytes written to descriptors 1 and 2 from outside Python would land between the panels."""
    with start(80, 24, "noisy") as terminal:
        terminal.wait_for("running")
        terminal.pump(0.5)
        assert "NOISE" not in terminal.text
        terminal.send("q")
        terminal.wait_for("Keep training headless")
        terminal.send("h")
        assert terminal.wait_exit() == 0
        assert "NOISE ON TWO" in terminal.text


@pytest.mark.parametrize(("number", "result"), [(signal.SIGTERM, "sigterm"), (signal.SIGINT, "sigint")])
def test_a_signal_gives_the_terminal_back(number: signal.Signals, result: str, tmp_path: Path) -> None:
    with start(80, 24, "quiet", str(tmp_path / "result")) as terminal:
        terminal.wait_for("running")
        terminal.signal(number)
        assert terminal.wait_exit() == 0
    assert (tmp_path / "result").read_text() == result


@pytest.mark.parametrize("warned", [True, False])
def test_a_terminal_that_goes_away_ends_the_screen_and_nothing_else(warned: bool, tmp_path: Path) -> None:
    """With SIGHUP or, as under nohup, without: the run goes on, and no thread spins on a dead terminal."""
    with start(80, 24, "quiet" if warned else "nohup", str(tmp_path / "result")) as terminal:
        terminal.wait_for("running")
        terminal.hang_up()
        end = time.monotonic() + 15
        while terminal.process.poll() is None and time.monotonic() < end:
            time.sleep(0.05)
        assert terminal.process.poll() == 0
    assert (tmp_path / "result").read_text() == "hangup"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sigcont_at_any_moment_of_the_end_does_not_keep_it(number: signal.Signals, tmp_path: Path) -> None:
    """A terminal that goes away sends SIGCONT behind its SIGHUP: handled while a thread is waited for, it must not wait
    for the same thread again."""
    with start(80, 24, "quiet", str(tmp_path / "result")) as terminal:
        terminal.wait_for("running")
        terminal.signal(number)
        end = time.monotonic() + 20
        while terminal.process.poll() is None and time.monotonic() < end:
            terminal.signal(signal.SIGCONT)
            terminal.pump(0.002)
        assert terminal.process.poll() == 0
    assert (tmp_path / "result").read_text() == ("hangup" if number == signal.SIGHUP else "sigterm")


def test_a_fault_of_the_screen_gives_the_terminal_back_and_is_told(tmp_path: Path) -> None:
    """The run is not lost with the screen: the caller learns that it has crashed and goes on."""
    with start(80, 24, "faulty", str(tmp_path / "result")) as terminal:
        terminal.wait_for("running")
        assert terminal.wait_exit() == 0
        assert "AttributeError" in terminal.text
    assert (tmp_path / "result").read_text() == "crashed"


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        try:
            os.close(descriptor)
        except OSError:
            continue


def test_a_terminal_file_counts_what_it_wrote(pipe: tuple[int, int]) -> None:
    file = TerminalFile(pipe[1])
    file.write("né")
    assert file.bytes_written == 0
    file.flush()
    assert file.bytes_written == 3
    assert os.read(pipe[0], 10) == "né".encode()


def test_a_terminal_file_survives_the_terminal(pipe: tuple[int, int]) -> None:
    file = TerminalFile(pipe[1])
    os.close(pipe[0])
    file.write("lost")
    file.flush()
    assert file.gone
    file.write("ignored")
    file.flush()
    assert file.bytes_written == 0


def test_a_terminal_file_waits_for_a_slow_terminal(pipe: tuple[int, int]) -> None:
    """Everything arrives, in order, also where the descriptor takes only a part at a time."""
    os.set_blocking(pipe[1], False)
    text = "0123456789" * 20_000
    received = bytearray()

    def read_slowly() -> None:
        while len(received) < len(text):
            received.extend(os.read(pipe[0], 4096))
            time.sleep(0.0005)

    reader = threading.Thread(target=read_slowly)
    reader.start()
    file = TerminalFile(pipe[1])
    file.write(text)
    file.flush()
    reader.join(10)
    assert file.bytes_written == len(text)
    assert received.decode() == text


def test_a_hang_up_is_seen_without_reading(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    assert not hung_up(reading)
    os.write(writing, b"typed")
    assert not hung_up(reading)
    os.close(writing)
    assert hung_up(reading)
