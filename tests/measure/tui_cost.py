"""What the TUI costs training: the same run with the TUI and headless in turn, and how long a key takes to show.

    python tests/measure/tui_cost.py [--profile breakout-standard.toml] [--pairs 5] [--seconds 25] [--size 160x48]

Each run trains for so many seconds on a pseudo-terminal that is only drained, as a remote one would be. A pair gives
the ratio of the two runs' median steps/s over their iterations after the first three. Keys are pressed in runs of
their own: `?` opens the help screen and Esc closes it, timed to the first bytes that hold the screen's words.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import pty
import select
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

WARM_UP = 3


class Terminal:
    """A program on a pseudo-terminal whose output is counted and thrown away."""

    def __init__(self, command: list[str], folder: Path, columns: int, lines: int) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(slave)
        self.bytes = 0

    def drain(self, seconds: float, until: bytes | None = None) -> float | None:
        """Reads for so long, or until `until` has come; returns the seconds it took, None when it did not."""
        began = time.perf_counter()
        seen = b""
        while (left := began + seconds - time.perf_counter()) > 0:
            ready, _, _ = select.select([self.master], [], [], left)
            if not ready:
                break
            try:
                data = os.read(self.master, 65536)
            except OSError:
                return None
            self.bytes += len(data)
            if until is not None:
                seen = (seen + data)[-262144:]
                if until in seen:
                    return time.perf_counter() - began
        return None

    def end(self) -> None:
        """Stops the program as a signal would, and waits for it."""
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + 60
        while self.process.poll() is None and time.monotonic() < deadline:
            self.drain(0.1)
        self.process.kill()
        self.process.wait()
        os.close(self.master)


def train(arguments: argparse.Namespace, folder: Path, name: str, headless: bool) -> tuple[float, float]:
    """Median steps/s of a run of `arguments.seconds`, and the kB/s at the terminal."""
    columns, lines = (int(each) for each in arguments.size.split("x"))
    command = [sys.executable, "-m", "perx_tui", "--profile", arguments.profile, "--name", name]
    terminal = Terminal(command + (["--headless"] if headless else []), folder, columns, lines)
    terminal.drain(8)
    before = terminal.bytes
    terminal.drain(arguments.seconds)
    kilobytes = (terminal.bytes - before) / arguments.seconds / 1000
    terminal.end()
    lines_ = (folder / "runs" / name / "metrics.jsonl").read_text("utf-8").splitlines()
    return statistics.median(json.loads(line)["sps"] for line in lines_[WARM_UP:]), kilobytes


def press(arguments: argparse.Namespace, folder: Path, presses: int) -> list[float]:
    """Seconds from `?` to the help screen's first words, while training."""
    columns, lines = (int(each) for each in arguments.size.split("x"))
    command = [sys.executable, "-m", "perx_tui", "--profile", arguments.profile, "--name", "keys"]
    terminal = Terminal(command, folder, columns, lines)
    terminal.drain(12)
    times = []
    for index in range(presses):
        terminal.drain(0.4 + 0.017 * (index % 20))
        os.write(terminal.master, b"?")
        taken = terminal.drain(5, until=b"Pause training")
        if taken is None:
            raise SystemExit("the help screen did not open: has its text changed?")
        times.append(taken)
        terminal.drain(0.3)
        os.write(terminal.master, b"\x1b")
    terminal.end()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--profile", default="breakout-standard.toml")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--size", default="160x48")
    parser.add_argument("--presses", type=int, default=40)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ratios = []
        for pair in range(arguments.pairs):
            shown, kilobytes = train(arguments, folder, f"tui{pair}", headless=False)
            alone, _ = train(arguments, folder, f"headless{pair}", headless=True)
            ratios.append(shown / alone)
            print(f"{shown:,.0f} with, {alone:,.0f} without: {ratios[-1]:.3f}   {kilobytes:.1f} kB/s", flush=True)
        if ratios:
            print(f"median of {len(ratios)} pairs at {arguments.size}: {statistics.median(ratios):.3f}")
        if arguments.presses:
            times = sorted(press(arguments, folder, arguments.presses))
            p95 = times[min(len(times) - 1, int(0.95 * len(times)))]
            print(f"key to screen: median {1000 * statistics.median(times):.0f} ms, 95 % {1000 * p95:.0f} ms")


if __name__ == "__main__":
    main()
