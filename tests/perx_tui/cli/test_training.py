"""Headless training from the outside: a process, its output, its run folder and its exit code."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..program import TINY, checkpoints, environment, metrics
from .conftest import Answer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(TINY)
    return tmp_path


@contextmanager
def training(folder: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """A run called "endless" that trains until it is told to stop; it has done its first iterations."""
    command = [sys.executable, "-m", "perx_tui", "--profile", "tiny.toml", "--headless", "--steps", "1000M"]
    with subprocess.Popen(
        [*command, "--name", "endless", *options],
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            deadline = time.monotonic() + 40
            while len(metrics(folder / "runs" / "endless")) < 3 and time.monotonic() < deadline:
                assert process.poll() is None, process.stderr and process.stderr.read()
                time.sleep(0.05)
            yield process
        finally:
            process.kill()


def test_a_run_trains_to_its_total_and_is_left_as_it_was_by_what_cannot_be(
    perx_tui: Callable[..., Answer], folder: Path
) -> None:
    answer = perx_tui("--profile", "tiny.toml", "--headless", "--name", "first")
    assert (answer.code, answer.out) == (0, "")
    assert all(line.startswith("perx-tui: ") for line in answer.lines)
    assert "perx-tui: run folder  runs/first" in answer.lines
    assert "perx-tui: checkpoint  step-000000002560" in answer.lines
    assert re.search(r"finished at 2,560 of 2,560 steps after \w+, [\d.k]+ steps/s, score", answer.err)
    rows = metrics(folder / "runs" / "first")
    assert [row["iteration"] for row in rows] == list(range(1, 11))
    assert json.loads((folder / "runs" / "first" / "run.json").read_text())["state"] == "finished"

    again = perx_tui("--resume", "first", "--headless")
    assert again.code == 0
    assert "perx-tui --resume first --steps 5120" in again.err, "it has all its steps: say how to train it further"
    assert metrics(folder / "runs" / "first") == rows

    refused = perx_tui("--resume", "first", "--headless", "--set", "policy.hidden=32")
    assert refused.code == 2
    assert len(refused.lines) == 1
    assert "policy.hidden" in refused.err
    assert metrics(folder / "runs" / "first") == rows


def test_json_resume_play_and_runs_agree_about_one_run(perx_tui: Callable[..., Answer], folder: Path) -> None:
    """One object an iteration on standard output, the same as in the run folder; a resumed session prints its own."""
    run = folder / "runs" / "tiny-run"
    first = perx_tui("--profile", "tiny.toml", "--json", "--name", "tiny-run", "--seed", "7")
    assert first.code == 0
    rows = [json.loads(line) for line in first.out.splitlines()]
    assert rows == metrics(run)

    second = perx_tui("--resume", "tiny-run", "--json", "--steps", "4096", "--set", "train.entropy_coef=0.02")
    assert second.code == 0
    more = [json.loads(line) for line in second.out.splitlines()]
    assert [row["iteration"] for row in more] == list(range(11, 17))
    assert metrics(run) == rows + more

    (listed,) = json.loads(perx_tui("runs", "--json").out)
    assert (listed["name"], listed["state"], listed["step"], listed["total_steps"], listed["seed"]) == (
        "tiny-run",
        "finished",
        4096,
        4096,
        7,
    )
    table = perx_tui("runs").out
    assert re.search(r"tiny-run +finished +4.10k +4.10k", table)

    played = perx_tui("play", "tiny-run", "--headless", "--json", "--episodes", "5", "--seed", "3")
    assert played.code == 0
    result = json.loads(played.out)
    assert result["checkpoint"] == checkpoints(run)[-1] == "step-000000004096"
    assert result["episodes"] == len(result["scores"]) == len(result["lengths"]) == 5
    assert result["score"]["mean"] == pytest.approx(sum(result["scores"]) / 5)
    assert result["score"]["min"] == min(result["scores"])
    assert result["length"]["max"] == max(result["lengths"])

    before = (run / "run.json").read_text(), (run / "profile.toml").read_text()
    for steps in ("4096", "1000"):
        refused = perx_tui("--resume", "tiny-run", "--headless", "--steps", steps)
        assert refused.code == 2
        assert f"--steps {steps}: the newest checkpoint of 'tiny-run' has 4,096 steps already" in refused.err
        assert refused.err.rstrip().endswith("as --steps 8192")
    assert ((run / "run.json").read_text(), (run / "profile.toml").read_text()) == before

    refused = perx_tui("play", "tiny-run", "--headless", "--set", "train.gamma=0.5")
    assert refused.code == 2
    assert "--set train.gamma=0.5: a run is played with env.config.KEY=VALUE" in refused.err


def test_what_it_says_goes_on_does_go_on(perx_tui: Callable[..., Answer], folder: Path) -> None:
    """Also where one iteration goes far beyond the few steps that were asked for."""
    short = perx_tui("--profile", "tiny.toml", "--headless", "--name", "short", "--steps", "50")
    (command,) = re.findall(r"perx-tui (--resume short --steps \d+)", short.err)
    before = len(metrics(folder / "runs" / "short"))
    assert perx_tui(*command.split(), "--headless").code == 0
    assert len(metrics(folder / "runs" / "short")) > before


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_stops_with_a_checkpoint_that_can_be_resumed(
    perx_tui: Callable[..., Answer], folder: Path, signum: signal.Signals, code: int
) -> None:
    run = folder / "runs" / "endless"
    with training(folder, "--json") as process:
        process.send_signal(signum)
        out, err = process.communicate(timeout=30)
    assert process.returncode == code
    assert "Traceback" not in err
    assert "the checkpoint is being written" in err
    rows = [json.loads(line) for line in out.splitlines()]
    assert rows == metrics(run)
    assert checkpoints(run)[-1] == f"step-{rows[-1]['step']:012d}"
    assert json.loads((run / "run.json").read_text())["state"] == "stopped"
    if signum == signal.SIGTERM:
        resumed = perx_tui("--resume", "endless", "--headless", "--steps", str(rows[-1]["step"] + 256))
        assert resumed.code == 0
        assert len(metrics(run)) == len(rows) + 1


def test_a_second_signal_leaves_at_once(folder: Path) -> None:
    with training(folder) as process:
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
    assert process.returncode in (130, 143)


def test_neither_a_hang_up_nor_a_second_process_disturbs_a_run(perx_tui: Callable[..., Answer], folder: Path) -> None:
    run = folder / "runs" / "endless"
    with training(folder) as process:
        process.send_signal(signal.SIGHUP)
        before = len(metrics(run))
        resumed = perx_tui("--resume", "endless", "--headless")
        assert resumed.code == 2
        assert "is being written by process" in resumed.err
        assert "Traceback" not in resumed.err
        deadline = time.monotonic() + 30
        while len(metrics(run)) < before + 3 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert process.poll() is None
        assert len(metrics(run)) >= before + 3


def test_a_reader_that_leaves_stops_the_run_with_a_checkpoint(folder: Path) -> None:
    """`perx-tui --json | head` ends, and what was learned is kept."""
    with training(folder, "--json") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        err = process.stderr.read()
        assert process.wait(30) == 0
    assert "nobody reads standard output" in err
    assert "Traceback" not in err
    assert checkpoints(folder / "runs" / "endless")


def test_a_name_that_is_taken_is_refused(perx_tui: Callable[..., Answer], folder: Path) -> None:
    (folder / "runs" / "taken").mkdir(parents=True)
    answer = perx_tui("--profile", "tiny.toml", "--headless", "--name", "taken")
    assert answer.code == 2
    assert len(answer.lines) == 1
    assert "'taken'" in answer.err
