"""The books of a run, kept from outside: what its folder says is followed line by line, and nothing may be lost."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from array import array
from pathlib import Path
from typing import Any

from engine import CheckpointError
from engine.checkpoint import read_checkpoint
from engine.metric_history import HISTORY

from .screens import wait_until

Record = dict[str, Any]
EVENT_SECONDS = 60.0


class Violation(Exception):
    """Something that must not happen has happened."""


class Ledger:
    """Follows metrics.jsonl and events.jsonl of a run, and looks at every checkpoint once."""

    def __init__(self, run: Path, steps_per_iteration: int) -> None:
        self.run = run
        self.iteration = self.numbers = 0
        """The newest iteration, and how many numbers its row has."""
        self.events: list[Record] = []
        self.checkpoints: dict[str, int] = {}
        """Every checkpoint that was looked at and found good, with its iteration."""
        self.slowest_load = 0.0
        self._steps = steps_per_iteration
        self._digests: list[bytes] = []
        self._rows = _Follower(run / "metrics.jsonl")
        self._happened = _Follower(run / "events.jsonl")

    def read(self) -> None:
        """Take in what is new. Violation when an iteration is missing, repeated, or has the wrong steps."""
        for line in self._rows.lines():
            row = json.loads(line)
            if row["iteration"] != self.iteration + 1:
                raise Violation(f"metrics.jsonl: iteration {row['iteration']} follows {self.iteration}")
            if row["step"] != row["iteration"] * self._steps:
                raise Violation(f"metrics.jsonl: iteration {row['iteration']} stands at step {row['step']}")
            self.iteration, self.numbers = self.iteration + 1, len(row)
            self._digests.append(hashlib.sha256(line).digest())
        self.read_events()

    def history_bytes(self) -> int:
        """What a process keeps of so many iterations (engine/metric_history.py)."""
        row = sys.getsizeof(array("d", bytes(8 * self.numbers))) + sys.getsizeof((0, 0)) + 8
        return min(self.iteration, HISTORY) * row

    def read_events(self) -> None:
        """Take in new events only. Violation when the run reports an error."""
        for line in self._happened.lines():
            self.events.append(json.loads(line))
            if self.events[-1]["kind"] == "error":
                raise Violation(f"the run reports an error: {self.events[-1]}")

    def wait_for_event(self, kind: str, since: int, after: str, **fields: object) -> Record:
        """The first event of a kind with such fields, the first `since` events left out. It must come `after` something
        was done: Violation, naming that, when it does not."""
        found: list[Record] = []

        def look() -> bool:
            self.read()
            found.extend(
                event
                for event in self.events[since:]
                if event["kind"] == kind and all(event.get(key) == value for key, value in fields.items())
            )
            return bool(found)

        if not wait_until(look, EVENT_SECONDS, 0.1):
            raise Violation(f"no event {kind} {fields} within {EVENT_SECONDS:.0f} s after {after}")
        return found[0]

    def wait_for_iterations(self, count: int, seconds: float = 60) -> float:
        """Wait for so many more iterations; the seconds it took. Violation when they do not come."""
        began, goal = time.monotonic(), self.iteration + count

        def look() -> bool:
            self.read()
            return self.iteration >= goal

        if not wait_until(look, seconds, 0.1):
            raise Violation(f"no {count} iterations within {seconds:.0f} s: it stands at {self.iteration}")
        return time.monotonic() - began

    def newest_checkpoint(self) -> tuple[str, int]:
        """Name and iteration of the checkpoint that a resume has to take."""
        self.look_at_checkpoints()
        names = [name for name in _names(self.run) if name in self.checkpoints]
        if not names:
            raise Violation("there is no checkpoint")
        return names[-1], self.checkpoints[names[-1]]

    def resumed(self, iteration: int) -> None:
        """The run has gone on from the checkpoint of this iteration: all rows up to it are as they were."""
        if iteration > self.iteration:
            raise Violation(f"resumed at iteration {iteration}, of which only {self.iteration} were recorded")
        self._rows = _Follower(self.run / "metrics.jsonl")
        kept = self._rows.lines()[:iteration]
        if [hashlib.sha256(line).digest() for line in kept] != self._digests[:iteration]:
            raise Violation(f"metrics.jsonl up to iteration {iteration} is not what it was before the resume")
        self._rows.offset = sum(len(line) + 1 for line in kept)
        del self._digests[iteration:]
        self.iteration = iteration

    def look_at_checkpoints(self) -> None:
        """Check what is new in checkpoints/: sizes and digests by hand, then as a resume reads it."""
        for name in _names(self.run):
            if name in self.checkpoints:
                continue
            folder = self.run / "checkpoints" / name
            began = time.monotonic()
            try:
                manifest = json.loads((folder / "manifest.json").read_bytes())
                for group, told in manifest["groups"].items():
                    data = (folder / f"{group}.safetensors").read_bytes()
                    if len(data) != told["bytes"] or hashlib.sha256(data).hexdigest() != told["sha256"]:
                        raise Violation(f"{name}: {group} is not what its manifest says")
                read_checkpoint(folder)
            except (FileNotFoundError, CheckpointError) as error:
                if name in _names(self.run):
                    raise Violation(f"{name} cannot be read: {error}") from None
                continue  # pruned meanwhile
            self.slowest_load = max(self.slowest_load, time.monotonic() - began)
            self.checkpoints[name] = manifest["step"] // self._steps

    def left_over(self) -> list[str]:
        """What lies in checkpoints/ and is no checkpoint."""
        return [name for name in os.listdir(self.run / "checkpoints") if not name.startswith("step-")]

    def profile_has(self, key: str, value: object) -> bool:
        """Whether profile.toml of the run says so."""
        from engine import Profile

        return bool(Profile.load(self.run / "profile.toml").info(key).value == value)


class _Follower:
    """Reads whole lines that were added to a file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0

    def lines(self) -> list[bytes]:
        """The lines that have come since the last call, without their ends."""
        if not self.path.exists():
            return []
        with open(self.path, "rb") as file:
            file.seek(self.offset)
            data = file.read()
        complete = data[: data.rfind(b"\n") + 1]
        self.offset += len(complete)
        return complete.splitlines()


def _names(run: Path) -> list[str]:
    """The checkpoints, oldest first."""
    folder = run / "checkpoints"
    names = [name for name in os.listdir(folder) if name.startswith("step-")] if folder.is_dir() else []
    return sorted(names, key=lambda name: [int(part) for part in name.split("-")[1:]])
