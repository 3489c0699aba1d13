"""`--seeds N`: a group of runs from one command."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import Profile, RunFolder
from perx_tui.cli import main
from perx_tui.errors import UsageError
from perx_tui.seed_group import plan

from ...synthetic_runs import rows, write_run
from ..program import TINY, checkpoints, environment, metrics
from .conftest import Answer

STEPS = ("--steps", "5120")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


def test_a_group_trains_its_seeds_in_turn_and_what_is_finished_is_not_done_again(
    perx_tui: Callable[..., Answer], folder: Path
) -> None:
    """Twice the same command, the second time with one seed more."""
    command = ("--profile", "tiny.toml", "--name", "g", "--seed", "4", *STEPS)
    first = perx_tui(*command, "--seeds", "2", "--json")
    assert first.code == 0
    *iterations, last = [json.loads(line) for line in first.out.splitlines()]
    assert [(row["run"], row["seed"]) for row in iterations] == [("g-s4", 4)] * 20 + [("g-s5", 5)] * 20
    assert {key: value for key, value in iterations[0].items() if key not in ("run", "seed")} == metrics(
        folder / "runs" / "g-s4"
    )[0]
    (group,) = last["comparison"]["groups"]
    assert [(run["name"], run["seed"], run["state"]) for run in group["runs"]] == [
        ("g-s4", 4, "finished"),
        ("g-s5", 5, "finished"),
    ]

    before = metrics(folder / "runs" / "g-s4")
    second = perx_tui(*command, "--seeds", "3")
    assert second.code == 0
    assert second.lines[0] == "perx-tui: a group of seeds trains headless"
    assert "perx-tui: g-s4 (1 of 3): finished already" in second.lines
    assert "perx-tui: g-s6 (3 of 3): begins" in second.lines
    assert metrics(folder / "runs" / "g-s4") == before
    assert "3 runs in 1 group" in second.out
    assert "interquartile means" in second.out

    other = perx_tui(*command, "--seeds", "3", "--set", "train.gamma=0.9")
    assert (other.code, other.out) == (2, "")
    assert len(other.lines) == 2, "one for the error, one that it is headless"
    assert "the run 'g-s4' is there already and is another experiment: train.gamma is 0.99" in other.err
    assert "0.9 here; choose another --name" in other.err


def test_a_signal_ends_the_group_and_the_same_command_goes_on(perx_tui: Callable[..., Answer], folder: Path) -> None:
    command = ["--profile", "tiny.toml", "--name", "g", "--seeds", "2", "--headless", "--steps"]
    with subprocess.Popen(
        [sys.executable, "-m", "perx_tui", *command, "1000M"],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 40
            while len(metrics(folder / "runs" / "g-s1")) < 30 and time.monotonic() < deadline:
                assert process.poll() is None
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 143
    assert "Traceback" not in err
    assert "goes on where it stopped" in err.splitlines()[-1]
    assert "1 run in 1 group" in out
    assert len(checkpoints(folder / "runs" / "g-s1")) == 1
    assert not (folder / "runs" / "g-s2").exists()
    profile = Profile.load(folder / "tiny.toml", ["train.total_steps=1000000000"])
    again = plan(profile, 2, folder / "runs", "g")
    assert [(each.name, each.resume, each.finished) for each in again] == [
        ("g-s1", folder / "runs" / "g-s1", False),
        ("g-s2", None, False),
    ]


def test_what_stands_under_a_members_name_decides_before_anything_is_trained(tmp_path: Path) -> None:
    profile = Profile.load("breakout.toml")
    write_run(tmp_path, "a-s1", rows([1.0]), seed=1)
    failed = write_run(tmp_path, "a-s2", rows([1.0]), seed=2, state="failed")
    with pytest.raises(UsageError, match=r"'a-s2' ended before its first checkpoint .* delete .*a-s2 .* same command"):
        plan(profile.with_value("train.seed", 1), 3, tmp_path, "a")
    (failed / "checkpoints" / "step-000000001000").mkdir(parents=True)
    first, second, third = plan(profile.with_value("train.seed", 1), 3, tmp_path, "a")
    assert (first.finished, second.resume, third.resume) == (True, tmp_path / "a-s2", None)
    assert [each.profile.train.seed for each in (first, second, third)] == [1, 2, 3]

    write_run(tmp_path, "a-s3", rows([1.0]), "train.gamma=0.5", "train.clip=0.9", seed=3)
    with pytest.raises(UsageError, match=r"'a-s3' is there already and is another experiment: .* and 1 more"):
        plan(profile.with_value("train.seed", 1), 3, tmp_path, "a")
    training = write_run(tmp_path, "b-s1", rows([1.0]), seed=1, state="running")
    with RunFolder.open(training), pytest.raises(UsageError, match="'b-s1' trains in another process"):
        plan(profile.with_value("train.seed", 1), 1, tmp_path, "b")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--profile", "tiny.toml", "--seeds", "0"], "--seeds: '0' is not a whole number of at least 1"),
        (["--resume", "a", "--seeds", "2"], "--seeds does not go with --resume"),
        (["--profile", "tiny.toml", "--headless", "--seeds", "2", "--seed", str(2**32 - 1)], "4_294_967_295"),
        (
            ["--profile", "tiny.toml", "--headless", "--seeds", "2", "--name", "a/b"],
            "the run name 'a/b-s1' will not do",
        ),
    ],
)
def test_a_wrong_group_is_refused_with_exit_code_2(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    expected: str,
) -> None:
    monkeypatch.chdir(folder)
    assert main(arguments) == 2
    assert expected in capsys.readouterr().err
    assert not (folder / "runs").exists() or not any((folder / "runs").iterdir())
