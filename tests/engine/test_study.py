"""A study trains what it names, once, and compares it; a wrong one is told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine import ProfileError, RunError, Study, shipped_studies
from tests.engine.conftest import TINY

SETS = ", ".join(f'"{each}"' for each in TINY if not each.startswith("train.total_steps"))
TEXT = f"""
[study]
seeds = 2
first_seed = 4

[[task]]
name = "tiny"
profile = "bandit.toml"
steps = 512
set = [{SETS}]

[[variant]]
name = "uniform"
set = ["replay.scheme=uniform"]

[[variant]]
name = "rank 1"
set = ["replay.scheme=rank", "replay.alpha=1"]
"""


def write(folder: Path, text: str = TEXT) -> Path:
    path = folder / "mine.toml"
    path.write_text(text, "utf-8")
    return path


def test_every_variant_meets_every_task_and_seed(tmp_path: Path) -> None:
    study = Study.load(write(tmp_path))
    assert [run.name for run in study.runs] == [
        "tiny-uniform-s4",
        "tiny-uniform-s5",
        "tiny-rank_1-s4",
        "tiny-rank_1-s5",
    ]
    last = study.runs[-1].profile
    assert (last.replay.scheme, last.replay.alpha, last.train.seed, last.train.total_steps) == ("rank", 1.0, 5, 512)


def test_a_study_trains_each_run_once_and_compares_them(tmp_path: Path) -> None:
    study = Study.load(write(tmp_path))
    heard: list[str] = []
    runs = tmp_path / "runs"
    assert study.tables(runs)[0].comparison is None
    assert study.tables(runs)[0].missing == 4
    done = list(study.train(runs, lambda run, what: heard.append(f"{run.name} {what}"), lambda: False))
    assert [run.name for run in done] == [run.name for run in study.runs]
    assert all(line.endswith("begins") for line in heard)
    table = study.tables(runs)[0]
    assert table.missing == 0
    assert table.comparison is not None
    assert [(group.label, len(group.runs)) for group in table.comparison.groups] == [("uniform", 2), ("rank 1", 2)]
    heard.clear()
    assert list(study.train(runs, lambda run, what: heard.append(what), lambda: False)) == []
    assert heard == ["is finished already"] * 4


def test_a_stopped_study_goes_on_where_it_stood(tmp_path: Path) -> None:
    study = Study.load(write(tmp_path, TEXT.replace("steps = 512", "steps = 2048")))
    runs = tmp_path / "runs"
    first = next(study.train(runs, lambda run, what: None, lambda: False))
    assert first.name == "tiny-uniform-s4"
    heard: list[str] = []
    assert len(list(study.train(runs, lambda run, what: heard.append(what), lambda: False))) == 3
    assert heard[0] == "is finished already"


def test_a_run_of_other_settings_is_not_taken_for_the_studys(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    list(Study.load(write(tmp_path)).train(runs, lambda run, what: None, lambda: False))
    changed = Study.load(write(tmp_path, TEXT.replace("alpha=1", "alpha=0.5")))
    assert changed.tables(runs)[0].missing == 2
    before = (runs / "tiny-rank_1-s4" / "profile.toml").read_text()
    with pytest.raises(RunError, match=r"was trained with other settings .*\(replay\.alpha = 1\.0 there, 0\.5 here\)"):
        list(changed.train(runs, lambda run, what: pytest.fail(f"{run.name} {what}"), lambda: False))
    assert (runs / "tiny-rank_1-s4" / "profile.toml").read_text() == before


def test_what_only_the_disk_and_the_screen_heed_makes_no_other_run(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    list(Study.load(write(tmp_path)).train(runs, lambda run, what: None, lambda: False))
    calm = TEXT.replace('set = ["replay', 'set = ["ui.refresh=1.0", "run.keep_checkpoints=9", "replay')
    assert calm != TEXT
    assert Study.load(write(tmp_path, calm)).tables(runs)[0].missing == 0


def test_two_runs_cannot_have_one_folder(tmp_path: Path) -> None:
    text = TEXT.replace('"uniform"', '"long-x"').replace('"rank 1"', '"x"')
    task = text[text.index("[[task]]") : text.index("[[variant]]")]
    with pytest.raises(ProfileError, match="2 runs would be called tiny-long-x-s4, after task, variant and seed"):
        Study.load(write(tmp_path, text.replace(task, task + task.replace('"tiny"', '"tiny-long"'))))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seeds = 2", "seeds = 0"), "study.seeds = 0"),
        (("seeds = 2", "sedes = 2"), "study.sedes"),
        (('"rank 1"', '"uniform"'), "two [[variant]] are called uniform"),
        (("replay.scheme=rank", "replay.scheme=best"), "variant 'rank 1'"),
        (('"bandit.toml"', '"bandid.toml"'), "bandid.toml"),
        (("steps = 512", "steps = -1"), "task[0].steps = -1"),
        (('name = "tiny"', r'name = "\u001b[31m"'), r"\x1b"),
    ],
)
def test_a_wrong_study_is_told_in_lines_that_name_the_place(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(ProfileError) as caught:
        Study.load(write(tmp_path, TEXT.replace(*change)))
    assert message in str(caught.value)
    assert "\x1b" not in str(caught.value)


def test_a_missing_study_names_those_that_ship() -> None:
    with pytest.raises(ProfileError, match="prioritization"):
        Study.load("nothing.toml")


@pytest.mark.parametrize("name", sorted(shipped_studies()))
def test_shipped_studies_are_valid(name: str) -> None:
    assert Study.load(name).runs
