"""`perx-tui bench`: how fast training is on this machine, and where the time goes."""

from __future__ import annotations

import argparse
import dataclasses
import json
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
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")


def run(arguments: argparse.Namespace) -> int:
    from engine import Profile

    sets = [*arguments.sets]
    if arguments.device is not None:
        sets.append(f"train.device={json.dumps(arguments.device)}")
    profile = Profile.load(arguments.profile, sets)
    from engine import run_bench  # imports torch: only for a profile that will do

    report = run_bench(profile, repeats=arguments.repeat, tell=say)
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
    print_table(
        ("figure", "value", "meaning"),
        (
            (
                "training",
                spell.rate(report.sps),
                f"median of {report.repeats} iterations, {low} to {high}",
            ),
            ("share", spell.percent(report.share), "of the matrix-multiply rate measured beside it"),
            ("matrix multiply", f"{report.gemm_gflops:.1f} GFLOP/s", "two 2048 x 2048 matrices, best of all tries"),
            ("limit", spell.rate(report.limit_sps), f"at {report.flop_per_step / 1e6:.3f} MFLOP a step"),
            ("environments", spell.rate(report.environment_sps), "stepping alone"),
            ("rollout", spell.rate(report.rollout_sps), "environments and policy, without updates"),
            ("update", spell.rate(report.update_sps, "samples/s"), "training alone"),
            (
                "copies",
                f"{spell.bytes_(report.copied_bytes_per_step)}/step",
                "experience read and written to gather minibatches",
            ),
            (
                "memory",
                spell.bytes_(report.peak_bytes),
                f"at the peak; rollout buffer {spell.bytes_(report.buffer_bytes)}",
            ),
        ),
        right=("value",),
    )
    print()
    print_table(("phase", "ms", "share"), phase_rows(report), right=("ms", "share"))


def phase_rows(report: BenchReport) -> list[tuple[str, str, str]]:
    """Every phase of the mean iteration, what no phase accounts for, and the wall time that both must add up to."""
    whole = report.iteration_seconds
    rows = [*report.phases.items(), ("unaccounted", report.unaccounted_seconds), ("iteration", whole)]
    return [(name, spell.milliseconds(seconds), spell.percent(seconds / whole)) for name, seconds in rows]
