"""`perx-tui study STUDY.toml`: trains variants on tasks over seeds, one run after another, and prints the tables."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from perx_tui import format as spell
from perx_tui.commands import arguments as types
from perx_tui.errors import ForcedExit
from perx_tui.output import FINISHED, emit, leave, say
from perx_tui.signals import StopSignals

if TYPE_CHECKING:
    from engine import Estimate, StudyRun, TaskTable


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", metavar="STUDY", help="a TOML file, or the name of a study that ships")
    types.add_runs(parser)
    parser.add_argument("--tables", action="store_true", help="train nothing: tables of the runs that are finished")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of Markdown tables")


def run(arguments: argparse.Namespace) -> int:
    """Train what is not finished, then print a table for each task; a stop signal prints what there is."""
    from engine import Study

    study = Study.load(arguments.study)
    folder = arguments.runs / study.name
    code = FINISHED
    if not arguments.tables:
        stopping: list[bool] = []
        signals = StopSignals(lambda: stopping.append(True))

        def tell(run: StudyRun, what: str) -> None:
            say(f"{study.runs.index(run) + 1}/{len(study.runs)} {run.name} {what}")

        try:
            with signals:
                for _ in study.train(folder, tell, lambda: bool(stopping)):
                    pass
        except ForcedExit as end:
            leave(128 + end.signum)
        if signals.received is not None:
            code = 128 + signals.received
    tables = study.tables(folder)
    if arguments.json:
        emit(
            [
                {
                    "task": table.task.name,
                    "steps": table.task.steps,
                    "missing": table.missing,
                    "comparison": table.comparison.as_dict() if table.comparison else None,
                }
                for table in tables
            ]
        )
        return code
    for table in tables:
        print("\n".join(markdown(table)), end="\n\n")
    return code


def markdown(table: TaskTable) -> list[str]:
    """A task's table in Markdown: a row a variant, differences against the first."""
    task, comparison = table.task, table.comparison
    lines = [f"### {task.name}: {spell.count(task.steps)} steps of {task.profile}", ""]
    if comparison is None:
        return [*lines, "No run is finished yet."]
    reach = f"steps to {spell.number(task.threshold)}" if task.threshold is not None else None
    columns = ["variant", "seeds", "area under the curve", "against the first", "final", *([reach] if reach else [])]
    columns.append("steps/s")
    lines += ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    first = comparison.groups[0].label
    for group in comparison.groups:
        against = next((d for d in comparison.differences if d.group == group.label and d.baseline == first), None)
        row = [group.label, str(len(group.runs)), _estimate(group.auc), _estimate(against.auc) if against else "-"]
        row.append(_estimate(group.final))
        if reach:
            found = group.threshold
            row.append(f"{_steps(found.steps)} ({found.reached}/{found.runs})" if found else "-")
        row.append(spell.count(group.sps.value) if group.sps.value else "-")
        lines.append("| " + " | ".join(row) + " |")
    if table.missing:
        lines += ["", f"{table.missing} runs are not finished and left out."]
    return lines


def _estimate(estimate: Estimate) -> str:
    """ "0.71 [0.66, 0.75]", or "-" for what is not known."""
    if estimate.value is None:
        return "-"
    text = spell.number(estimate.value)
    if estimate.low is not None and estimate.high is not None:
        text += f" [{spell.number(estimate.low)}, {spell.number(estimate.high)}]"
    return text


def _steps(estimate: Estimate) -> str:
    return "-" if estimate.value is None else spell.count(estimate.value)
