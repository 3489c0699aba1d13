"""What a wrong command line gets: exit code 2, one clear line, and at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from perx_tui import __version__
from perx_tui.cli import COMMANDS, main


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--profil", "breakout.toml"], "did you mean '--profile'?"),
        (["--headles", "--profile", "breakout.toml"], "did you mean '--headless'?"),
        (["pley", "run"], "did you mean 'play'?"),
        (["profile"], "did you mean 'profiles'?"),
        (["breakout.toml"], "perx-tui --profile breakout.toml"),
        (["help"], "perx-tui --help"),
        (["zzz"], f"commands: {', '.join(COMMANDS)})"),
        (["--headless"], "--profile P"),
        (["--profile"], "--profile: expected one argument"),
        (["--profile", "breakout.toml", "--steps", "1.5"], "'1.5' is not a number of steps"),
        (["--profile", "breakout.toml", "--steps", "-3"], "'-3' is not a number of steps"),
        (["--profile", "breakout.toml", "--steps", "nan"], "'nan' is not a number of steps"),
        (["--profile", "breakout.toml", "--seed", "x"], "'x' is not a seed"),
        (["--headless", "play", "run"], "the command comes first: perx-tui play"),
        (["--profile", "a.toml", "b.toml"], "unexpected argument 'b.toml'"),
        (["play", "run", "--fps", "0"], "'0' is not a number of frames per second"),
        (["play", "run", "--episodes", "0"], "'0' is not a whole number of at least 1"),
        (["play", "run", "--episods", "3"], "did you mean '--episodes'?"),
        (["--resume", "run", "--profile", "breakout.toml"], "--profile does not go with --resume"),
        (["--resume", "run", "--name", "other"], "--name does not go with --resume"),
        (["--resume", "run", "--seed", "3"], "--seed does not go with --resume"),
        (["envs", "brekout"], "did you mean 'breakout'?"),
    ],
)
def test_a_usage_error_is_one_line_and_exit_code_2(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("perx-tui: ")
    assert captured.err.count("\n") == 1
    assert expected in captured.err


def test_without_arguments_it_shows_the_first_command_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "perx-tui --profile breakout.toml" in captured.err
    assert len(captured.err.splitlines()) < 10


def test_help_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    text = capsys.readouterr().out
    assert all(f"\n  {command} " in text for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"usage: perx-tui {command}" in capsys.readouterr().out


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"perx-tui {__version__}\n"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["play", "--help"], ["--nonsense"], []])
def test_help_and_usage_errors_load_nothing_heavy(arguments: list[str]) -> None:
    """They answer at once: neither torch nor textual, nor rich, pydantic or numpy is imported for them."""
    program = (
        "import contextlib, sys\n"
        "from perx_tui.cli import main\n"
        "with contextlib.suppress(SystemExit):\n"
        f"    main({arguments!r})\n"
        "heavy = {'torch', 'textual', 'rich', 'pydantic', 'numpy'} & set(sys.modules)\n"
        "sys.exit(f'loaded {heavy}' if heavy else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
