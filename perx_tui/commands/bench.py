"""`perx-tui bench`: how fast training is on this machine, and where the time goes."""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from perx_tui import format as spell
from perx_tui.commands import arguments as types
from perx_tui.output import FINISHED, emit, say
from perx_tui.tables import print_table

if TYPE_CHECKING:
    from engine import BenchReport


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--profile",
        default="breakout-standard.toml",
        metavar="P",
        help="what to train (default: breakout-standard.toml, the size that figures are quoted for)",
    )
    parser.add_argument(
        "--set", dest="sets", action="append", default=[], metavar="KEY=VALUE", help="override a key (repeatable)"
    )
    parser.add_argument("--device", metavar="D", help="auto, cpu, cuda or cuda:N (sets train.device)")
    parser.add_argument(
        "--repeat",
        type=types.count,
        default=5,
        metavar="N",
        help="iterations to measure after the warm-up (default: 5)",
    )
    parser.add_argument(
        "--compare",
        choices=("eager", "plain"),
        help="by turns with the same without CUDA graphs (eager) or without fused kernels (plain), and the ratio",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")


def run(arguments: argparse.Namespace) -> int:
    from engine import Profile

    sets = [*arguments.sets]
    if arguments.device is not None:
        sets.append(f"train.device={json.dumps(arguments.device)}")
    profile = Profile.load(arguments.profile, sets)
    from engine import run_bench  # imports torch: only for a profile that will do

    report = run_bench(profile, repeats=arguments.repeat, tell=say, compare=arguments.compare)
    if arguments.json:
        emit(dataclasses.asdict(report))
    else:
        _show(report)
    return FINISHED


def _show(report: BenchReport) -> None:
    print(
        f"{report.profile} on {report.device}, {report.threads} threads: {report.agents} agents, "
        f"horizon {report.horizon}, minibatch {report.minibatch}, update_epochs {report.update_epochs:g}, "
        f"{report.policy} ({spell.count(report.parameters)} parameters)\n"
    )
    low, high = spell.count(report.sps_low), spell.count(report.sps_high)
    both = f", with {report.compare.other} beside it" if report.compare else ""
    print_table(
        ("figure", "value", "meaning"),
        (
            (
                "training",
                spell.rate(report.sps),
                f"median of {report.repeats} iterations, {low} to {high}",
            ),
            ("share", spell.percent(report.share), "of the matrix-multiply rate measured beside it"),
            (
                "matrix multiply",
                f"{report.gemm_gflops:.1f} GFLOP/s",
                f"two 2048 x 2048 matrices of {report.precision}, best of all tries",
            ),
            ("limit", spell.rate(report.limit_sps), f"at {report.flop_per_step / 1e6:.3f} MFLOP a step"),
            ("environments", spell.rate(report.environment_sps), "stepping alone"),
            ("rollout", spell.rate(report.rollout_sps), "environments and policy, without updates"),
            ("update", spell.rate(report.update_sps, "samples/s"), "training alone"),
            (
                "gathering",
                f"{spell.bytes_(report.gathered_bytes_per_step)}/step",
                "experience read and written for minibatches",
            ),
            (
                "crossing",
                f"{spell.bytes_(report.crossing_bytes_per_step)}/step",
                "copied between host and GPU by the rollout",
            ),
            launch_row("launches", report.launches),
            ("CUDA graphs", spell.exact(report.graphs), "recorded once, each launched whole"),
            (
                "memory",
                spell.bytes_(report.peak_bytes),
                f"at the peak{both}; rollout buffer {spell.bytes_(report.buffer_bytes)}",
            ),
            *comparison_rows(report),
        ),
        right=("value",),
    )
    print()
    columns = ("phase", "ms", "share", *((f"{report.compare.other} ms",) if report.compare else ()))
    print_table(columns, phase_rows(report), right=columns[1:])


def launch_row(figure: str, launches: Mapping[str, int] | None) -> tuple[str, str, str]:
    """How many launches there were, and of which kinds."""
    kinds = "".join(f", {count:,} {kind}" for kind, count in (launches or {}).items())
    total = None if launches is None else sum(launches.values())
    return figure, spell.exact(total), f"queued on the GPU by the host in an iteration{kinds.replace(',', ':', 1)}"


def comparison_rows(report: BenchReport) -> Iterator[tuple[str, str, str]]:
    """How many times as fast as the other it is, and what the other does."""
    beside = report.compare
    if beside is None:
        return
    yield (
        f"against {beside.other}",
        f"{beside.ratio:.3f}",
        f"times as fast as with {beside.key} = false: median of {beside.pairs} pairs, "
        f"{beside.ratio_low:.3f} to {beside.ratio_high:.3f}",
    )
    yield beside.other, spell.rate(beside.sps), f"median with {beside.key} = false"
    if beside.launches is not None:
        yield launch_row(f"{beside.other} launches", beside.launches)


def phase_rows(report: BenchReport) -> list[tuple[str, ...]]:
    """Every phase of the mean iteration, what no phase accounts for, and the wall time that both must add up to; beside
    a comparison the other's, too."""
    whole, beside = report.iteration_seconds, report.compare
    rows = {**report.phases, "unaccounted": report.unaccounted_seconds, "iteration": whole}
    cells = {name: (spell.milliseconds(seconds), spell.percent(seconds / whole)) for name, seconds in rows.items()}
    if beside is None:
        return [(name, *its) for name, its in cells.items()]
    others = {**beside.phases, "unaccounted": beside.unaccounted_seconds, "iteration": beside.iteration_seconds}
    order = [*dict.fromkeys([*report.phases, *beside.phases]), "unaccounted", "iteration"]
    absent = spell.milliseconds(None)
    return [(name, *cells.get(name, (absent, absent)), spell.milliseconds(others.get(name))) for name in order]
