"""Which runs the words of a command line mean."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perx_tui.errors import UsageError

if TYPE_CHECKING:
    from engine import RunInfo


def choose_runs(root: Path, words: Sequence[str]) -> list[Path]:
    """The folders of the runs that `words` mean, each once, in that order.

    A word is what any command takes for a run, or the name that a group of seeds was trained under ("base" for base-s1,
    base-s2, ...), or a pattern such as "base-*". UsageError for a pattern that no run matches, RunError for a run that
    is not there.
    """
    from engine import RunFolder

    runs = RunFolder.list(root)
    chosen: dict[Path, Path] = {}
    for word in words:
        for path in _meant(root, word, runs):
            chosen.setdefault(path.resolve(), path)
    return list(chosen.values())


def _meant(root: Path, word: str, runs: Sequence[RunInfo]) -> list[Path]:
    from engine import RunFolder

    names = {run.path.name: run.path for run in runs}
    if word in names:
        return [names[word]]
    seeds = [name for name in names if re.fullmatch(re.escape(word) + r"-s\d+", name)]
    if seeds:
        return [names[name] for name in sorted(seeds, key=_by_number)]
    if any(sign in word for sign in "*?[") and not Path(word).exists():
        matching = fnmatch.filter(names, word)
        if not matching:
            raise UsageError(f"no run in '{root}' matches '{word}' (`perx-tui runs --runs {root}` lists them)")
        return [names[name] for name in sorted(matching, key=_by_number)]
    return [RunFolder.find(root, word)]


def _by_number(name: str) -> tuple[str, int, str]:
    """Sorts s2 before s10."""
    number = re.search(r"\d+$", name)
    return (name[: number.start()], int(number[0]), name) if number else (name, -1, name)
