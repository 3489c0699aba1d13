"""What lives and what does not, and which run a person means."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import run_listing
from engine.errors import RunError
from engine.run_folder import RunFolder
from engine.run_listing import RunInfo, find_run, folder_bytes, list_runs, plain_text, run_info
from engine.run_lock import RunLock, host_name, is_locked, process_start


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def folder(root: Path) -> Iterator[RunFolder]:
    with RunFolder.create(
        root, "run", "breakout", "[env]\n", {"seed": 3, "total_steps": 1000, "device": "cpu"}
    ) as made:
        yield made


def change(folder: RunFolder, **fields: object) -> None:
    path = folder.path / "run.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | fields))


def make(root: Path, *names: str) -> None:
    """Runs that have ended, the last the newest."""
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        record = {"name": name, "state": "finished", "created": 1000.0 + number}
        (root / name / "run.json").write_text(json.dumps(record))


# --- the truth about a run ---


def test_a_run_is_listed_with_its_newest_numbers(folder: RunFolder, root: Path) -> None:
    folder.set_state("running")
    folder.append_metrics({"iteration": 1, "step": 100, "sps": 9.0, "episode/score": 4.5})
    folder.append_metrics({"iteration": 2, "step": 200, "sps": 8.0})
    (info,) = list_runs(root)
    assert info.name == "run"
    assert info.path == folder.path
    assert info.state == "running"
    assert info.live
    assert (info.step, info.total_steps, info.sps) == (200, 1000, 8.0)
    assert info.score == 4.5, "an iteration without an episode's end keeps the score before it"
    assert (info.profile, info.seed, info.device, info.pid) == ("breakout", 3, "cpu", os.getpid())
    assert info.bytes == sum(path.stat().st_size for path in folder.path.rglob("*") if path.is_file())
    assert info.started is not None
    assert abs(info.started - time.time()) < 60


@pytest.mark.parametrize("state", ["starting", "running", "paused", "saving"])
def test_a_run_whose_process_is_gone_is_lost(folder: RunFolder, state: str) -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    start = process_start(child.pid)
    child.wait()
    folder.set_state(state, pid=child.pid, process_start=start)
    assert run_info(folder.path).state == "lost"
    assert not run_info(folder.path).live


def test_a_zombie_does_not_keep_a_run_alive(folder: RunFolder) -> None:
    child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
    try:
        folder.set_state("running", pid=child.pid, process_start=process_start(child.pid))
        assert run_info(folder.path).state == "running"
        child.kill()
        deadline = time.monotonic() + 20
        while run_info(folder.path).state == "running" and time.monotonic() < deadline:
            time.sleep(0.01)  # dead, but nobody has waited for it
        assert run_info(folder.path).state == "lost"
    finally:
        child.kill()
        child.communicate()


def test_another_process_that_got_the_same_number_does_not_keep_a_run_alive(folder: RunFolder) -> None:
    folder.set_state("running", process_start="an earlier one")
    assert run_info(folder.path).state == "lost"


def test_a_living_process_that_got_a_dead_ones_number_does_not_keep_its_run_alive(folder: RunFolder) -> None:
    """Only the start tells them apart: here two processes really live, and the record mixes them."""
    children = []
    for _ in range(2):
        children.append(subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE))
        time.sleep(0.03)  # more than a tick of the clock that starts are told by
    try:
        starts = [process_start(child.pid) for child in children]
        assert None not in starts
        folder.set_state("running", pid=children[0].pid, process_start=starts[0])
        assert run_info(folder.path).state == "running"
        if starts[0] == starts[1]:
            pytest.skip("both began in one tick of the clock")
        folder.set_state("running", pid=children[0].pid, process_start=starts[1])
        assert run_info(folder.path).state == "lost"
    finally:
        for child in children:
            child.communicate(b"\n")


def test_a_run_that_ends_while_it_is_looked_at_is_not_lost(
    folder: RunFolder, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at its record and the look at its lock it writes its end and lets go."""
    folder.set_state("running")
    read, ended = run_listing.read_record, False

    def read_then_end(path: Path) -> dict[str, Any] | None:
        nonlocal ended
        record = read(path)
        if not ended:
            ended = True
            folder.set_state("finished")
            folder.close()
        return record

    monkeypatch.setattr(run_listing, "read_record", read_then_end)
    assert run_info(folder.path).state == "finished"


def test_a_process_that_lives_on_without_its_run_leaves_it_lost(folder: RunFolder) -> None:
    """As after a full disk, where the end could not be written, in a process that trains the next seed."""
    folder.set_state("running")
    assert run_info(folder.path).state == "running"
    folder.close()
    assert run_info(folder.path).state == "lost"


@pytest.mark.parametrize("pid", [None, "1", 0, -1, 2**40, True, 1.5])
def test_a_process_number_that_is_none_is_not_alive(folder: RunFolder, pid: object) -> None:
    change(folder, state="running", pid=pid)
    assert run_info(folder.path).state == "lost"


def test_a_run_of_another_host_lives_only_while_its_lock_is_held(folder: RunFolder) -> None:
    """On a shared folder nothing else can tell: the process number means nothing here."""
    folder.set_state("running", host="elsewhere")
    assert run_info(folder.path).state == "running"
    folder.close()
    assert run_info(folder.path).state == "lost"


@pytest.mark.parametrize("state", ["finished", "failed", "stopped"])
def test_a_run_that_has_ended_needs_no_process(folder: RunFolder, state: str) -> None:
    folder.set_state(state, pid=2**22 + 1)
    assert run_info(folder.path).state == state


def test_a_process_is_told_from_its_successors_and_from_the_dead() -> None:
    assert process_start(os.getpid()) == process_start(os.getpid()) is not None
    time.sleep(0.05)  # the clock of a start ticks a hundred times a second
    with subprocess.Popen(["sleep", "60"]) as later:
        assert process_start(later.pid) not in (None, process_start(os.getpid()))
        later.kill()
    assert process_start(-1) is None
    assert process_start(2**22 + 1) is None


def test_looking_whether_a_folder_is_locked_does_not_keep_a_writer_out(folder: RunFolder) -> None:
    assert is_locked(folder.path)
    folder.close()
    assert not is_locked(folder.path)
    assert not is_locked(folder.path / "absent")
    lock = RunLock.acquire(folder.path)
    assert lock is not None
    lock.release()


# --- folders that are not what they should be ---


def test_folders_that_are_no_runs_are_left_out(root: Path) -> None:
    make(root, "good")
    (root / "empty").mkdir()
    (root / "file").write_text("x")
    (root / ".hidden").mkdir()
    (root / "dangling").symlink_to(root / "absent")
    (root / "folder-for-run-json" / "run.json").mkdir(parents=True)
    assert [info.name for info in list_runs(root)] == ["good"]


@pytest.mark.parametrize(
    "text", ["", "junk", "[1]", "[" * 100_000, '{"state": NaN}', '{"a": 1', "\0", "{}", '{"state": 3}']
)
def test_a_damaged_run_json_is_listed_as_unreadable(root: Path, text: str) -> None:
    make(root, "bad", "good")
    (root / "bad" / "run.json").write_text(text)
    assert {info.name: info.state for info in list_runs(root)} == {"bad": "unreadable", "good": "finished"}


def test_a_run_that_lost_its_run_json_is_listed_as_unreadable(folder: RunFolder, root: Path) -> None:
    (folder.path / "run.json").unlink()
    assert [info.state for info in list_runs(root)] == ["unreadable"]


def test_a_root_that_is_not_there_has_no_runs(root: Path) -> None:
    assert list_runs(root) == []
    root.write_text("a file")
    assert list_runs(root) == []


values = (
    st.none() | st.booleans() | st.integers() | st.just(10**400) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.lists(st.integers(), max_size=2)
)  # fmt: skip
KEYS = ("name", "profile", "state", "pid", "process_start", "host", "created", "seed", "device", "total_steps", "step")


@settings(max_examples=150, deadline=None)
@given(
    record=st.dictionaries(st.sampled_from(KEYS), values),
    metrics=st.dictionaries(st.sampled_from(("step", "sps", "episode/score")), values),
)
def test_whatever_the_files_hold_a_run_can_be_listed(
    record: dict[str, Any], metrics: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.mkdir(exist_ok=True)
    (path / "run.json").write_text(json.dumps(record))
    (path / "metrics.jsonl").write_text(json.dumps(metrics) + "\n")
    info = run_info(path)
    assert isinstance(info, RunInfo)
    for text in (info.name, info.state, info.profile, info.device, info.host):
        assert text.isprintable()
        assert "[" not in text
    for number in (info.step, info.total_steps, info.seed, info.pid):
        assert number is None or abs(number) < 2**63


def test_names_with_escape_codes_or_markup_are_shown_as_escapes(root: Path) -> None:
    make(root, "\x1b[31mred", "[bold]x", "a\nb", "right\u202eleft")
    os.mkdir(os.fsencode(root) + b"/bad\xff")
    (root / os.fsdecode(b"bad\xff") / "run.json").write_text('{"state": "finished"}')
    assert {info.name for info in list_runs(root)} == {
        "\\x1b\\x5b31mred",
        "\\x5bbold\\x5dx",
        "a\\nb",
        "right\\u202eleft",
        "bad\\udcff",
    }


def test_plain_text_leaves_ordinary_names_alone_and_cuts_long_ones() -> None:
    assert plain_text("breakout-20260101.v2_x é") == "breakout-20260101.v2_x é"
    assert plain_text("x" * 200, 10) == "x" * 9 + "…"


def test_a_long_history_is_not_read_to_list_a_run(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(root, "run")
    line = json.dumps({"iteration": 1, "step": 5, "filler": "x" * 1000}) + "\n"
    (root / "run" / "metrics.jsonl").write_text(line * 20_000 + '{"step": 6, "sps": 2.0}\n')
    parsed = 0
    loads = json.loads

    def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal parsed
        parsed += 1
        return loads(*args, **kwargs)

    monkeypatch.setattr(json, "loads", counting)
    (info,) = list_runs(root)
    assert (info.step, info.sps) == (6, 2.0)
    assert parsed < 50


def test_links_are_not_followed_for_the_size_on_disk(tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(b"x" * 1000)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "link").symlink_to(tmp_path / "big")
    (tmp_path / "run" / "loop").symlink_to(tmp_path / "run")
    (tmp_path / "run" / "a").write_bytes(b"x" * 10)
    assert folder_bytes(tmp_path / "run") == 10


# --- finding ---


def test_the_newest_run_comes_first_and_is_found_without_a_name(root: Path) -> None:
    make(root, "b", "c", "a")
    assert [info.name for info in list_runs(root)] == ["a", "c", "b"]
    assert find_run(root) == find_run(root, "latest") == root / "a"


def test_a_run_is_found_by_name_path_or_the_beginning_of_its_name(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(root, "breakout-1", "breakout-10", "maze-1")
    assert find_run(root, "breakout-1") == root / "breakout-1", "a whole name wins over a beginning"
    assert find_run(root, "maze") == root / "maze-1"
    assert find_run(root, str(root / "maze-1")) == root / "maze-1"
    assert find_run(root, root / "maze-1") == root / "maze-1"
    monkeypatch.chdir(root)
    assert find_run(Path("elsewhere"), "./maze-1") == Path("maze-1")
    assert find_run(Path("elsewhere"), "maze-1/") == Path("maze-1")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("break", r"the beginning of 2 runs: breakout-1, breakout-2; type more"),
        ("braekout-1", r"did you mean breakout-1"),
        ("out-2", r"did you mean breakout-2"),
        ("zzz", r"there are breakout-1, breakout-2, maze-1"),
        ("no/such", r"is not a run folder"),
        ("", r"the beginning of 3 runs|there is no run"),
        ("\x1b[31m", r"there is no run '\\x1b\\x5b31m'"),
        ("a\0b", r"there is no run"),
        ("x" * 5000, r"there is no run"),
    ],
)
def test_a_name_that_is_no_runs_says_what_is_near(root: Path, name: str, said: str) -> None:
    make(root, "breakout-1", "breakout-2", "maze-1")
    with pytest.raises(RunError, match=said) as caught:
        find_run(root, name)
    assert "\x1b" not in str(caught.value)
    assert len(str(caught.value)) < 500


def test_a_folder_without_runs_says_what_to_do(root: Path) -> None:
    for name in (None, "latest", "x"):
        with pytest.raises(RunError, match="--runs"):
            find_run(root, name)


def test_the_face_on_the_run_folder_is_the_same(root: Path) -> None:
    make(root, "a")
    assert RunFolder.find(root, "a") == root / "a"
    assert RunFolder.list(root) == list_runs(root)
    assert host_name()
