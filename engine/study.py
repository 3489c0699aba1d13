"""A study: variants of a setting, on several tasks, over several seeds, and the table that compares them.

    [study]                 seeds = 5  first_seed = 1  metric = "episode/score"
    [[task]]                name = "memory"  profile = "memory.toml"  steps = 100_000  threshold = 0.9  set = [...]
    [[variant]]             name = "uniform"  set = ["replay.scheme=uniform"]

The first variant is the one that the others are compared with. Runs are named task-variant-seed in one folder; a run
that is finished is not done again, so that a study that was stopped goes on where it stood.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from engine.comparison import Comparison, compare_groups, experiment_changes
from engine.errors import EngineError, ProfileError, RunError
from engine.profile import Profile
from engine.profile.reading import SUFFIX, parse, read
from engine.profile.wording import printable
from engine.run_folder import RunFolder
from engine.run_listing import run_info
from engine.session import TrainingSession

MOST_RUNS = 10_000
_WORD = r"^[A-Za-z0-9][A-Za-z0-9._ -]{0,39}$"


class _Part(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class StudySection(_Part):
    """What holds for all runs."""

    seeds: int = Field(default=5, ge=1, le=1000)
    first_seed: int = Field(default=1, ge=0, lt=2**31)
    metric: str = "episode/score"


class Task(_Part):
    """One problem: a profile, cut to a number of steps. `threshold` is the value whose first crossing is timed."""

    name: str = Field(pattern=_WORD)
    profile: str
    steps: int = Field(ge=1)
    threshold: float | None = None
    set: tuple[str, ...] = Field(default=(), strict=False)


class Variant(_Part):
    """One way to set what the study is about."""

    name: str = Field(pattern=_WORD)
    set: tuple[str, ...] = Field(default=(), strict=False)


class _Document(_Part):
    study: StudySection = StudySection()
    task: tuple[Task, ...] = Field(min_length=1, strict=False)
    variant: tuple[Variant, ...] = Field(min_length=1, strict=False)


@dataclass(frozen=True, slots=True)
class StudyRun:
    """One run of a study: its name and everything it is trained with."""

    name: str
    task: Task
    variant: Variant
    seed: int
    profile: Profile


@dataclass(frozen=True, slots=True)
class TaskTable:
    """A task's comparison of the variants, the first being the baseline of the differences; `missing` runs were not
    finished and are left out of it."""

    task: Task
    comparison: Comparison | None
    missing: int


@dataclass(frozen=True, slots=True)
class Study:
    """A study that was read and checked: every profile of every run is valid."""

    name: str
    settings: StudySection
    tasks: tuple[Task, ...]
    variants: tuple[Variant, ...]
    runs: tuple[StudyRun, ...]

    @classmethod
    def load(cls, name: str | os.PathLike[str]) -> Study:
        """The study in the file `name`; a bare name is looked up in the current folder, then among the shipped ones.

        ProfileError with every fault at once, those of the profiles included.
        """
        path = _find(name)
        label = printable(os.fspath(name), 120)
        document = parse(read(path, label), label)
        try:
            parts = _Document.model_validate(document)
        except ValidationError as error:
            raise ProfileError([f"{label}: {_problem(dict(each))}" for each in error.errors()[:20]]) from None
        _require_distinct(label, "task", [task.name for task in parts.task])
        _require_distinct(label, "variant", [variant.name for variant in parts.variant])
        if len(parts.task) * len(parts.variant) * parts.study.seeds > MOST_RUNS:
            raise ProfileError(f"{label}: more than {MOST_RUNS:,} runs; lower study.seeds")
        runs: list[StudyRun] = []
        problems: list[str] = []
        for task in parts.task:
            for variant in parts.variant:
                try:
                    runs += _runs(task, variant, parts.study)
                except ProfileError as error:
                    where = f"{label}: task {task.name!r}, variant {variant.name!r}: "
                    problems += [where + problem for problem in error.problems]
        names = Counter(run.name for run in runs)
        if twice := [name for name, count in names.items() if count > 1]:
            problems.append(
                f"{label}: {names[twice[0]]} runs would be called {twice[0]}, after task, variant and seed; rename a "
                "[[task]] or a [[variant]]"
            )
        if problems:
            raise ProfileError(problems[:20])
        return cls(path.name.removesuffix(SUFFIX), parts.study, parts.task, parts.variant, tuple(runs))

    def tables(self, folder: Path) -> list[TaskTable]:
        """The comparison of each task from the finished runs in `folder`; None where there is none yet."""
        tables = []
        for task in self.tasks:
            groups: dict[str, list[Path]] = {}
            missing = 0
            for run in self.runs:
                if run.task is task:
                    if is_finished(folder / run.name, run):
                        groups.setdefault(run.variant.name, []).append(folder / run.name)
                    else:
                        missing += 1
            found = None
            if groups:
                found = compare_groups(groups, metric=self.settings.metric, threshold=task.threshold)
            tables.append(TaskTable(task, found, missing))
        return tables

    def train(
        self, folder: Path, tell: Callable[[StudyRun, str], None], stopped: Callable[[], bool]
    ) -> Iterator[StudyRun]:
        """Trains every run that is not finished, one after another, and yields it when it is.

        `tell` hears "begins", "goes on" and "is finished already"; `stopped` is asked twice a second, and when it says
        so the run under way is stopped with a checkpoint and nothing more begins. EngineError when a run fails, and
        before any is trained where one in `folder` cannot be gone on with.
        """
        for run in self.runs:
            if (path := folder / run.name).is_dir() and not is_finished(path, run):
                _require_same(path, run)
        for run in self.runs:
            path = folder / run.name
            if is_finished(path, run):
                tell(run, "is finished already")
                continue
            resume = path if path.is_dir() else None
            tell(run, "goes on" if resume else "begins")
            session = TrainingSession(run.profile, runs=folder, name=run.name, resume=resume)
            session.start()
            while not session.join(0.5):
                if stopped():
                    session.stop()
            if session.snapshot().state == "failed":
                raise EngineError(f"run {run.name} failed: {session.snapshot().error}")
            if stopped():
                return
            yield run


def is_finished(path: Path, run: StudyRun) -> bool:
    """Whether the run in `path` was trained to the end with the settings that the study gives it now."""
    if not path.is_dir() or run_info(path).state != "finished":
        return False
    try:
        return not _changes(path, run)
    except EngineError:
        return False


def _changes(path: Path, run: StudyRun) -> dict[str, tuple[object, object]]:
    """The settings that the study gives the run in `path` now and that it has not: key to (value there, value here)."""
    trained = Profile.from_toml(RunFolder.read(path).profile_toml, name=run.profile.name)
    return experiment_changes(trained, run.profile.for_device(trained.train.device))


def _require_same(path: Path, run: StudyRun) -> None:
    """RunError for a run that cannot be gone on with: of other settings, or without a checkpoint."""
    where = printable(str(path), 200)
    changes = _changes(path, run)
    if changes:
        key, (there, here) = next(iter(changes.items()))
        more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
        raise RunError(
            f"{where} was trained with other settings than the study has now ({key} = {there!r} there, {here!r} here"
            f"{more}): delete it, or take another folder with --runs"
        )
    if not _has_checkpoint(path):
        raise RunError(f"{where} holds a run without a checkpoint: delete it, then try again")


def shipped_studies() -> dict[str, Path]:
    """The studies that come with the program: file name to file."""
    folder = Path(str(resources.files("profiles"))) / "studies"
    return {file.name: file for file in sorted(folder.glob(f"*{SUFFIX}"))}


def _find(name: str | os.PathLike[str]) -> Path:
    text = os.fspath(name)
    path = Path(text)
    for candidate in (text, text + SUFFIX):
        if "\0" not in candidate and Path(candidate).exists():
            return Path(candidate)
        if path.name == text and candidate in shipped_studies():
            return shipped_studies()[candidate]
    known = ", ".join(shipped_studies()) or "none"
    raise ProfileError(f"no study {printable(text, 120)!r}: name a TOML file, or one that ships ({known})")


def _runs(task: Task, variant: Variant, study: StudySection) -> list[StudyRun]:
    runs = []
    for seed in range(study.first_seed, study.first_seed + study.seeds):
        sets = [*task.set, *variant.set, f"train.total_steps={task.steps}", f"train.seed={seed}"]
        name = re.sub(r"[^A-Za-z0-9._-]", "_", f"{task.name}-{variant.name}-s{seed}")
        runs.append(StudyRun(name, task, variant, seed, Profile.load(task.profile, sets)))
    return runs


def _require_distinct(label: str, kind: str, names: list[str]) -> None:
    """ProfileError for a name that stands twice, also when only as a folder's name."""
    folders = [re.sub(r"[^A-Za-z0-9._-]", "_", name) for name in names]
    twice = sorted({name for name, folder in zip(names, folders, strict=True) if folders.count(folder) > 1})
    if twice:
        raise ProfileError(f"{label}: two [[{kind}]] are called {printable(', '.join(twice))}; each needs its own name")


def _has_checkpoint(path: Path) -> bool:
    return any((path / "checkpoints").glob("step-*"))


def _problem(error: dict[str, Any]) -> str:
    """One validation error in one line: place, value, what is wrong."""
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error["loc"]).lstrip(".")
    value = printable(repr(error.get("input")), 60)
    return f"{printable(place, 80)} = {value}: {printable(str(error['msg']), 120)}"
