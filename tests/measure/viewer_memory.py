"""Whether an attached screen's memory stays within a bound, whatever sizes and screens it passes through.

    python tests/measure/viewer_memory.py [--sizes 1200] [--seed 5]

A window of 160x48 is pulled to sizes between 1x1 and 500x200 while keys open screens. What was laid out once is kept in
caches that have limits: the memory rises until these are full and the largest size was met, and then stays. It ends
with an error where the second half of the sizes leaves the screen more than 5 % larger than the first half did.
"""

from __future__ import annotations

import argparse
import fcntl
import random
import struct
import subprocess
import sys
import tempfile
import termios
import time
from pathlib import Path

import psutil
from emulated import Terminal

KEYS = ("p", "v", "g", "?", "e", "i", "5", "6", "7", "f", "\x1b")
SETTLE, LOOK = 0.5, 0.25
MOST_GROWTH = 0.05


def attached(folder: Path) -> Terminal:
    """A screen on a run that trains headless in `folder`."""
    deadline = time.monotonic() + 60
    while not (folder / "runs" / "run" / "control.sock").exists():
        if time.monotonic() > deadline:
            raise SystemExit("the run has not begun within a minute")
        time.sleep(0.1)
    return Terminal([sys.executable, "-m", "perx_tui", "attach", "run"], folder, 160, 48)


def resize(terminal: Terminal, columns: int, rows: int) -> None:
    """Give the window another size."""
    fcntl.ioctl(terminal.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def measure(terminal: Terminal, sizes: int, rng: random.Random) -> list[float]:
    """MB of the screen's process after every tenth part of the sizes."""
    terminal.drain(4)
    process, found = psutil.Process(terminal.process.pid), list[float]()
    for number in range(1, sizes + 1):
        resize(terminal, *((500, 200) if number == 1 else (rng.randint(1, 500), rng.randint(1, 200))))
        terminal.drain(SETTLE if number == 1 else LOOK)
        terminal.send(rng.choice(KEYS))
        terminal.drain(0.05)
        if number % 4 == 0:
            resize(terminal, 160, 48)
            terminal.send("\x1b")
            terminal.drain(LOOK)
        if number % max(1, sizes // 10) == 0:
            found.append(process.memory_info().rss / 1e6)
            print(f"{number:6} sizes  {found[-1]:6.1f} MB", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=5)
    arguments = parser.parse_args()
    options = ("--profile", "breakout.toml", "--headless", "--name", "run", "--steps", "1000M")
    small = ("--set", "env.agents=256", "--set", "train.minibatch=4096", "--set", "train.threads=1")
    with tempfile.TemporaryDirectory() as name:
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        run = subprocess.Popen([sys.executable, "-m", "perx_tui", *options, *small], cwd=name, **quiet)  # type: ignore[call-overload]
        try:
            terminal = attached(Path(name))
            found = measure(terminal, arguments.sizes, random.Random(arguments.seed))
            terminal.end()
        finally:
            run.terminate()
            run.wait()
    half = found[len(found) // 2 - 1]
    growth = found[-1] / half - 1
    print(f"from half of the sizes to their end: {100 * growth:+.1f} %")
    if growth > MOST_GROWTH:
        raise SystemExit("the screen's memory grows on")


if __name__ == "__main__":
    main()
