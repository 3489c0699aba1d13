"""A run on disk, as its one writer or as a reader holds it.

    <root>/<name>/
      run.json   profile.toml   metrics.jsonl   events.jsonl   lock   checkpoints/

Importing this module does not import torch; reading and writing checkpoints does.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
import os
import platform
import re
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import run_listing, run_removal, strict_json
from engine.checkpoint_store import CheckpointStore, Found
from engine.durable import DISK, Disk, clear_temporaries, reason, replace_file, write_file
from engine.errors import RunError
from engine.json_lines import JsonLinesWriter, Records, read_records, read_samples
from engine.run_listing import EVENTS, METRICS, RUN_JSON, RunInfo, plain_text
from engine.run_lock import RunLock, host_name, process_start

if TYPE_CHECKING:
    from engine.checkpoint import Checkpoint

PROFILE = "profile.toml"
CHECKPOINTS = "checkpoints"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_RESERVED = ("latest",)


class RunFolder:
    """One run's folder. Made by `create` (a new run), `open` (to go on writing) or `read` (to look, without the lock).

    `record` is what run.json holds. What writes run.json, metrics and events is used by one thread at a time; what
    saves and reads checkpoints may be used by another.
    """

    def __init__(self, path: Path, record: dict[str, Any], lock: RunLock | None, disk: Disk = DISK) -> None:
        self.path = path
        self.record = record
        self.checkpoints = CheckpointStore(path / CHECKPOINTS, disk)
        self._disk = disk
        self._lock = lock
        self._before: dict[str, Any] | None = None
        """What run.json held before this session, until this session has got further than "starting"."""
        self._metrics = JsonLinesWriter(path / METRICS, disk)
        self._events = JsonLinesWriter(path / EVENTS, disk)

    @classmethod
    def create(
        cls,
        root: Path,
        name: str | None,
        profile_name: str,
        profile_toml: str,
        info: Mapping[str, object],
        disk: Disk = DISK,
    ) -> RunFolder:
        """Make the folder of a new run under `root` and hold its lock.

        Without a `name` it is "<profile>-YYYYMMDD-HHMMSS", numbered where that is taken. `info` (seed, device,
        total_steps, ...) goes into run.json. RunError for a bad or taken name and when the disk refuses; then no folder
        is left behind.
        """
        path = _make_folder(root, name, profile_name, disk)
        lock = None
        try:
            lock = RunLock.acquire(path)
            if lock is None:
                raise RunError(f"the new run folder {str(path)!r} is locked by another process")
            record = _identity(path.name, profile_name) | dict(info)
            folder = cls(path, record, lock, disk)
            disk.make_folder(path / CHECKPOINTS)
            write_file(disk, path / PROFILE, profile_toml.encode("utf-8"))
            folder.set_state("starting")
            disk.sync_folder(root)
        except BaseException as error:
            if lock is not None:
                lock.release()
            with contextlib.suppress(OSError):
                disk.remove_tree(path)
            if isinstance(error, OSError):
                raise RunError(f"cannot make the run folder {str(path)!r}: {reason(error)}") from error
            raise
        return folder

    @classmethod
    def open(cls, path: Path, disk: Disk = DISK) -> RunFolder:
        """The run in `path`, to go on writing it: takes its lock and clears what a crash left half written.

        RunError where there is no run, where another process writes it, or where this user may not.
        """
        _require_run(path)
        try:
            lock = RunLock.acquire(path)
        except OSError as error:
            raise RunError(f"cannot lock the run {str(path)!r}: {reason(error)}") from error
        record = run_listing.read_record(path) or {}
        if lock is None:
            raise RunError(
                f"the run {path.name!r} is being written by process {plain_text(str(record.get('pid', '?')))} on "
                f"{plain_text(str(record.get('host', '?')))}: attach to it, or stop it first"
            )
        folder = cls(path, record, lock, disk)
        clear_temporaries(disk, path)
        folder.checkpoints.clear_temporaries()
        try:
            if not folder.checkpoints_dir.is_dir():
                disk.make_folder(folder.checkpoints_dir)
            sessions = record.get("sessions")
            count = sessions + 1 if type(sessions) is int else 2
            fresh = _identity(path.name, str(record.get("profile", "?")))
            folder.record = fresh | record | {key: fresh[key] for key in _OF_THE_PROCESS} | {"sessions": count}
            folder.record.pop("error", None)  # it was the earlier session's
            folder.set_state("starting")
            folder._before = record or None
        except BaseException as error:
            folder.close()
            if isinstance(error, OSError):
                raise RunError(f"cannot open the run {str(path)!r} for writing: {reason(error)}") from error
            raise
        return folder

    @classmethod
    def read(cls, path: Path) -> RunFolder:
        """The run in `path`, to look at: no lock, and every method that writes raises RunError."""
        _require_run(path)
        return cls(path, run_listing.read_record(path) or {}, None)

    @staticmethod
    def find(root: Path, name: str | Path | None = None) -> Path:
        """The folder of the run called `name`: see `run_listing.find_run`."""
        return run_listing.find_run(root, name)

    @staticmethod
    def list(root: Path) -> list[RunInfo]:
        """The runs under `root`, newest first: see `run_listing.list_runs`."""
        return run_listing.list_runs(root)

    @staticmethod
    def delete(root: Path, name: str) -> int:
        """Remove the run called `name` from `root`; the bytes that it took: see `run_removal.delete_run`."""
        return run_removal.delete_run(root, name)

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def checkpoints_dir(self) -> Path:
        return self.checkpoints.folder

    @property
    def profile_toml(self) -> str:
        """The resolved profile saved with the run. RunError when it cannot be read."""
        try:
            return (self.path / PROFILE).read_text("utf-8")
        except FileNotFoundError:
            raise RunError(f"the run {self.name!r} has no {PROFILE}") from None
        except UnicodeDecodeError:
            raise RunError(f"{PROFILE} of the run {self.name!r} is not UTF-8 text") from None
        except OSError as error:
            raise RunError(f"cannot read {PROFILE} of the run {self.name!r}: {reason(error)}") from error

    def replace_profile(self, toml: str) -> None:
        """Save another resolved profile: a live edit, or what a resumed run was started with. RunError on failure."""
        self._require_lock()
        try:
            replace_file(self._disk, self.path / PROFILE, toml.encode("utf-8"))
        except OSError as error:
            raise RunError(f"cannot write {PROFILE} in {str(self.path)!r}: {reason(error)}") from error

    def set_state(self, state: str, **fields: object) -> None:
        """Rewrite run.json in one step with `state`, the time and `fields`. RunError when the disk refuses."""
        self._require_lock()
        record = self.record | fields | {"state": state, "updated": time.time()}
        try:
            data = strict_json.dumps({key: _writable(value) for key, value in record.items()})
        except strict_json.JsonFault as fault:
            raise RunError(f"run.json of {self.name!r} cannot be written: {fault}") from None
        try:
            replace_file(self._disk, self.path / RUN_JSON, data + b"\n")
        except OSError as error:
            raise RunError(f"cannot write {RUN_JSON} in {str(self.path)!r}: {reason(error)}") from error
        self.record = record
        if state != "starting":
            self._before = None

    def append_metrics(self, metrics: Mapping[str, object]) -> None:
        """Add one iteration's metrics, non-finite numbers as null. RunError when the disk refuses: worth a warning."""
        self._require_lock()
        self._metrics.append(metrics)

    def append_event(self, kind: str, **fields: object) -> None:
        """Add an event with the time, now unless `fields` has it. RunError when the disk refuses: worth a warning."""
        self._require_lock()
        self._events.append({"time": time.time(), "kind": kind, **fields})

    def sync_lines(self) -> None:
        """Return once all metrics and events are on the medium. RunError when the disk refuses."""
        self._require_lock()
        try:
            self._metrics.sync()
        finally:
            self._events.sync()

    def read_metrics(self, limit: int | None = None) -> Records:
        """Metrics, oldest first; with `limit` those of the last so many iterations. A torn last line is left out."""
        return read_records(self.path / METRICS, limit)

    def sample_metrics(self, count: int) -> Records:
        """At most `count` iterations' metrics from all over the run, at a cost that does not grow with its length."""
        return read_samples(self.path / METRICS, count)

    def read_events(self, limit: int | None = None) -> Records:
        """Events, oldest first; with `limit` the last so many."""
        return read_records(self.path / EVENTS, limit)

    def truncate_metrics_after(self, iteration: int) -> int:
        """Drop the metrics of later iterations, which a resumed run will do again; returns how many went."""
        self._require_lock()

        def done(record: dict[str, Any]) -> bool:
            number = record.get("iteration")
            return isinstance(number, int | float) and number <= iteration

        return self._metrics.cut_after(done)

    def save_checkpoint(self, step: int, checkpoint: Checkpoint, score: float | None = None, keep: int = 3) -> Path:
        """Save durably and prune: see `CheckpointStore.save`. `sync_lines` belongs before it."""
        self._require_lock()
        return self.checkpoints.save(step, checkpoint, score, keep)

    def newest_good(self, groups: Iterable[str] | None = None) -> Found:
        """The newest checkpoint without a fault and one line for each newer one: see `CheckpointStore.newest_good`."""
        return self.checkpoints.newest_good(groups)

    def best(self) -> Path | None:
        """The checkpoint with the highest score, None where none has one."""
        return self.checkpoints.best()

    def close(self) -> None:
        """Close the files and let the next writer in.

        The state stays as it was last set. A session that opened a run and never got further than "starting", because
        there was no checkpoint to resume say, leaves run.json as it was: a finished run stays finished.
        """
        if self._lock is not None and self._before is not None:
            with contextlib.suppress(OSError, strict_json.JsonFault):
                replace_file(self._disk, self.path / RUN_JSON, strict_json.dumps(self._before) + b"\n")
        self._metrics.close()
        self._events.close()
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def __enter__(self) -> RunFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _require_lock(self) -> None:
        if self._lock is None:
            raise RunError(f"the run {self.name!r} is not open for writing")


_OF_THE_PROCESS = ("pid", "process_start", "host", "versions")


def _identity(name: str, profile_name: str) -> dict[str, Any]:
    """What run.json says about a run and the process that writes it."""
    return {
        "name": name,
        "profile": profile_name,
        "created": time.time(),
        "sessions": 1,
        "pid": os.getpid(),
        "process_start": process_start(os.getpid()),
        "host": host_name(),
        "versions": {
            "perx-tui": _version("perx-tui"),
            "torch": _version("torch"),
            "python": platform.python_version(),
        },
    }


def _version(package: str) -> str | None:
    """Version of an installed package, without importing it."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _writable(value: object) -> object:
    """Numbers that JSON cannot hold become null: run.json must be writable whatever a metric turned into."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


def _require_run(path: Path) -> None:
    if not path.is_dir():
        raise RunError(f"there is no run folder {str(path)!r}")
    if not run_listing.is_run(path):
        raise RunError(f"{str(path)!r} is not a run folder: it has no {RUN_JSON}")


def _make_folder(root: Path, name: str | None, profile_name: str, disk: Disk) -> Path:
    """A new, empty folder under `root` by the user's name or one of our own."""
    if name is not None and (not _NAME.fullmatch(name) or name in _RESERVED):
        raise RunError(
            f"the run name {name!r} will not do: 1 to 80 letters, digits, '.', '_' or '-', beginning with a letter or "
            f"digit, and not {_RESERVED[0]!r}"
        )
    try:
        if not root.is_dir():
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
            disk.sync_folder(root.parent)
        if name is not None:
            disk.make_folder(root / name)
            return root / name
        stem = re.sub(r"[^A-Za-z0-9._-]", "-", profile_name).lstrip("._-")[:50] or "run"
        stem += time.strftime("-%Y%m%d-%H%M%S")
        for number in range(1, 1000):
            path = root / (stem if number == 1 else f"{stem}-{number}")
            try:
                disk.make_folder(path)
            except FileExistsError:
                continue
            return path
        raise RunError(f"a thousand runs named {stem!r} are in {str(root)!r}: pass a name")
    except FileExistsError:
        if name is None or not root.is_dir():
            raise RunError(f"{str(root)!r} is not a folder: pass another one for the runs") from None
        raise RunError(f"a run named {name!r} is in {str(root)!r} already: take another name, or resume it") from None
    except OSError as error:
        raise RunError(f"cannot make a run folder in {str(root)!r}: {reason(error)}") from error
