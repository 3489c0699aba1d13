"""`perx-tui envs`: the environments, and what can be set in one."""

from __future__ import annotations

import argparse

from perx_tui import format as spell
from perx_tui.cli import suggestion
from perx_tui.errors import UsageError
from perx_tui.output import FINISHED, emit
from perx_tui.tables import print_table


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("environment", nargs="?", metavar="ENV", help="explain this environment's settings")
    parser.add_argument("--json", action="store_true", help="JSON instead of a table")


def run(arguments: argparse.Namespace) -> int:
    from engine import ENVIRONMENTS, environment_fields

    name = arguments.environment
    if name is None:
        if arguments.json:
            emit([{"name": each.name, "summary": each.summary} for each in ENVIRONMENTS.values()])
        else:
            print_table(("environment", "what it is"), ((each.name, each.summary) for each in ENVIRONMENTS.values()))
        return FINISHED
    if name not in ENVIRONMENTS:
        raise UsageError(
            f"unknown environment '{name}'{suggestion(name, ENVIRONMENTS)} (environments: {', '.join(ENVIRONMENTS)})"
        )
    settings = ENVIRONMENTS[name].settings
    if arguments.json:
        emit(
            [
                {
                    "key": f"env.config.{each.name}",
                    "type": each.kind,
                    "default": each.default,
                    "low": each.low,
                    "high": each.high,
                    "unit": each.unit,
                    "help": each.help,
                }
                for each in settings
            ]
        )
    else:
        print_table(
            ("key", "default", "unit", "range", "what it does"),
            (
                (field.key, spell.setting(field.default), field.unit, field.range, field.help)
                for field in environment_fields(name)
            ),
            right=("default",),
        )
    return FINISHED
