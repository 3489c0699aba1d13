"""What resizes cost, and what they leave: `make resizes`, or

    python -m tests.measure.resizes [--count 2000] [--rate 20] [--block 200] [--threads 1] [--seed 1]

Breakout trains on a terminal that gets `count` sizes from 1x1 to 500x200, `rate` a second, in blocks with blocks of
quiet between them. Told are the steps per second of both kinds of blocks (worth something only on a machine that does
nothing else) and the processor seconds that the trainer's thread takes for a million steps and the screen's thread for
a second. In the end the run is paused, and at several sizes its screen is compared with that of a viewer that has just
come: the screen's cost apart, both have to be the same. Ends with code 1 where they are not, or where the program has
ended or shown a traceback.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from .screens import Screen, adopt_orphans, wait_until

NAME = "resized"
SIZES = ((80, 24), (120, 36), (160, 48), (200, 60), (60, 15))
TOO_SMALL = (30, 8)
PROGRAM = (sys.executable, "-m", "perx_tui")


@dataclass(slots=True)
class Block:
    """Some seconds of training: what was done in them, and what it took."""

    seconds: float
    steps: int
    trainer: float
    """Processor seconds of the busiest thread but the screen's."""
    screen: float
    """Processor seconds of the main thread, which is the screen's."""
    resizes: int


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--block", type=int, default=200, help="resizes in a block")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    adopt_orphans()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path(__file__).parents[2])}
    with tempfile.TemporaryDirectory() as folder:
        options = ["--profile", "breakout.toml", "--name", NAME, "--steps", "1e12"]
        options += ["--set", f"train.threads={arguments.threads}"]
        screen = Screen([*PROGRAM, *options], Path(folder), environment, 120, 36)
        try:
            run = Path(folder) / "runs" / NAME
            if not wait_until(lambda: steps(run) > 0, 120):
                raise SystemExit(f"it does not train: {screen.last_output}")
            time.sleep(5)
            quiet, resized = blocks(screen, run, arguments)
            told(quiet, resized)
            return compare(screen, Path(folder), environment)
        finally:
            screen.close()


def blocks(screen: Screen, run: Path, arguments: argparse.Namespace) -> tuple[list[Block], list[Block]]:
    """Quiet and resized blocks in turn."""
    generator = random.Random(arguments.seed)
    quiet, resized = [], []
    for first in range(0, arguments.count, arguments.block):
        number = min(arguments.block, arguments.count - first)
        for kind, count in ((quiet, 0), (resized, number)):
            screen.resize(120, 36)
            time.sleep(1)
            kind.append(block(screen, run, generator, count, number / arguments.rate))
            if not screen.alive or screen.traceback:
                raise SystemExit(f"the program ended with {screen.code}: {screen.last_output}")
    return quiet, resized


def block(screen: Screen, run: Path, generator: random.Random, count: int, seconds: float) -> Block:
    """Train for so long, with so many resizes. Steps are counted from one iteration's end to another's."""
    screen.emulated = False
    began, before, busy = time.monotonic(), clock(run), threads(screen.pid)
    for number in range(count):
        screen.resize(generator.randint(1, 500), generator.randint(1, 200))
        time.sleep(max(0.0, began + (number + 1) * seconds / count - time.monotonic()))
    time.sleep(max(0.0, began + seconds - time.monotonic()))
    after, spent = clock(run), threads(screen.pid)
    screen.emulated = True
    taken = {thread: spent[thread] - busy.get(thread, 0.0) for thread in spent}
    main_thread = taken.pop(screen.pid)
    return Block(after[0] - before[0], after[1] - before[1], max(taken.values()), main_thread, count)


def clock(run: Path) -> tuple[float, int]:
    """Seconds that were spent training, and steps, after the last iteration."""
    rows = (run / "metrics.jsonl").read_bytes()
    last = json.loads(rows[: rows.rfind(b"\n")].rpartition(b"\n")[2])
    return float(last["time"]), int(last["step"])


def steps(run: Path) -> int:
    """Steps that are recorded."""
    return clock(run)[1] if (run / "metrics.jsonl").exists() else 0


def threads(pid: int) -> dict[int, float]:
    """Processor seconds of every thread."""
    found = {}
    for thread in os.listdir(f"/proc/{pid}/task"):
        fields = Path(f"/proc/{pid}/task/{thread}/stat").read_text("utf-8").rpartition(")")[2].split()
        found[int(thread)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return found


def told(quiet: list[Block], resized: list[Block]) -> None:
    """The figures of both kinds of blocks side by side."""
    for name, kind in (("quiet", quiet), ("resized", resized)):
        seconds, steps_done = sum(each.seconds for each in kind), sum(each.steps for each in kind)
        if not steps_done:
            raise SystemExit("no iteration ended in a block: take longer ones (--block)")
        print(
            f"{name:<8} {sum(each.resizes for each in kind):5} resizes  {steps_done / seconds:8,.0f} steps/s  trainer "
            f"{1e6 * sum(each.trainer for each in kind) / steps_done:.2f} s per million steps  screen "
            f"{sum(each.screen for each in kind) / seconds:.3f} s per second"
        )
    pairs = [
        b.steps / b.seconds / (a.steps / a.seconds)
        for a, b in zip(quiet, resized, strict=True)
        if a.steps and b.seconds
    ]
    if pairs:
        print(f"steps/s resized to quiet: median of {len(pairs)} pairs {statistics.median(pairs):.3f}")


def compare(screen: Screen, folder: Path, environment: dict[str, str]) -> int:
    """Whether the paused run's screen is that of a fresh viewer, at several sizes; the exit code."""
    faults = 0
    screen.resize(120, 36)
    screen.go_home()
    screen.press(" ")
    if not screen.shows("paused"):
        print("it cannot be paused any more:\n" + screen.text())
        return 1
    for columns, lines in SIZES:
        screen.resize(columns, lines)
        fresh = Screen([*PROGRAM, "attach", NAME], folder, environment, columns, lines)
        time.sleep(6)
        shown, expected = (still(each.text()) for each in (screen, fresh))
        fresh.close()
        different = [(a, b) for a, b in zip(shown, expected, strict=True) if a.rstrip() != b.rstrip()]
        print(f"{columns}x{lines}: {len(different)} rows differ from a fresh screen")
        for a, b in different:
            print(f"  resized  {a}\n  fresh    {b}")
        faults += len(different)
    screen.resize(*TOO_SMALL)
    if not screen.shows("is too small", seconds=20):
        print("30x8 is not told to be too small:\n" + screen.text())
        faults += 1
    if screen.traceback or not screen.alive:
        print(f"a traceback, or an end with {screen.code}: {screen.last_output}")
        faults += 1
    return 1 if faults else 0


def still(text: str) -> list[str]:
    """The rows of a screen without what moves: the game, which is played on, and what the screen costs, with the keys
    that give way to it."""
    rows = text.splitlines()
    rows[-1] = rows[-1][:40]
    top = next((number for number, row in enumerate(rows) if " episode · " in row), None)
    if top is None:
        return rows
    left = rows[top].rindex("╭", 0, rows[top].index(" episode · "))
    right = rows[top].index("╮", left)
    for number in range(top, len(rows)):
        row = rows[number]
        rows[number] = row[:left] + row[right + 1 :]
        if row[left : left + 1] == "╰":
            break
    return rows


if __name__ == "__main__":
    sys.exit(main())
