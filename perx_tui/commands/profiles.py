"""`perx-tui profiles`: what ships, and what a profile's keys mean."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from perx_tui import format as spell
from perx_tui.output import FINISHED, emit
from perx_tui.tables import print_table

if TYPE_CHECKING:
    from engine import Profile


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "profile", nargs="?", metavar="P", help="explain every key of this profile: a file or a shipped name"
    )
    parser.add_argument("--json", action="store_true", help="one JSON array instead of a table")


def run(arguments: argparse.Namespace) -> int:
    from engine import Profile

    if arguments.profile:
        return _explain(Profile.load(arguments.profile), arguments.json)
    return _list(arguments.json)


def _list(as_json: bool) -> int:
    from engine import shipped_profiles

    rows = [(name, first_comment(path)) for name, path in shipped_profiles().items()]
    if as_json:
        emit([{"name": name, "description": description} for name, description in rows])
    else:
        print_table(("profile", "what it trains"), rows)
    return FINISHED


def first_comment(path: Path) -> str:
    """The first comment line of a TOML file: a profile's description of itself."""
    with path.open(encoding="utf-8") as file:
        for line in file:
            if line.startswith("#"):
                return line.lstrip("#").strip()
    return ""


def _explain(profile: Profile, as_json: bool) -> int:
    fields = profile.fields()
    if as_json:
        emit(
            [
                {
                    "key": field.key,
                    "value": field.value,
                    "default": field.default,
                    "type": field.type,
                    "unit": field.unit,
                    "range": field.range,
                    "live": field.live,
                    "help": field.help,
                }
                for field in fields
            ]
        )
        return FINISHED
    print_table(
        ("key", "value", "unit", "range", "live", "what it does"),
        (
            (field.key, spell.setting(field.value), field.unit, field.range, "live" if field.live else "", field.help)
            for field in fields
        ),
        right=("value",),
    )
    return FINISHED
