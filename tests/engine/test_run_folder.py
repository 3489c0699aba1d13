"""A run's folder: how it is made, written by one process at a time, and gone on with."""

from __future__ import annotations

import json
import math
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.checkpoint import Checkpoint
from engine.errors import CheckpointError, RunError
from engine.run_folder import RunFolder

INFO = {"seed": 3, "device": "cpu", "total_steps": 1000}


def create(root: Path, name: str | None = None, profile: str = "breakout") -> RunFolder:
    return RunFolder.create(root, name, profile, "[env]\n", INFO)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def folder(root: Path) -> Iterator[RunFolder]:
    with create(root, "run") as folder:
        yield folder


def run_json(folder: RunFolder) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder.path / "run.json").read_text())
    return record


# --- making ---


def test_a_new_run_says_who_it_is(folder: RunFolder) -> None:
    record = run_json(folder)
    assert record["name"] == "run"
    assert record["profile"] == "breakout"
    assert record["state"] == "starting"
    assert record["pid"] == os.getpid()
    assert record["sessions"] == 1
    assert (record["seed"], record["device"], record["total_steps"]) == (3, "cpu", 1000)
    assert abs(record["created"] - time.time()) < 60
    assert record["versions"]["torch"] == torch.__version__
    assert record["versions"]["python"] == ".".join(map(str, sys.version_info[:3]))
    assert folder.profile_toml == "[env]\n"


def test_a_run_is_private(folder: RunFolder) -> None:
    folder.append_metrics({"step": 1})
    folder.append_event("checkpoint")
    folder.save_checkpoint(1, Checkpoint({"policy": {"w": torch.zeros(1)}}))
    for path in (folder.path, *folder.path.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path


def test_a_run_without_a_name_is_named_by_profile_and_time(root: Path) -> None:
    folders = [create(root, profile="my maze!") for _ in range(3)]
    assert re.fullmatch(r"my-maze--\d{8}-\d{6}", folders[0].name)
    assert len({folder.name for folder in folders}) == 3
    for folder in folders:
        folder.close()


@pytest.mark.parametrize("profile", ["", "...", "\x1b[31m", "/etc/passwd", "x" * 500, "é"])
def test_any_profile_name_gives_a_plain_folder_name(root: Path, profile: str) -> None:
    with create(root, profile=profile) as folder:
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}", folder.name)
        assert folder.path.parent == root


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        ".hidden",
        "-x",
        "a b",
        "a/b",
        "../a",
        "\x1b[31mred",
        "[red]x[/]",
        "a\n",
        "a\0b",
        "é",
        "x" * 81,
        "latest",
    ],
)
def test_a_name_that_is_not_plain_is_refused_and_nothing_is_made(root: Path, name: str) -> None:
    with pytest.raises(RunError, match="will not do") as caught:
        create(root, name)
    assert "\x1b" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert not root.exists()


def test_a_name_that_is_taken_is_refused_and_the_run_untouched(folder: RunFolder, root: Path) -> None:
    before = run_json(folder)
    with pytest.raises(RunError, match=r"a run named 'run' is in .* already"):
        create(root, "run")
    assert run_json(folder) == before


def test_a_root_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("x")
    for name in (None, "run"):
        with pytest.raises(RunError, match="is not a folder"):
            create(tmp_path / "runs", name)
    with pytest.raises(RunError, match="cannot make a run folder"):
        create(tmp_path / "runs" / "deeper", "run")


# --- one writer ---


def test_a_second_writer_in_the_same_process_is_refused(folder: RunFolder) -> None:
    with pytest.raises(RunError, match=f"is being written by process {os.getpid()}"):
        RunFolder.open(folder.path)


def test_a_second_writer_in_another_process_is_refused_until_the_first_is_gone(root: Path) -> None:
    """Also a writer that is killed, and so closes nothing, lets the next one in."""
    script = (
        "import sys; from pathlib import Path; from engine.run_folder import RunFolder\n"
        "RunFolder.create(Path(sys.argv[1]), 'run', 'p', '', {}); print('made', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "made\n"
        with pytest.raises(RunError, match=f"process {child.pid}"):
            RunFolder.open(root / "run")
        assert RunFolder.list(root)[0].state == "starting"
        child.send_signal(signal.SIGKILL)
        child.wait()
        assert RunFolder.list(root)[0].state == "lost"
        with RunFolder.open(root / "run") as folder:
            assert folder.record["pid"] == os.getpid()


def test_the_refused_writer_changes_nothing(folder: RunFolder) -> None:
    (folder.checkpoints_dir / ".tmp-step-000000000001").mkdir()  # the first writer is at work on it
    before = run_json(folder)
    with pytest.raises(RunError):
        RunFolder.open(folder.path)
    assert (folder.checkpoints_dir / ".tmp-step-000000000001").exists()
    assert run_json(folder) == before


def test_closing_lets_the_next_writer_in(folder: RunFolder) -> None:
    folder.close()
    with RunFolder.open(folder.path) as again:
        again.append_metrics({"step": 1})
    folder.close()  # twice does no harm, and does not take the other's lock away


def test_a_reader_needs_no_lock_and_cannot_write(folder: RunFolder) -> None:
    folder.append_metrics({"step": 1})
    reader = RunFolder.read(folder.path)
    assert reader.read_metrics() == [{"step": 1}]
    assert reader.record["seed"] == 3
    for write in (
        lambda: reader.append_metrics({}),
        lambda: reader.append_event("x"),
        lambda: reader.set_state("running"),
        lambda: reader.truncate_metrics_after(0),
        lambda: reader.save_checkpoint(1, Checkpoint()),
    ):
        with pytest.raises(RunError, match="not open for writing"):
            write()


# --- going on ---


def test_going_on_keeps_the_identity_and_names_the_new_process(folder: RunFolder) -> None:
    folder.set_state("failed", error="out of memory")
    record = run_json(folder) | {"pid": 1, "process_start": "x", "host": "elsewhere"}
    folder.close()
    (folder.path / "run.json").write_text(json.dumps(record))
    with RunFolder.open(folder.path) as again:
        after = run_json(again)
    assert after["created"] == record["created"]
    assert (after["name"], after["seed"], after["total_steps"]) == ("run", 3, 1000)
    assert after["pid"] == os.getpid()
    assert after["host"] != "elsewhere"
    assert after["sessions"] == 2
    assert after["state"] == "starting"


@pytest.mark.parametrize("text", ["", "junk", "[]", '{"sessions": "x"}'])
def test_a_run_whose_run_json_is_damaged_can_be_gone_on_with(folder: RunFolder, text: str) -> None:
    folder.close()
    (folder.path / "run.json").write_text(text)
    with RunFolder.open(folder.path) as again:
        assert run_json(again)["name"] == "run"
        assert run_json(again)["state"] == "starting"


def test_a_session_that_never_gets_to_train_leaves_the_run_as_it_was(folder: RunFolder) -> None:
    """A resume that finds nothing to resume must not turn a finished run into a lost one."""
    folder.set_state("finished", step=1000)
    before = run_json(folder)
    folder.close()
    again = RunFolder.open(folder.path)
    assert run_json(again)["state"] == "starting"
    again.close()
    assert run_json(folder) == before
    with RunFolder.open(folder.path) as trained:
        trained.set_state("running")
    assert run_json(folder)["state"] == "running"


def test_the_error_of_an_earlier_session_is_forgotten(folder: RunFolder) -> None:
    folder.set_state("failed", error="out of memory")
    folder.close()
    with RunFolder.open(folder.path) as again:
        again.set_state("running")
        assert "error" not in run_json(again)


def test_the_profile_can_be_replaced_by_an_edited_one(folder: RunFolder) -> None:
    folder.replace_profile("[env]\nagents = 2\n")
    assert folder.profile_toml == "[env]\nagents = 2\n"
    assert RunFolder.read(folder.path).profile_toml == folder.profile_toml


def test_opening_clears_what_a_crash_left(folder: RunFolder) -> None:
    folder.close()
    (folder.path / ".tmp-run.json").write_text("torn")
    (folder.checkpoints_dir / ".tmp-step-000000000001").mkdir()
    (folder.checkpoints_dir / ".tmp-step-000000000001" / "policy.safetensors").write_text("torn")
    RunFolder.open(folder.path).close()
    assert not list(folder.path.rglob(".tmp-*"))


@pytest.mark.parametrize("what", ["absent", "file", "empty"])
def test_what_is_no_run_is_refused(tmp_path: Path, what: str) -> None:
    path = tmp_path / what
    if what == "file":
        path.write_text("x")
    if what == "empty":
        path.mkdir()
    for use in (RunFolder.open, RunFolder.read):
        with pytest.raises(RunError, match="run folder"):
            use(path)
    assert not (tmp_path / what / "lock").exists()


# --- run.json, metrics and events ---


def test_a_state_is_kept_with_its_fields(folder: RunFolder) -> None:
    folder.set_state("running", step=5)
    folder.set_state("failed", error="it broke", loss=math.nan, where=Path("x"))
    record = run_json(folder)
    assert (record["state"], record["step"], record["error"]) == ("failed", 5, "it broke")
    assert record["loss"] is None
    assert record["where"] == "x"
    assert record == folder.record | {"loss": None, "where": "x"}


def test_a_field_that_json_cannot_hold_leaves_run_json_as_it_was(folder: RunFolder) -> None:
    with pytest.raises(RunError, match=r"run\.json of 'run' cannot be written: odd is a object"):
        folder.set_state("running", odd=object())
    assert run_json(folder)["state"] == "starting"
    folder.set_state("running")


def test_events_carry_their_time_and_kind(folder: RunFolder) -> None:
    folder.append_event("edit", key="train.clip", old=0.2, new=0.1, step=64)
    (event,) = folder.read_events()
    assert abs(event.pop("time") - time.time()) < 60
    assert event == {"kind": "edit", "key": "train.clip", "old": 0.2, "new": 0.1, "step": 64}


def test_metrics_after_an_iteration_are_dropped_for_resuming(folder: RunFolder) -> None:
    for iteration in range(1, 6):
        folder.append_metrics({"iteration": iteration, "step": 10 * iteration})
    with open(folder.path / "metrics.jsonl", "ab") as file:
        file.write(b'{"iteration": 6, "st')
    assert folder.truncate_metrics_after(3) == 2
    folder.append_metrics({"iteration": 4, "step": 41})
    assert [(record["iteration"], record["step"]) for record in folder.read_metrics()] == [
        (1, 10), (2, 20), (3, 30), (4, 41),
    ]  # fmt: skip
    assert [record["iteration"] for record in folder.read_metrics(limit=2)] == [3, 4]


def test_dropping_from_metrics_that_do_not_exist_drops_none(folder: RunFolder) -> None:
    assert folder.truncate_metrics_after(3) == 0
    assert folder.read_metrics() == []


# --- checkpoints ---


def test_a_saved_checkpoint_is_the_newest_and_the_best(folder: RunFolder) -> None:
    path = folder.save_checkpoint(64, Checkpoint({"policy": {"w": torch.ones(2)}}, {"iteration": 1}), score=2.0)
    assert path == folder.checkpoints_dir / "step-000000000064"
    found, checkpoint, skipped = folder.newest_good()
    assert (found, skipped) == (path, [])
    assert checkpoint.manifest == {"iteration": 1}
    assert torch.equal(checkpoint.tensors["policy"]["w"], torch.ones(2))
    assert folder.best() == path


def test_metrics_and_events_are_made_durable_when_asked_for(folder: RunFolder) -> None:
    """After a power loss a resumed run must not lack the history of the checkpoint it resumes from."""
    done: list[str] = []
    disk = folder._disk

    class Witness(type(disk)):  # type: ignore[misc]
        def sync(self, descriptor: int) -> None:
            done.append(os.readlink(f"/proc/self/fd/{descriptor}").rpartition("/")[2])
            super().sync(descriptor)

    folder._metrics._disk = folder._events._disk = folder.checkpoints._disk = Witness()
    folder.append_metrics({"step": 1})
    folder.append_event("x")
    assert done == []
    folder.sync_lines()
    folder.save_checkpoint(1, Checkpoint({"policy": {}}))
    assert done == ["metrics.jsonl", "events.jsonl", "policy.safetensors", "manifest.json"]


def test_a_run_without_a_checkpoint_says_so(folder: RunFolder) -> None:
    with pytest.raises(CheckpointError, match="no checkpoint"):
        folder.newest_good()
    assert folder.best() is None


def test_the_run_folder_is_imported_without_torch() -> None:
    """`perx-tui runs` answers at once; torch alone takes seconds to import."""
    script = (
        "import sys, engine.run_folder\n"
        "sys.exit(' '.join({'torch', 'safetensors', 'textual', 'rich'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.strip()) == (0, "")
