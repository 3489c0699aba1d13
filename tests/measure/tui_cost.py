"""What the TUI costs, and how soon it answers.

    python tests/measure/tui_cost.py pairs [--pairs 5] [--seconds 25]     training with the TUI against headless
    python tests/measure/tui_cost.py keys [--presses 40]                  from a key to the screen, while training
    python tests/measure/tui_cost.py traffic [--seconds 25]               bytes at the terminal, at three sizes
    python tests/measure/tui_cost.py start [--starts 5]                   from the command to the first picture

Every run trains on a pseudo-terminal that is read at once, as a remote one would be. A pair gives the ratio of the two
runs' median steps/s over their iterations after the first three, and says which of the two came first: on a machine
whose clock drifts the order matters, so it alternates.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from emulated import Grid, Terminal

WARM_UP = 3
BEGUN = 120.0
"""Seconds that the first iteration may take to come."""


def command(arguments: argparse.Namespace, name: str, *more: str) -> list[str]:
    """A run of the profile that does not come to its end meanwhile."""
    endless = ("--steps", "1000000000000")
    return [sys.executable, "-m", "perx_tui", "--profile", arguments.profile, "--name", name, *endless, *more]


def size(text: str) -> tuple[int, int]:
    """Columns and rows of "160x48"."""
    columns, _, rows = text.partition("x")
    return int(columns), int(rows)


def train(terminal: Terminal, folder: Path, name: str, iterations: int = WARM_UP) -> Path:
    """Wait until so many iterations have ended; the file of metrics."""
    metrics = folder / "runs" / name / "metrics.jsonl"
    deadline = time.monotonic() + BEGUN
    while not metrics.exists() or metrics.read_bytes().count(b"\n") < iterations:
        terminal.drain(0.2)
        if terminal.process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{name} trained no {iterations} iterations in {BEGUN:.0f} s")
    return metrics


def pairs(arguments: argparse.Namespace, folder: Path) -> None:
    """The same run with the TUI and headless, in turn."""
    ratios = []
    for pair in range(arguments.pairs):
        order = ("tui", "headless") if pair % 2 == 0 else ("headless", "tui")
        speed, share, rate = {}, 0.0, 0.0
        for kind in order:
            name = f"{kind}{pair}"
            more = ("--headless",) if kind == "headless" else ()
            terminal = Terminal(command(arguments, name, *more), folder, *size(arguments.size))
            metrics = train(terminal, folder, name)
            used, written = terminal.screen_seconds(), terminal.bytes
            terminal.drain(arguments.seconds)
            if kind == "tui":
                share = (terminal.screen_seconds() - used) / arguments.seconds
                rate = (terminal.bytes - written) / arguments.seconds / 1000
            rows = [json.loads(line) for line in metrics.read_text("utf-8").splitlines()[WARM_UP:]]
            speed[kind] = statistics.median(row["sps"] for row in rows)
            terminal.end()
        ratios.append(speed["tui"] / speed["headless"])
        print(
            f"{order[0]:8} first: {speed['tui']:,.0f} with, {speed['headless']:,.0f} without: {ratios[-1]:.3f}   "
            f"ui thread {100 * share:.1f} % of a core, {rate:.1f} kB/s",
            flush=True,
        )
    print(f"median of {len(ratios)} pairs at {arguments.size}: {statistics.median(ratios):.3f}")


def keys(arguments: argparse.Namespace, folder: Path) -> None:
    """Seconds from a key to the cells that answer it."""
    terminal = Terminal(command(arguments, "keys"), folder, *size(arguments.size))
    grid = terminal.watch()
    train(terminal, folder, "keys")
    panels = [f"{number} {name}" for number, name in ((4, "losses"), (6, "prioritized replay"))]
    corners = [(y, x - 3) for y, x in map(grid.find, panels)]
    trials: tuple[tuple[str, str, Callable[[Grid], bool], str], ...] = (
        ("? help", "?", lambda now: "esc closes" in now.text, "\x1b"),
        ("esc from help", "", lambda now: "1 throughput" in now.text, ""),
        ("space pause", " ", lambda now: "paus" in "".join(now.rows[0]), " "),
        ("4 focus a panel", "4", lambda now: corners[0] in now.touched, ""),
        ("6 focus a panel", "6", lambda now: corners[1] in now.touched, ""),
        ("e editor", "e", lambda now: "train.learning_rate" in now.text, "\x1b"),
    )
    times: dict[str, list[float]] = {name: [] for name, *_ in trials}
    for press in range(arguments.presses):
        for name, key, answered, back in trials:
            terminal.drain(0.4 + 0.017 * (press % 20))
            if name == "esc from help":
                terminal.send("?")
                terminal.drain(5, until=lambda: "esc closes" in grid.text)
                terminal.drain(0.3)
                key = "\x1b"
            grid.touched.clear()
            terminal.send(key)
            taken = terminal.drain(5, until=lambda answered=answered: answered(grid))  # type: ignore[misc]
            if taken is None:
                raise SystemExit(f"{name}: nothing answered, on this screen:\n{grid.text}")
            times[name].append(taken)
            terminal.drain(0.3)
            if back:
                terminal.send(back)
    terminal.end()
    for name, taken in [*times.items(), ("all", [each for some in times.values() for each in some])]:
        print(f"{name:16} median {1000 * statistics.median(taken):4.0f} ms   95 % {1000 * high(taken):4.0f} ms")


def high(values: Sequence[float]) -> float:
    """The 95th percentile."""
    return sorted(values)[min(len(values) - 1, int(0.95 * len(values)))]


def traffic(arguments: argparse.Namespace, folder: Path) -> None:
    """A table of bytes and of the drawing thread's time."""
    print("size      link        kB/s   ui thread")
    for columns, rows in ((80, 24), (160, 48), (200, 60)):
        for link in ("default", "slow"):
            name = f"{link}{columns}"
            more = ("--slow-link",) if link == "slow" else ()
            terminal = Terminal(command(arguments, name, *more), folder, columns, rows)
            train(terminal, folder, name)
            used, written = terminal.screen_seconds(), terminal.bytes
            terminal.drain(arguments.seconds)
            share = (terminal.screen_seconds() - used) / arguments.seconds
            rate = (terminal.bytes - written) / arguments.seconds / 1000
            terminal.end()
            print(f"{columns}x{rows:<6} {link:10} {rate:5.2f}   {100 * share:4.1f} %", flush=True)


def start(arguments: argparse.Namespace, folder: Path) -> None:
    """Seconds from the command to the panels, before torch is there, and to the first iteration."""
    times = []
    for number in range(arguments.starts):
        terminal = Terminal(command(arguments, f"start{number}"), folder, *size(arguments.size))
        grid = terminal.watch()
        terminal.drain(30, until=lambda grid=grid: "1 throughput" in grid.text)  # type: ignore[misc]
        times.append(time.perf_counter() - terminal.started)
        torch = "libtorch" in Path(f"/proc/{terminal.process.pid}/maps").read_text()
        train(terminal, folder, f"start{number}", iterations=1)
        first = time.perf_counter() - terminal.started
        there = "torch was loaded by then" if torch else "torch came later"
        print(f"first picture {1000 * times[-1]:.0f} ms ({there}), first iteration {first:.1f} s", flush=True)
        terminal.end()
    print(f"median {1000 * statistics.median(times):.0f} ms, longest {1000 * max(times):.0f} ms")


MEASUREMENTS = {"pairs": pairs, "keys": keys, "traffic": traffic, "start": start}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=MEASUREMENTS)
    parser.add_argument("--profile", default="breakout-standard.toml")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=25.0)
    parser.add_argument("--size", default="160x48")
    parser.add_argument("--presses", type=int, default=40)
    parser.add_argument("--starts", type=int, default=5)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        MEASUREMENTS[arguments.what](arguments, Path(name))


if __name__ == "__main__":
    main()
