"""`perx-tui play RUN`: watch a checkpoint play in the terminal, or evaluate it."""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perx_tui import format as spell
from perx_tui import terminal
from perx_tui.commands import arguments as types
from perx_tui.errors import ForcedExit
from perx_tui.output import FINISHED, emit, say, visible

if TYPE_CHECKING:
    from engine import EpisodeResult, Player

EVALUATION_EPISODES = 100


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "run", nargs="?", metavar="RUN", help="a run's name, or the path of its folder (default: the newest)"
    )
    types.add_runs(parser)
    parser.add_argument("--checkpoint", metavar="NAME", help="which checkpoint (default: the newest good one)")
    parser.add_argument(
        "--episodes",
        type=types.count,
        metavar="N",
        help=f"stop after N episodes (default: until q; headless {EVALUATION_EPISODES})",
    )
    parser.add_argument("--headless", action="store_true", help="evaluate: print a line for each episode and a summary")
    parser.add_argument("--json", action="store_true", help="evaluate: print one JSON object")
    parser.add_argument(
        "--fps", type=types.frames_per_second, default=15.0, metavar="F", help="steps shown per second (default: 15)"
    )
    parser.add_argument("--seed", type=types.seed, default=0, metavar="N", help="seed of the episodes (default: 0)")
    parser.add_argument(
        "--greedy",
        action="store_true",
        help="take the likeliest action (default: draw from the policy, as in training)",
    )
    parser.add_argument(
        "--set",
        dest="sets",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="play another task than in training: a key below env.config, or train.seed for other levels (repeatable)",
    )


def run(arguments: argparse.Namespace) -> int:
    from engine import RunFolder

    folder = RunFolder.find(arguments.runs, arguments.run)
    headless = arguments.headless or arguments.json
    if not headless and (obstacle := terminal.obstacle(smallest=None)):
        say(f"{obstacle}: evaluating headless")
        headless = True
    if headless:
        return _evaluate(folder, arguments)
    try:
        return _watch(folder, arguments)
    except ForcedExit as end:
        return 128 + end.signum


def _player(folder: Path, arguments: argparse.Namespace, **more: int) -> Player:
    from engine import Player

    return Player(
        folder,
        checkpoint=arguments.checkpoint,
        seed=arguments.seed,
        greedy=arguments.greedy,
        sets=arguments.sets,
        **more,
    )


def _watch(folder: Path, arguments: argparse.Namespace) -> int:
    from perx_tui.theatre import show

    say("loading the checkpoint")
    show(_player(folder, arguments, environments=1), episodes=arguments.episodes, fps=arguments.fps)
    return FINISHED


def _evaluate(folder: Path, arguments: argparse.Namespace) -> int:
    episodes = arguments.episodes or EVALUATION_EPISODES
    player = _player(folder, arguments)
    results: list[EpisodeResult] = []
    for result in player.episodes(episodes):
        results.append(result)
        if not arguments.json:
            print(
                f"episode {len(results)}: score {spell.score(result.score)}, "
                f"return {spell.score(result.episode_return)}, length {result.length}",
                flush=True,
            )
    scores = [result.score for result in results]
    lengths = [float(result.length) for result in results]
    returns = [result.episode_return for result in results]
    if arguments.json:
        emit(
            {
                "run": folder.name,
                "checkpoint": player.checkpoint,
                "seed": arguments.seed,
                "greedy": arguments.greedy,
                "set": arguments.sets,
                "episodes": len(results),
                "score": summary(scores),
                "return": summary(returns),
                "length": summary(lengths),
                "scores": scores,
                "lengths": [result.length for result in results],
            }
        )
    else:
        mean, std, low, middle, high = (spell.score(figure) for figure in summary(scores).values())
        print(
            f"{len(results)} episodes of {visible(folder.name)} ({player.checkpoint}): score mean {mean}, std {std}, "
            f"min {low}, median {middle}, max {high}; mean length {spell.score(summary(lengths)['mean'])}"
        )
    return FINISHED


def summary(values: Sequence[float]) -> dict[str, float]:
    """Mean, standard deviation (of the sample, n - 1; 0 for one value), extremes and median of at least one value."""
    return {
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else 0.0,
        "min": min(values),
        "median": statistics.median(values),
        "max": max(values),
    }
