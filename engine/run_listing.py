"""The runs of a folder, told truly and quickly, and a run found by what a person types."""

from __future__ import annotations

import difflib
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine import strict_json
from engine.errors import RunError
from engine.json_lines import read_tail
from engine.run_lock import writer_lives

RUN_JSON = "run.json"
METRICS = "metrics.jsonl"
EVENTS = "events.jsonl"

ENDED = ("finished", "failed", "stopped")
"""States that no process has to live for."""

_RUN_JSON_BYTES = 1 << 20
_TEXT_LENGTH = 100
_MOST = 2**63
"""No step, seed or process has such a number; what has it was not written by a run."""


@dataclass(frozen=True, slots=True)
class RunInfo:
    """A run as a list shows it. Texts are safe to print; what is not known is None.

    `state` is true now: that of run.json, "lost" where its process is gone without an end, "unreadable" where run.json
    is damaged. `score` is the last mean episode score, `sps` steps per second of the last iteration, `bytes` what the
    run takes on disk, `started` and `updated` are in seconds since the epoch.
    """

    name: str
    path: Path
    state: str
    step: int | None = None
    total_steps: int | None = None
    score: float | None = None
    sps: float | None = None
    bytes: int | None = None
    started: float | None = None
    updated: float | None = None
    profile: str = ""
    seed: int | None = None
    device: str = ""
    pid: int | None = None
    host: str = ""

    @property
    def live(self) -> bool:
        """A process trains this run."""
        return self.state not in (*ENDED, "lost", "unreadable")


def plain_text(text: str, limit: int = _TEXT_LENGTH) -> str:
    """`text` with all that a terminal or a markup language could act on written as an escape, cut to `limit`."""
    shown = "".join(c if c.isprintable() and c not in "[]\\" else ascii(c)[1:-1] for c in text)
    shown = shown.replace("[", "\\x5b").replace("]", "\\x5d")
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"


def is_run(path: Path) -> bool:
    """`path` is a run's folder: it has a run.json, or the remains of one that lost it."""
    try:
        return (path / RUN_JSON).is_file() or ((path / "profile.toml").is_file() and (path / "checkpoints").is_dir())
    except OSError:
        return False


def read_record(path: Path) -> dict[str, Any] | None:
    """What run.json of the run in `path` holds; None where it is missing or damaged."""
    try:
        if not (path / RUN_JSON).is_file():
            return None
        with open(path / RUN_JSON, "rb") as file:
            record = strict_json.loads(file.read(_RUN_JSON_BYTES))
    except (OSError, strict_json.JsonFault):
        return None
    return record if isinstance(record, dict) else None


def list_runs(root: Path) -> list[RunInfo]:
    """The runs under `root`, newest first. Other folders and files are left out; empty where `root` is not there."""
    try:
        with os.scandir(root) as entries:
            paths = [root / entry.name for entry in entries if not entry.name.startswith(".")]
    except OSError:
        return []
    return newest_first(run_info(path) for path in paths if is_run(path))


def newest_first(runs: Iterable[RunInfo]) -> list[RunInfo]:
    """`runs` in the order in which they are listed."""
    return sorted(runs, key=lambda run: (run.started or 0.0, run.name), reverse=True)


def run_info(path: Path, *, measure: bool = True) -> RunInfo:
    """One run, from its run.json and the end of its metrics. Never raises, whatever the files hold.

    Without `measure` its `bytes` stay unknown: to measure them takes a look at every file of the run.
    """
    name = plain_text(path.name)
    size = folder_bytes(path) if measure else None
    record = read_record(path)
    if record is None:
        return RunInfo(name, path, "unreadable", bytes=size, started=_modified(path))
    state = _state(path, record)
    if state == "lost":
        # A run writes its end before it lets go: it may have done both since the record was read.
        record = read_record(path) or record
        state = _state(path, record)
    last = _last_metrics(path / METRICS)
    return RunInfo(
        name=name,
        path=path,
        state=state,
        step=_integer(last.get("step", record.get("step"))),
        total_steps=_integer(record.get("total_steps")),
        score=_number(last.get("episode/score", record.get("score"))),
        sps=_number(last.get("sps")),
        bytes=size,
        started=_number(record.get("created")),
        updated=_modified(path / METRICS) or _number(record.get("updated")),
        profile=_text(record.get("profile")),
        seed=_integer(record.get("seed")),
        device=_text(record.get("device")),
        pid=_integer(record.get("pid")),
        host=_text(record.get("host")),
    )


def find_run(root: Path, name: str | Path | None = None) -> Path:
    """The folder of the run that `name` means: its name under `root`, a path, or the beginning of one name only.

    None or "latest" mean the newest run. RunError, which names what is near, where there is none or more than one.
    """
    if name is not None and is_run(root / name):  # an absolute `name` stands for itself here
        return root / name
    if name is not None and (isinstance(name, Path) or os.sep in name or is_run(Path(name))):
        if is_run(Path(name)):
            return Path(name)
        raise RunError(f"{str(name)!r} is not a run folder: it has no {RUN_JSON}")
    if name is None or name == "latest":
        runs = list_runs(root)
        if runs:
            return runs[0].path
        raise RunError(f"there are no runs in {str(root)!r}: start one, or name another folder with --runs")
    names = _run_names(root)
    begin = [known for known in names if known.startswith(name)] if name else []
    if len(begin) == 1:
        return root / begin[0]
    if begin:
        raise RunError(
            f"'{plain_text(name)}' is the beginning of {len(begin)} runs: {_some(begin)}; type more of the name"
        )
    if not names:
        raise RunError(
            f"there is no run '{plain_text(name)}': {str(root)!r} holds no runs; name another folder with --runs"
        )
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5) or [known for known in names if name in known]
    hint = f"did you mean {_some(near)}?" if near else f"there are {_some(names)}"
    raise RunError(f"there is no run '{plain_text(name)}' in {str(root)!r}: {hint}")


def folder_bytes(path: Path) -> int:
    """Bytes of the files below `path`, without following links; what cannot be read counts nothing."""
    total = 0
    folders = [os.fspath(path)]
    while folders:
        try:
            with os.scandir(folders.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        folders.append(entry.path)
                    elif entry.is_file(follow_symlinks=False):
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


def _state(path: Path, record: dict[str, Any]) -> str:
    state = record.get("state")
    if not isinstance(state, str):
        return "unreadable"
    if state not in ENDED and not writer_lives(
        path, record.get("pid"), record.get("process_start"), record.get("host")
    ):
        return "lost"
    return plain_text(state, 20)


def _last_metrics(path: Path) -> dict[str, Any]:
    """The newest value of each key that a list shows; an iteration without an episode's end has no score."""
    last: dict[str, Any] = {}
    for record in read_tail(path):
        last.update({key: record[key] for key in ("step", "sps", "episode/score") if record.get(key) is not None})
    return last


def _run_names(root: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(root) if not name.startswith(".") and is_run(root / name))
    except OSError:
        return []


def _some(names: list[str]) -> str:
    shown = ", ".join(plain_text(name) for name in names[:4])
    return f"{shown} and {len(names) - 4} more" if len(names) > 4 else shown


def _modified(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None


def _text(value: object) -> str:
    return plain_text(value) if isinstance(value, str) else ""


def _integer(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return int(value) if abs(value) < _MOST else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
