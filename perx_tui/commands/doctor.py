"""`perx-tui doctor`: what this machine, terminal and install can do, with what to mend."""

from __future__ import annotations

import argparse
import os
from typing import TYPE_CHECKING

from perx_tui import terminal
from perx_tui.commands import arguments as types
from perx_tui.output import FAILED, FINISHED, emit

if TYPE_CHECKING:
    from engine import Check

_MARKS = {"ok": "ok", "warning": "warn", "failure": "FAIL"}
_COLOURS = {"truecolor": "16 million colours", "256": "256 colours", "standard": "16 colours", "windows": "16 colours"}


def configure(parser: argparse.ArgumentParser) -> None:
    types.add_runs(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object instead of lines")


def run(arguments: argparse.Namespace) -> int:
    """Check, print, and say by the exit code whether training works here."""
    from engine import check_machine

    checks = [*check_machine(arguments.runs), *check_terminal()]
    works = all(check.status != "failure" for check in checks)
    if arguments.json:
        fields = ("name", "status", "text", "advice")
        emit({"works": works, "checks": [{field: getattr(check, field) for field in fields} for check in checks]})
        return FINISHED if works else FAILED
    width = max(len(check.name) for check in checks)
    for check in checks:
        print(f"{_MARKS[check.status]:4}  {check.name:{width}}  {check.text}")
        if check.advice:
            print(f"{'':4}  {'':{width}}  -> {check.advice}")
    print(_verdict(checks))
    return FINISHED if works else FAILED


def _verdict(checks: list[Check]) -> str:
    failures = [check.name for check in checks if check.status == "failure"]
    warnings = [check.name for check in checks if check.status == "warning"]
    if failures:
        return f"training does not work here yet: mend {', '.join(failures)}"
    if warnings:
        return f"training works here; worth a look: {', '.join(warnings)}"
    return "all is well: perx-tui --profile breakout.toml"


def check_terminal() -> list[Check]:
    """Whether the screens can be shown here, and how they will look."""
    from engine import Check

    obstacle = terminal.obstacle()
    checks = []
    if obstacle is None:
        columns, rows = terminal.terminal_size()
        where = "".join(f", in {name}" for name, key in (("tmux", "TMUX"), ("screen", "STY")) if os.environ.get(key))
        ssh = ", over SSH" if os.environ.get("SSH_CONNECTION") else ""
        text = f"{os.environ.get('TERM')}, {columns}x{rows}, {_colours()}{where}{ssh}"
        small = columns < 80 or rows < 24
        checks.append(
            Check(
                "terminal",
                "warning" if small else "ok",
                text,
                "80x24 shows what matters, 160x48 everything" if small else "",
            )
        )
    else:
        checks.append(Check("terminal", "warning", f"{obstacle}: training is headless here", "run it in a terminal"))
    if terminal.ascii_only():
        advice = "set LANG to a UTF-8 locale (LANG=C.UTF-8) if the terminal knows more"
        checks.append(Check("characters", "warning", "ASCII only, by TERM or by LANG, LC_CTYPE or LC_ALL", advice))
    else:
        checks.append(Check("characters", "ok", "UTF-8"))
    return checks


def _colours() -> str:
    if os.environ.get("NO_COLOR"):
        return "no colours (NO_COLOR)"
    return _COLOURS.get(terminal.colours() or "", "no colours")
