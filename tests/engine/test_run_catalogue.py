"""The catalogue lists what a fresh listing would, and reads only what has changed."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from engine import run_catalogue
from engine.durable import Disk, Space
from engine.run_catalogue import RunCatalogue
from engine.run_folder import RunFolder
from engine.run_listing import list_runs
from engine.run_removal import delete_run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


def make(root: Path, name: str, created: float = 1000.0) -> Path:
    path = root / name
    (path / "checkpoints").mkdir(parents=True)
    (path / "run.json").write_text(json.dumps({"name": name, "state": "finished", "created": created}))
    (path / "metrics.jsonl").write_text('{"step": 5, "sps": 2.0}\n')
    return path


@dataclass
class Looks:
    """Which runs were read, and which measured."""

    read: list[str]
    measured: list[str]

    def clear(self) -> None:
        self.read.clear()
        self.measured.clear()


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> Looks:
    seen = Looks([], [])
    info, size = run_catalogue.run_info, run_catalogue.folder_bytes

    def counted_info(path: Path, **options: Any) -> Any:
        seen.read.append(path.name)
        return info(path, **options)

    def counted_size(path: Path) -> int:
        seen.measured.append(path.name)
        return size(path)

    monkeypatch.setattr(run_catalogue, "run_info", counted_info)
    monkeypatch.setattr(run_catalogue, "folder_bytes", counted_size)
    return seen


def test_it_lists_what_a_fresh_listing_does_through_every_change(root: Path) -> None:
    catalogue = RunCatalogue(root)
    assert catalogue.list() == list_runs(root) == []
    make(root, "a", 1.0)
    make(root, "b", 2.0)
    assert catalogue.list() == list_runs(root) != []
    with RunFolder.create(root, "live", "breakout", "[env]\n", {"total_steps": 100}) as live:
        assert catalogue.list() == list_runs(root)
        live.set_state("running")
        live.append_metrics({"iteration": 1, "step": 10, "sps": 3.0, "episode/score": 1.5})
        assert catalogue.list() == list_runs(root)
        (live.checkpoints_dir / "step-000000000010").mkdir()
        (live.checkpoints_dir / "step-000000000010" / "policy.safetensors").write_bytes(b"x" * 999)
        assert catalogue.list() == list_runs(root)
    assert {run.name: run.state for run in catalogue.list()}["live"] == "lost"
    assert catalogue.list() == list_runs(root)
    (root / "a" / "run.json").write_text("junk")
    assert catalogue.list() == list_runs(root)
    delete_run(root, "a")
    assert catalogue.list() == list_runs(root)
    assert {run.name for run in catalogue.list()} == {"b", "live"}


def test_runs_that_rest_are_not_read_again(root: Path, looks: Looks) -> None:
    for number in range(5):
        make(root, f"run-{number}")
    catalogue = RunCatalogue(root)
    first = catalogue.list()
    assert sorted(looks.read) == sorted(looks.measured) == [f"run-{number}" for number in range(5)]
    looks.clear()
    assert catalogue.list() == first
    assert looks == Looks([], [])
    with (root / "run-3" / "metrics.jsonl").open("a") as file:
        file.write('{"step": 6}\n')
    (run,) = (run for run in catalogue.list() if run.name == "run-3")
    assert run.step == 6
    assert looks == Looks(["run-3"], ["run-3"])


def test_a_run_whose_process_ends_without_a_trace_is_seen_as_lost(root: Path) -> None:
    """No file changes when a process is killed: live runs are looked at every time."""
    catalogue = RunCatalogue(root)
    folder = RunFolder.create(root, "run", "breakout", "[env]\n", {})
    folder.set_state("running")
    assert [run.state for run in catalogue.list()] == ["running"]
    folder.close()
    assert [run.state for run in catalogue.list()] == ["lost"]


def test_sizes_come_bit_by_bit_where_there_is_no_time_for_all(root: Path, looks: Looks) -> None:
    for number in range(4):
        make(root, f"run-{number}")
    now = iter(range(100))
    catalogue = RunCatalogue(root, clock=lambda: float(next(now)))
    for known in (2, 4):
        assert sum(run.bytes is not None for run in catalogue.list(seconds=2.5)) == known
    looks.clear()
    assert catalogue.list(seconds=0) == list_runs(root)
    assert looks.measured == []


def test_a_size_that_cannot_be_measured_in_time_stays_that_of_the_last_time(root: Path) -> None:
    path = make(root, "run")
    catalogue = RunCatalogue(root)
    (before,) = catalogue.list()
    with (path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 77}\n')
    (hasty,) = catalogue.list(seconds=0)
    assert (hasty.step, hasty.bytes) == (77, before.bytes)
    (after,) = catalogue.list()
    assert after.bytes == (before.bytes or 0) + len('{"step": 77}\n')


def test_the_free_bytes_are_those_of_the_disk(root: Path) -> None:
    class Small(Disk):
        def space(self, path: Path) -> Space:
            return Space(12, 100)

    assert RunCatalogue(root, Small()).free_bytes() == 12
    assert RunCatalogue(root / "absent").free_bytes() is None
    os.makedirs(root)
    assert (RunCatalogue(root).free_bytes() or 0) > 0
