"""Words of the command line as runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import RunError
from perx_tui.compare.choosing import choose_runs
from perx_tui.errors import UsageError

from ...synthetic_runs import rows, write_run


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("base-s1", "base-s2", "base-s10", "base-slow", "other", "other-s1"):
        write_run(tmp_path / "runs", name, rows([1.0]))
    return tmp_path / "runs"


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["other-s1", "base-s2"], ["other-s1", "base-s2"]),
        (["base"], ["base-s1", "base-s2", "base-s10"]),
        (["other"], ["other"]),
        (["base-s*"], ["base-s1", "base-s2", "base-s10", "base-slow"]),
        (["base-sl"], ["base-slow"]),
        (["other", "oth*", "other"], ["other", "other-s1"]),
    ],
)
def test_a_word_is_a_run_a_group_of_seeds_or_a_pattern(root: Path, words: list[str], expected: list[str]) -> None:
    """A run of that very name comes before a group, and a run named twice is taken once."""
    assert names(choose_runs(root, words)) == expected


def test_a_path_leads_out_of_the_folder_of_runs(root: Path, tmp_path: Path) -> None:
    elsewhere = write_run(tmp_path / "elsewhere", "far", rows([1.0]))
    assert choose_runs(root, [str(elsewhere), "other"]) == [elsewhere, root / "other"]


def test_what_is_not_there_is_said(root: Path) -> None:
    with pytest.raises(UsageError, match=r"no run in '.*' matches 'x\*'"):
        choose_runs(root, ["x*"])
    with pytest.raises(RunError, match=r"there is no run 'othre'.*did you mean other"):
        choose_runs(root, ["othre"])
