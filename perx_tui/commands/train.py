"""`perx-tui --profile P`: train in the TUI, or headless."""

from __future__ import annotations

import argparse
import contextlib
import json
import shlex
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from perx_tui import detach, terminal
from perx_tui import format as spell
from perx_tui.commands import arguments as types
from perx_tui.crash import report_crash
from perx_tui.errors import ForcedExit, UsageError
from perx_tui.headless import follow
from perx_tui.output import FAILED, FINISHED, PROGRAM, USAGE, leave, say
from perx_tui.scores import RecentScore
from perx_tui.signals import StopSignals

if TYPE_CHECKING:
    from engine import Profile, Snapshot, TrainingSession

CRASH_PATIENCE = 60.0
"""Seconds that a checkpoint may take after the front end itself has failed."""

ENDED_BY_SIGNAL = {"sigterm": signal.SIGTERM, "sigint": signal.SIGINT}
"""Answers of the TUI that stand for a signal."""


def configure(parser: argparse.ArgumentParser) -> None:
    what = parser.add_argument_group("what to train")
    what.add_argument("--profile", metavar="P", help="a TOML file, or the name of a profile that ships: breakout.toml")
    what.add_argument(
        "--set",
        dest="sets",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="override a key of the profile, for example train.learning_rate=0.01 (repeatable)",
    )
    what.add_argument("--device", metavar="D", help="auto, cpu, cuda or cuda:N (sets train.device)")
    what.add_argument("--seed", type=types.seed, metavar="N", help="the run's seed (sets train.seed)")
    what.add_argument(
        "--seeds",
        type=types.count,
        metavar="N",
        help="train N seeds one after another, headless, from --seed on; the runs are called NAME-s1, NAME-s2, ...",
    )
    what.add_argument(
        "--steps", type=types.steps, metavar="N", help="steps in total, also with --resume (sets train.total_steps)"
    )
    where = parser.add_argument_group("where it is kept")
    types.add_runs(where)
    where.add_argument("--name", help="the run's name (default: made from the profile's name and the time)")
    where.add_argument("--resume", metavar="RUN", help="go on with a run: its name, or the path of its folder")
    how = parser.add_argument_group("how it shows")
    how.add_argument("--headless", action="store_true", help="no TUI: progress on standard error")
    how.add_argument("--slow-link", action="store_true", help="draw so seldom that 5 kB/s suffice (sets ui.slow_link)")
    how.add_argument(
        "--json", action="store_true", help="headless, with one JSON object per iteration on standard output"
    )
    how.add_argument(
        "--detach", action="store_true", help="headless in the background: prints the run's name and returns"
    )
    how.add_argument("--detached", type=types.count, metavar="FD", help=argparse.SUPPRESS)  # what --detach starts


def run(arguments: argparse.Namespace) -> int:
    """Train until the total is reached or someone stops it; returns the exit code."""
    _check(arguments)
    if arguments.detach:
        return detach.launch(_options(arguments), runs_option(arguments.runs))
    if arguments.seeds is not None:
        return _train_seeds(arguments)
    from engine import TrainingSession

    resume, profile = _what(arguments)
    session = TrainingSession(profile, runs=arguments.runs, name=arguments.name, resume=resume)
    headless = arguments.headless or arguments.json
    if not headless and (obstacle := terminal.obstacle()):
        say(f"{obstacle}: training headless")
        headless = True
    signals = StopSignals(session.stop, lambda: session.checkpoint(), lambda: _hung_up(session))
    try:
        with signals:
            if headless:
                session.start()
                if arguments.detached is not None:
                    detach.report(arguments.detached, session)
            else:
                _show(session, signals)
            if not session.join(0):
                follow(session, signals, as_json=arguments.json)
    except ForcedExit as end:
        say("left at once: what was learned after the newest checkpoint is lost")
        leave(128 + end.signum)
    except Exception as error:
        session.stop(checkpoint=True)
        if session.is_alive:
            session.join(CRASH_PATIENCE)
        report_crash(error, session.folder)
        return FAILED
    return _end(session, signals, arguments.runs)


def _train_seeds(arguments: argparse.Namespace) -> int:
    """Train a group of seeds; returns the exit code."""
    from perx_tui.seed_group import CurrentSession, train_group

    if not (arguments.headless or arguments.json):
        say("a group of seeds trains headless")
    _, profile = _what(arguments)
    current = CurrentSession()
    signals = StopSignals(
        current.stop, lambda: current.ask(lambda session: session.checkpoint()), lambda: current.ask(_hung_up)
    )
    try:
        with signals:
            return train_group(
                profile, arguments, current, signals, lambda session: _end(session, signals, arguments.runs, brief=True)
            )
    except ForcedExit as end:
        say("left at once: what was learned after the newest checkpoint is lost")
        leave(128 + end.signum)
    except Exception:
        current.stop()
        if current.session is not None and current.session.is_alive:
            current.session.join(CRASH_PATIENCE)
        raise


def _show(session: TrainingSession, signals: StopSignals) -> None:
    """The TUI, until it has ended; what becomes of the training then is decided here."""
    from perx_tui.tui import run_app

    look = session.profile.ui
    result = run_app(
        session,
        refresh=look.refresh,
        episode_fps=look.episode_fps,
        theme=look.theme,
        ascii_only=look.ascii,
        budget=look.budget,
        slow_link=look.slow_link,
    )
    with contextlib.suppress(RuntimeError):
        session.start()  # The TUI does so after its first picture; it may have ended before.
    if result in ENDED_BY_SIGNAL:
        signals.received = ENDED_BY_SIGNAL[result]
        session.stop(checkpoint=True)
    elif result in ("headless", "hangup", "crashed"):
        if result == "hangup":
            _hung_up(session)
        session.resume()  # Nobody could end a pause any more.
        if not session.snapshot().ended:  # the run may have reached its total while the question stood
            say(
                f"training goes on without the screen; {PROGRAM} attach shows it again, "
                "ctrl+c stops it with a checkpoint"
            )
    else:
        session.stop(checkpoint=True)


def _hung_up(session: TrainingSession) -> None:
    """The terminal has gone away: what the profile wants done, before training goes on."""
    if session.profile.run.on_hangup == "checkpoint":
        session.checkpoint()


def _check(arguments: argparse.Namespace) -> None:
    """UsageError for options that are missing or contradict one another."""
    if arguments.detach and arguments.json:
        raise UsageError("--json does not go with --detach: nobody reads it; the run's metrics.jsonl holds the same")
    if arguments.detach and arguments.seeds is not None:
        raise UsageError("--detach starts one run: leave --seeds out, or use nohup")
    if not arguments.resume:
        if not arguments.profile:
            raise UsageError(f"what to train? Give --profile P (`{PROGRAM} profiles` lists what ships) or --resume RUN")
        return
    for option, why in {
        "profile": "the run has its own; change keys of it with --set",
        "name": "the run has one",
        "seed": "the run goes on with its own random numbers",
        "seeds": "repeat the group's own command with its --name, and it goes on where it stopped",
    }.items():
        if getattr(arguments, option) is not None:
            raise UsageError(f"--{option} does not go with --resume: {why}")


def _options(arguments: argparse.Namespace) -> list[str]:
    """The command line again, as the process that `--detach` starts gets it."""
    options = [f"--set={each}" for each in arguments.sets]
    for name in ("profile", "device", "seed", "steps", "runs", "name", "resume"):
        value = getattr(arguments, name)
        if value is not None:
            options.append(f"--{name}={value}")
    return options + (["--slow-link"] if arguments.slow_link else [])


def _what(arguments: argparse.Namespace) -> tuple[Path | None, Profile]:
    """The folder of the run to resume, if any, and the profile with the command line's values in it."""
    from engine import Profile, RunFolder

    sets = [*arguments.sets]
    if arguments.device is not None:
        sets.append(f"train.device={json.dumps(arguments.device)}")
    if arguments.seed is not None:
        sets.append(f"train.seed={arguments.seed}")
    if arguments.slow_link:
        sets.append("ui.slow_link=true")
    if arguments.steps is not None:
        sets.append(f"train.total_steps={arguments.steps}")
    if arguments.resume is None:
        return None, Profile.load(arguments.profile, sets)
    path = RunFolder.find(arguments.runs, arguments.resume)
    run_folder = RunFolder.read(path)
    done = run_folder.checkpoints.newest_step()
    if arguments.steps is not None and done is not None and arguments.steps <= done:
        raise UsageError(
            f"--steps {arguments.steps}: the newest checkpoint of '{path.name}' has {done:,} steps already; name more, "
            f"as --steps {2 * done}"
        )
    name = str(run_folder.record.get("profile", path.name))
    return path, Profile.from_toml(run_folder.profile_toml, name, sets, label=str(path / "profile.toml"))


def _end(session: TrainingSession, signals: StopSignals, runs: Path, *, brief: bool = False) -> int:
    """Say how the training ended, in one line where it shall be `brief`, and return the exit code for it."""
    snapshot = session.snapshot()
    if snapshot.state == "failed":
        return _failure(session, snapshot)
    text = summary(snapshot, RecentScore(session.history()).value, runs)
    say(text.splitlines()[0] if brief else text)
    if signals.received is not None:
        return 128 + signals.received
    return FINISHED


def _failure(session: TrainingSession, snapshot: Snapshot) -> int:
    from engine import EngineError

    error = session.exception
    if isinstance(error, EngineError):
        say(str(error))
        # Nothing was trained: what was asked for cannot be had, such as a device that is not there or a run in use.
        return FAILED if snapshot.steps_per_second is not None else USAGE
    if error is not None and session.folder is None:
        report_crash(error)
    else:
        say(f"training failed: {snapshot.error}; run folder {snapshot.folder}")
    return FAILED


def runs_option(runs: Path) -> str:
    """What a command needs to find the runs in `runs`."""
    return "" if runs == Path("runs") else f" --runs {shlex.quote(str(runs))}"


def summary(snapshot: Snapshot, score: float | None, runs: Path) -> str:
    """How the run ended, where it is, and what can be done with it."""
    option = runs_option(runs)
    run = shlex.quote(snapshot.run)
    lines = [
        f"{snapshot.state} at {spell.exact(snapshot.step)} of {spell.exact(snapshot.total_steps)} steps after "
        f"{spell.duration(snapshot.elapsed)}, {spell.rate(snapshot.average_steps_per_second)}, "
        f"score {spell.score(score)}",
        f"run folder  {snapshot.folder}",
    ]
    if snapshot.alarms:
        lines.append(f"alarms      {', '.join(alarm.title for alarm in snapshot.alarms)} (see events.jsonl)")
    if snapshot.checkpoint:
        more = "" if snapshot.step < snapshot.total_steps else f" --steps {2 * snapshot.step}"
        lines += [
            f"checkpoint  {snapshot.checkpoint}",
            f"watch it    {PROGRAM} play {run}{option}",
            f"go on       {PROGRAM} --resume {run}{more}{option}",
        ]
    return "\n".join(lines)
