"""What processes take while they run: memory, threads, open files, sampled by a thread and judged at the end."""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import psutil

EVERY = 5.0
"""Seconds between samples."""
WARM_UP = 0.3
"""Share of a process's life in which its memory may grow: caches fill, the archive of segments too."""
LEAST_SECONDS = 900.0
"""A window that is shorter than this tells nothing about growth per hour."""
MOST_GROWTH = 0.02
"""Of the resident memory without the run's past, which is kept up to a bound, per hour."""


@dataclass(slots=True)
class Sample:
    """One look at a process."""

    seconds: float
    rss: int
    past: int
    """Bytes that are kept of the run's past by then."""
    threads: int
    files: int
    """Open descriptors that are no sockets: viewers come and go."""

    @property
    def own(self) -> int:
        """Resident bytes without the run's past."""
        return self.rss - self.past


@dataclass(slots=True)
class Track:
    """A process that is watched."""

    name: str
    process: psutil.Process
    samples: list[Sample] = field(default_factory=list)
    quiet: list[tuple[int, int, int]] = field(default_factory=list)
    """Threads, files and sockets at moments at which nothing went on."""

    def look(self, began: float, past: int) -> None:
        """Take a sample; a process that is gone gives none."""
        with contextlib.suppress(psutil.Error, OSError):
            files, _ = descriptors(self.process.pid)
            with self.process.oneshot():
                memory, threads = self.process.memory_info().rss, self.process.num_threads()
            if memory == 0:
                return  # it is ending
            self.samples.append(Sample(time.monotonic() - began, memory, past, threads, files))

    def settled(self) -> list[Sample]:
        """The samples after the warm-up."""
        return self.samples[int(len(self.samples) * WARM_UP) :]

    def growth(self) -> float | None:
        """Growth per hour as a share of the resident memory, the run's past left out; None where the process did not
        live long enough.

        The smaller of two estimates, which a leak both raises: the slope of the samples (after Theil and Sen), and how
        far the largest of the last third lies over that of the first. Memory that comes and goes in blocks of megabytes
        fools either of them alone.
        """
        samples = self.settled()
        if len(samples) < 20 or samples[-1].seconds - samples[0].seconds < LEAST_SECONDS:
            return None
        thin = samples[:: max(1, len(samples) // 300)]
        slopes = [
            (later.own - sooner.own) / (later.seconds - sooner.seconds)
            for index, sooner in enumerate(thin)
            for later in thin[index + len(thin) // 3 :]
        ]
        third = len(samples) // 3
        early, late = samples[:third], samples[-third:]
        risen = max(sample.own for sample in late) - max(sample.own for sample in early)
        marks = risen / (late[0].seconds - early[0].seconds)
        return min(statistics.median(slopes), marks) * 3600 / statistics.median(sample.own for sample in samples)

    def faults(self) -> list[str]:
        """What is wrong with it, a line each."""
        found = []
        growth = self.growth()
        if growth is not None and growth > MOST_GROWTH:
            found.append(f"{self.name}: memory grows by {100 * growth:.1f} % per hour")
        third = len(self.quiet) // 3
        for index, what in enumerate(("threads", "open files", "sockets")):
            if third < 3:
                break
            sooner = max(values[index] for values in self.quiet[:third])
            later = min(values[index] for values in self.quiet[-third:])
            if later > sooner:
                found.append(f"{self.name}: {what} went from at most {sooner} to at least {later}")
        return found

    def line(self) -> str:
        """One line of a report."""
        if not self.samples:
            return f"{self.name:<24} no samples"
        first, last = self.settled()[0], self.samples[-1]
        growth = self.growth()
        told = "too short" if growth is None else f"{100 * growth:+.2f} %/h"
        threads = {sample.threads for sample in self.settled()}
        files = {sample.files for sample in self.settled()}
        return (
            f"{self.name:<24} {last.seconds - self.samples[0].seconds:6.0f} s  rss {first.rss / 1e6:6.1f} -> "
            f"{last.rss / 1e6:6.1f} MB (peak {max(sample.rss for sample in self.samples) / 1e6:.1f}, past "
            f"{(last.past - first.past) / 1e6:+.1f})  {told:>12}  "
            f"threads {min(threads)}-{max(threads)}  files {min(files)}-{max(files)}"
        )


class Sampler:
    """Watches processes from a thread until it is closed. `past` gives the bytes that each keeps of the run's past."""

    def __init__(self, past: Callable[[], int]) -> None:
        self._past = past
        self.tracks: list[Track] = []
        self._began = time.monotonic()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._main, daemon=True)
        self._thread.start()

    def add(self, name: str, pid: int) -> Track:
        """Watch another process."""
        track = Track(name, psutil.Process(pid))
        self.tracks.append(track)
        return track

    def write(self, path: Path) -> None:
        """All samples as a table."""
        rows = (
            "process,seconds,rss,past,threads,files",
            *(
                f"{track.name},{each.seconds:.1f},{each.rss},{each.past},{each.threads},{each.files}"
                for track in self.tracks
                for each in track.samples
            ),
        )
        path.write_text("\n".join(rows) + "\n")

    def close(self) -> None:
        """Stop looking."""
        self._over.set()
        self._thread.join()

    def _main(self) -> None:
        while not self._over.wait(EVERY):
            for track in list(self.tracks):
                track.look(self._began, self._past())


def descriptors(pid: int) -> tuple[int, int]:
    """Open descriptors of a process: those that are no sockets, and the sockets."""
    files = sockets = 0
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        with contextlib.suppress(OSError):
            if os.readlink(f"{folder}/{name}").startswith("socket:"):
                sockets += 1
            else:
                files += 1
    return files, sockets


def quiet_look(track: Track) -> None:
    """Note threads, files and sockets now, when nothing goes on."""
    with contextlib.suppress(psutil.Error, OSError):
        track.quiet.append((track.process.num_threads(), *descriptors(track.process.pid)))


def cpu_share(pid: int, seconds: float) -> float:
    """The share of a core that a process takes over so many seconds."""
    process = psutil.Process(pid)
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    time.sleep(seconds)
    return float(sum(process.cpu_times()[:2]) - before) / (time.monotonic() - began)
