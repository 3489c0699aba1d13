"""`--seeds N`: one experiment trained with one seed after another, and what they come to together."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from perx_tui.compare.report import print_comparison
from perx_tui.errors import UsageError
from perx_tui.headless import follow
from perx_tui.output import FAILED, FINISHED, emit, say
from perx_tui.signals import StopSignals

if TYPE_CHECKING:
    from engine import Profile, RunInfo, TrainingSession


@dataclass(frozen=True, slots=True)
class Member:
    """One seed of the group: a new run, one to go on with (`resume`), or one that is finished already."""

    name: str
    profile: Profile
    resume: Path | None = None
    finished: bool = False


class CurrentSession:
    """What a signal stops: the session that trains now, and with it the group."""

    def __init__(self) -> None:
        self.session: TrainingSession | None = None
        self.stopped = False

    def stop(self) -> None:
        """No further seed begins; the present one ends with a checkpoint."""
        self.stopped = True
        if self.session is not None:
            self.session.stop()

    def ask(self, request: Callable[[TrainingSession], object]) -> None:
        """Pass a request on to the session that trains now, if any."""
        if self.session is not None and self.session.is_alive:
            request(self.session)


def train_group(
    profile: Profile,
    arguments: argparse.Namespace,
    current: CurrentSession,
    signals: StopSignals,
    end: Callable[[TrainingSession], int],
) -> int:
    """Train `arguments.seeds` seeds of `profile`, from its own on; the exit code.

    `end` tells how a session ended and returns its code. A seed that fails does not keep the others from training: the
    code says so in the end. A run that could not begin, or a signal, ends the group.
    """
    from engine import TrainingSession

    name = arguments.name or f"{profile.name}-{time.strftime('%Y%m%d-%H%M%S')}"
    members = plan(profile, arguments.seeds, arguments.runs, name)
    say(f"{len(members)} seeds of {profile.name}, one after another: {members[0].name} to {members[-1].name}")
    worst = FINISHED
    for number, member in enumerate(members, start=1):
        where = f"{member.name} ({number} of {len(members)})"
        if member.finished:
            say(f"{where}: finished already")
            continue
        say(f"{where}: {'goes on' if member.resume else 'begins'}")
        session = TrainingSession(
            member.profile,
            runs=arguments.runs,
            name=None if member.resume else member.name,
            resume=member.resume,
        )
        current.session = session
        if current.stopped:
            break
        session.start()
        labels = {"run": member.name, "seed": member.profile.train.seed}
        follow(session, signals, as_json=arguments.json, labels=labels)
        code = end(session)
        if code not in (FINISHED, FAILED):
            worst = code
            break
        worst = max(worst, code)
        if session.snapshot().state == "stopped":  # by a signal, or because nobody reads the output any more
            current.stopped = True
            break
    _tell(members, arguments)
    if current.stopped:
        say(f"the rest of the group: the same command with --name {name} goes on where it stopped")
    return 128 + signals.received if signals.received is not None else worst


def plan(profile: Profile, count: int, runs: Path, name: str) -> list[Member]:
    """The runs of a group, named after their seeds: `name`-s1, `name`-s2, ...

    What stands under these names already must be the same experiment. Otherwise UsageError, before anything is trained;
    ProfileError where the seeds go beyond the largest one.
    """
    from engine import RunFolder

    first = profile.train.seed
    standing = {info.path.name: info for info in RunFolder.list(runs)}
    members = []
    for seed in range(first, first + count):
        own = f"{name}-s{seed}"
        wanted = profile.with_value("train.seed", seed)
        info = standing.get(own)
        members.append(Member(own, wanted) if info is None else _again(own, wanted, info))
    return members


def _again(name: str, wanted: Profile, info: RunInfo) -> Member:
    """A member whose run is there already."""
    from engine import Profile, RunFolder, experiment_changes

    folder = RunFolder.read(info.path)
    saved = Profile.from_toml(folder.profile_toml, wanted.name)
    changes = experiment_changes(saved, wanted.for_device(saved.train.device))
    if changes:
        key, (there, here) = next(iter(changes.items()))
        more = f" and {len(changes) - 1} more" if len(changes) > 1 else ""
        raise UsageError(
            f"the run '{name}' is there already and is another experiment: {key} is {_shown(there)} there and "
            f"{_shown(here)} here{more}; choose another --name"
        )
    if info.live:
        raise UsageError(f"the run '{name}' trains in another process: wait for it, or choose another --name")
    if info.state == "finished":
        return Member(name, wanted, finished=True)
    if not folder.checkpoints.paths():
        raise UsageError(
            f"the run '{name}' ended before its first checkpoint and cannot be gone on with: delete {info.path} (d in "
            "perx-tui runs), then give the same command again"
        )
    return Member(name, wanted, resume=info.path)


def _shown(value: object) -> str:
    return json.dumps(value, default=str)


def _tell(members: list[Member], arguments: argparse.Namespace) -> None:
    """The group's figures, of the seeds that have any."""
    from engine import EngineError, RunFolder, compare_runs, group_runs, read_run

    try:
        standing = {info.path.name: info.path for info in RunFolder.list(arguments.runs)}
        runs = [read_run(standing[member.name]) for member in members if member.name in standing]
        if not runs:
            return
        comparison = compare_runs(group_runs(runs))
    except EngineError as error:
        say(f"no summary of the group: {error}")
        return
    if arguments.json:
        summary: Mapping[str, object] = {"comparison": comparison.as_dict()}
        emit(summary)
    else:
        print_comparison(comparison)
