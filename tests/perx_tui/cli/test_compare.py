"""`perx-tui compare` without a screen."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from perx_tui import terminal
from perx_tui.cli import main

from ...synthetic_runs import rows, write_run

RAMP = [1.0, 2.0, 3.0, 4.0]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two seeds each of two experiments in ./runs, called base and uniform."""
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        write_run(tmp_path / "runs", f"base-s{seed}", rows([seed * each for each in RAMP]), seed=seed)
        tripled = rows([3 * seed * each for each in RAMP])
        write_run(tmp_path / "runs", f"uniform-s{seed}", tripled, "replay.scheme='uniform'", seed=seed)
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["compare", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def parsed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    code, out, err = answer(capsys, *arguments, "--json")
    assert (code, err) == (0, "")
    assert out.count("\n") == 1
    found = json.loads(out)
    assert isinstance(found, dict)
    return found


def test_tables_show_the_groups_and_their_differences(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = answer(capsys, "base", "uniform", "--headless")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "episode/score, 1.00k to 4.00k steps: 4 runs in 2 groups"
    plain = next(line for line in lines if line.startswith("scheme=prioritized"))
    assert " ".join(plain.split()) == "scheme=prioritized 2 3.75 2.50 … 5.00 6.00 4.00 … 8.00 500"
    minus = next(line for line in lines if line.startswith("minus scheme=prioritized"))
    difference = lines[lines.index(minus) + 2]
    assert difference.startswith("scheme=uniform")
    assert "+7.50" in difference


def test_json_has_everything_once(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = parsed(capsys, "base", "uniform-s1", "--threshold", "4")
    assert (found["metric"], found["x"], found["threshold"], found["level"]) == ("episode/score", "steps", 4.0, 0.95)
    plain, uniform = found["groups"]
    assert [run["name"] for run in plain["runs"]] == ["base-s1", "base-s2"]
    assert len(plain["xs"]) == len(plain["values"]) == len(plain["low"]) == 200
    assert plain["threshold"]["reached"] == 2
    assert plain["threshold"]["steps"]["value"] == 3000.0
    assert uniform["low"] is None
    assert uniform["auc"] == {"value": 7.5, "low": None, "high": None}
    assert found["differences"][0]["auc"]["low"] is None


def test_what_is_out_of_reach_is_null_in_json_and_never_in_tables(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(folder / "runs", "base-s3", rows([3 * each for each in RAMP]), seed=3)
    found = parsed(capsys, "base", "--threshold", "6")
    assert found["groups"][0]["threshold"]["steps"] == {"value": 3000.0, "low": 2000.0, "high": None}
    _, out, _ = answer(capsys, "base", "--headless", "--threshold", "6")
    assert "2 of 3" in out
    assert "2.00k … never" in out


def test_over_time_and_in_another_metric(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = parsed(capsys, "base", "--x", "time", "--metric", "loss/policy")
    assert (found["x"], found["start"], found["end"]) == ("time", 2.0, 8.0)
    assert found["groups"][0]["final"]["value"] == pytest.approx(0.025)


def test_without_a_terminal_it_says_so_and_prints_tables(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, err = answer(capsys, "base-s1")
    assert code == 0
    assert err == "perx-tui: standard output is not a terminal: printing tables\n"
    assert "1 run in 1 group\n" in out
    assert "minus" not in out
    assert "interquartile" not in out, "one run has no mean over runs"


def test_notes_go_to_standard_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(folder / "runs", "base-s3", rows(RAMP[:2]), seed=3, state="stopped")
    code, out, err = answer(capsys, "base", "--headless")
    assert code == 0
    assert err.startswith("perx-tui: note: base-s3 (stopped) has 2,000 steps, others up to 4,000")
    assert "note" not in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "the following arguments are required: RUN"),
        (["bas"], "is the beginning of 2 runs: base-s1, base-s2"),
        (["bsae"], "there is no run 'bsae'"),
        (["zz*"], "no run in 'runs' matches 'zz*'"),
        (["base", "--metric", "episode/scor"], "did you mean 'episode/score'? there are: episode/count"),
        (["base", "--x", "iterations"], "--x: invalid choice: 'iterations'"),
        (["base", "--threshold", "high"], "--threshold: 'high' is not a number"),
        (["base", "--threshold", "nan"], "--threshold: 'nan' is not a number"),
        (["base", "young"], "the run 'young' has no metrics yet"),
        (["base", "--runs", "elsewhere"], "'elsewhere' holds no runs"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    write_run(folder / "runs", "young", [])
    code, out, err = answer(capsys, *arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("columns", [40, 60, 80, 200])
@pytest.mark.parametrize("more", [(), ("--threshold", "2")])
def test_tables_are_printed_on_any_terminal(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    columns: int,
    more: tuple[str, ...],
) -> None:
    monkeypatch.setattr(terminal, "is_terminal", lambda stream: True)
    monkeypatch.setattr(terminal, "terminal_size", lambda: (columns, 24))
    code, out, err = answer(capsys, "base", "uniform", "--headless", *more)
    assert code == 0
    assert columns < 80 or all(len(line) <= columns for line in out.splitlines() if "─" in line)
    assert ("too narrow for steps/s" in err) is (columns <= 80)
