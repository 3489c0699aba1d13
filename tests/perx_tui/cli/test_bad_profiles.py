"""Profiles that are wrong in every way a file can be: one clear line per fault, exit code 2, nothing left behind."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from .conftest import Answer

GOOD = '[env]\nname = "breakout"\n'


def check(answer: Answer, folder: Path, *expected: str) -> None:
    """`answer` refuses with exactly one line for each of `expected`, and no run was begun."""
    assert answer.code == 2, answer
    assert answer.out == ""
    assert len(answer.lines) == len(expected), answer.err
    for line, part in zip(answer.lines, expected, strict=True):
        assert line.startswith("perx-tui: ")
        assert part in line
        assert len(line) < 400
    assert "Traceback" not in answer.err
    assert not (folder / "runs").exists()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[train]\nlearnig_rate = 0.1\n", ["train.learnig_rate"]),
        ('[train]\nlearning_rate = "fast"\n', ["train.learning_rate"]),
        ("[train]\nlearning_rate = nan\n", ["train.learning_rate"]),
        ("[train]\nlearning_rate = inf\n", ["train.learning_rate"]),
        ("[train]\nlearning_rate = -1.0\n", ["train.learning_rate"]),
        ("[train]\ngamma = 1.5\n", ["train.gamma"]),
        ("[train]\nseed = true\n", ["train.seed"]),
        ("[env]\nagents = 0\n", ["env.agents"]),
        ("[env.config]\nframe_skips = 4\n", ["frame_skips"]),
        ("[trian]\ngamma = 0.9\n", ["trian"]),
        ("[train]\ngamma = 0.9\ngamma = 0.8\n", ["line"]),
        ("gamma = = 3\n", ["line"]),
        ("[train]\ngamma = 1.5\nclip = -1.0\nhorizon = 0\n", ["train.gamma", "train.clip", "train.horizon"]),
    ],
)
def test_every_fault_of_a_profile_is_one_line(
    perx_tui: Callable[..., Answer], tmp_path: Path, text: str, expected: list[str]
) -> None:
    header = "" if text.startswith("[env]") else GOOD
    body = text if header or "name" in text else text.replace("[env]\n", GOOD)
    (tmp_path / "wrong.toml").write_text(header + body)
    answer = perx_tui("--profile", "wrong.toml", "--headless")
    assert answer.code == 2
    assert {part for part in expected if any(part in line for line in answer.lines)} == set(expected), answer.err
    check(answer, tmp_path, *([""] * len(expected)))


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        (["train.learnig_rate=0.1"], ["did you mean train.learning_rate?"]),
        (["train.learning_rate"], ["train.learning_rate"]),
        (["train.learning_rate=nan"], ["train.learning_rate"]),
        (["=3"], [""]),
        (["train.gamma=2", "train.clip=-1"], ["train.gamma", "train.clip"]),
    ],
)
def test_a_wrong_set_is_refused_like_the_file(
    perx_tui: Callable[..., Answer], tmp_path: Path, sets: list[str], expected: list[str]
) -> None:
    options = [part for each in sets for part in ("--set", each)]
    check(perx_tui("--profile", "breakout.toml", "--headless", *options), tmp_path, *expected)


def test_a_missing_profile_names_one_that_is_near(perx_tui: Callable[..., Answer], tmp_path: Path) -> None:
    check(
        perx_tui("--profile", "brekout.toml", "--headless"), tmp_path, "did you mean the shipped profile breakout.toml?"
    )
    check(perx_tui("--profile", "no/such/file.toml", "--headless"), tmp_path, "no/such/file.toml")
    check(perx_tui("--profile", "", "--headless"), tmp_path, "profile")


def test_a_folder_is_no_profile(perx_tui: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "folder.toml").mkdir()
    check(perx_tui("--profile", "folder.toml", "--headless"), tmp_path, "folder")


def test_a_file_of_50_megabytes_is_refused_at_once(perx_tui: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "large.toml").write_bytes(b"# padding\n" * 5_000_000)
    check(perx_tui("--profile", "large.toml", "--headless", timeout=10), tmp_path, "larger than")


@pytest.mark.parametrize(
    "text",
    ["x = " + "[" * 100_000, "x" + ".x" * 100_000 + " = 1", "x = " + "{a=" * 50_000],
    ids=["lists", "dotted keys", "tables"],
)
def test_deep_brackets_are_refused(perx_tui: Callable[..., Answer], tmp_path: Path, text: str) -> None:
    (tmp_path / "deep.toml").write_text(text)
    check(perx_tui("--profile", "deep.toml", "--headless"), tmp_path, "deep.toml")


@pytest.mark.parametrize(
    "junk",
    [bytes(range(256)) * 16, b"\x7fELF\x02\x01\x01" + b"\0" * 64, b"\xff\xfe[\0e\0"],
    ids=["every byte", "a program", "UTF-16"],
)
def test_binary_junk_is_refused(perx_tui: Callable[..., Answer], tmp_path: Path, junk: bytes) -> None:
    (tmp_path / "junk.toml").write_bytes(junk)
    answer = perx_tui("--profile", "junk.toml", "--headless")
    check(answer, tmp_path, "junk.toml")
    assert all(line.isprintable() for line in answer.lines)


def test_a_profile_that_may_not_be_read_or_is_a_pipe_is_refused(
    perx_tui: Callable[..., Answer], tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe.toml")
    check(perx_tui("--profile", "pipe.toml", "--headless", timeout=10), tmp_path, "pipe")


def test_a_device_that_is_not_there_leaves_no_run(perx_tui: Callable[..., Answer], tmp_path: Path) -> None:
    """Only the trainer's thread can tell, because it imports torch; it does so before a run folder is made."""
    check(perx_tui("--profile", "breakout.toml", "--headless", "--device", "cuda:93"), tmp_path, "cuda:93")


def test_a_bad_run_name_leaves_no_run(perx_tui: Callable[..., Answer], tmp_path: Path) -> None:
    check(perx_tui("--profile", "breakout.toml", "--headless", "--name", "../escape"), tmp_path, "../escape")
    assert not (tmp_path.parent / "escape").exists()


@pytest.mark.parametrize(
    "command", [["--resume", "nothing", "--headless"], ["play", "nothing", "--headless"], ["play"]]
)
def test_a_run_that_is_not_there_is_named(perx_tui: Callable[..., Answer], tmp_path: Path, command: list[str]) -> None:
    check(perx_tui(*command), tmp_path, "run")
