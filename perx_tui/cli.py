"""The front door: reads the command line, hands over to one command, turns errors into lines and exit codes."""

from __future__ import annotations

import argparse
import difflib
import importlib
import sys
from collections.abc import Iterable, Sequence
from typing import NoReturn, Protocol, cast

from perx_tui import __version__
from perx_tui.errors import UsageError
from perx_tui.output import FINISHED, INTERRUPTED, PROGRAM, USAGE, abandon_stdout, say, write_error
from perx_tui.terminal import forget_exported_size, limit_streams

COMMANDS = {
    "attach": "watch and steer a run that trains in another process",
    "play": "watch a checkpoint play, or evaluate it",
    "compare": "learning curves over one another, seeds grouped",
    "plot": "curves of runs as a picture or a table, for reports",
    "study": "variants on tasks over seeds, and the table that compares them",
    "bench": "measure how fast training is on this machine",
    "runs": "the runs of a folder: look, attach, resume, play, compare, delete",
    "doctor": "what this machine, terminal and install can do, with what to mend",
    "profiles": "list the profiles that ship, or explain one's keys",
    "envs": "list the environments, or explain one's settings",
}

WELCOME = """\
perx-tui trains a reinforcement-learning agent and shows it at work. To begin:

  perx-tui --profile breakout.toml     train the agent that ships, here in the terminal
  perx-tui profiles                    see what else ships
  perx-tui --help                      see every option
"""


class Command(Protocol):
    """What a module in `perx_tui.commands` offers."""

    def configure(self, parser: argparse.ArgumentParser) -> None: ...

    def run(self, arguments: argparse.Namespace) -> int: ...


class Parser(argparse.ArgumentParser):
    """argparse with errors as exceptions, no abbreviations and suggestions for options it does not know."""

    def __init__(self, prog: str, description: str, epilog: str | None = None) -> None:
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            allow_abbrev=False,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message.removeprefix('argument ')} (see {self.prog} --help)")

    def parse(self, arguments: Sequence[str]) -> argparse.Namespace:
        """Parse all of `arguments`; UsageError names the first one that has no place."""
        namespace, extra = self.parse_known_args(arguments)
        if extra:
            self.error(self._misplaced(extra[0]))
        return namespace

    def _misplaced(self, argument: str) -> str:
        option = argument.split("=", 1)[0]
        if option.startswith("-"):
            return f"unknown option '{option}'{suggestion(option, self._option_string_actions)}"
        if argument in COMMANDS:
            return f"the command comes first: {PROGRAM} {argument} ..."
        return f"unexpected argument '{argument}'"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv` (default: this process's) and return its exit code."""
    limit_streams()
    forget_exported_size()
    try:
        code = _dispatch(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()
    except UsageError as error:
        say(str(error))
        return USAGE
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        abandon_stdout()
        return FINISHED
    except Exception as error:
        return _answer(error)
    return code


def _dispatch(arguments: list[str]) -> int:
    if not arguments:
        write_error(WELCOME)
        return USAGE
    first = arguments[0]
    if first in COMMANDS:
        command = _load(first)
        parser = Parser(f"{PROGRAM} {first}", COMMANDS[first].capitalize() + ".")
        command.configure(parser)
        return command.run(parser.parse(arguments[1:]))
    if not first.startswith("-"):
        raise UsageError(_unknown_command(first))
    command = _load("train")
    names = "\n".join(f"  {name:<10} {summary}" for name, summary in COMMANDS.items())
    parser = Parser(
        PROGRAM,
        "Train a reinforcement-learning agent with PPO and prioritized replay, watched and steered from the terminal.",
        f"commands:\n{names}\n\n`{PROGRAM} COMMAND --help` explains one. "
        f"`{PROGRAM} profiles breakout` lists the keys that --set takes.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    command.configure(parser)
    return command.run(parser.parse(arguments))


def _load(name: str) -> Command:
    return cast("Command", importlib.import_module(f"perx_tui.commands.{name}"))


def _unknown_command(word: str) -> str:
    if word.endswith(".toml"):
        return f"'{word}' is not a command; to train with it: {PROGRAM} --profile {word}"
    if word == "help":
        return f"unknown command 'help'; did you mean '{PROGRAM} --help'?"
    return f"unknown command '{word}'{suggestion(word, COMMANDS)} (commands: {', '.join(COMMANDS)})"


def suggestion(word: str, known: Iterable[str]) -> str:
    """ "; did you mean ...?" when a known word is close to `word`, otherwise nothing."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{close[0]}'?" if close else ""


def _answer(error: Exception) -> int:
    """An error that reached the top: a clear line when a user can cause it, otherwise a traceback in a file."""
    from engine import EngineError

    if isinstance(error, EngineError):
        say(str(error))
        return USAGE
    from perx_tui.crash import report_crash
    from perx_tui.output import FAILED

    report_crash(error)
    return FAILED
