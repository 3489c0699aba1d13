"""Run folders from a stranger: whatever they are called and hold, a terminal is shown text."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from perx_tui import cli
from perx_tui.output import say, to_json, visible
from perx_tui.tables import print_table

from ..program import TINY
from .conftest import Answer

HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]x\x9b31m\u202egnp\x7f"


def assert_harmless(text: str) -> None:
    odd = {character for line in text.split("\n") for character in line if not character.isprintable()}
    assert odd == set()


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two runs that have ended, with hostile names, profiles, devices, hosts, states and metrics."""
    root = tmp_path / "runs"
    for number, name in enumerate((HOSTILE, os.fsdecode(b"bad\xff" + HOSTILE.encode()))):
        run = root / name
        run.mkdir(parents=True)
        record = {"state": "finished", "created": 1.0 + number, "step": 500, "total_steps": 1000, "seed": number}
        record |= dict.fromkeys(("name", "profile", "device", "host", "environment"), f"{HOSTILE}[/bold red]")
        (run / "run.json").write_text(json.dumps(record))
        rows = [
            {
                "iteration": i,
                "step": 100 * i,
                "time": float(i),
                "sps": 100.0,
                "episode/score": float(i),
                HOSTILE: 1.0 * i,
            }
            for i in range(1, 6)
        ]
        (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (run / "profile.toml").write_text(TINY)
    monkeypatch.chdir(tmp_path)
    return root


@pytest.mark.parametrize(
    "arguments",
    [
        ("runs",),
        ("compare", "*", "--headless"),
        ("compare", "*", "--headless", "--metric", HOSTILE),
        ("compare", "*", "--headless", "--metric", HOSTILE + "none"),
        ("compare", HOSTILE + "none", "--headless"),
        ("--profile", HOSTILE),
        ("--profile", "breakout.toml", "--set", HOSTILE),
        ("--profile", "breakout.toml", "--set", f"train.{HOSTILE}=1"),
        ("--resume", HOSTILE + "none"),
        ("play", HOSTILE + "none"),
        ("attach", HOSTILE),
        ("envs", HOSTILE),
        ("profiles", HOSTILE),
        (HOSTILE,),
        ("--" + HOSTILE,),
    ],
)
def test_what_is_hostile_is_shown_as_text(
    arguments: tuple[str, ...], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with contextlib.suppress(SystemExit):
        cli.main(list(arguments))
    shown = capsys.readouterr()
    assert shown.out or shown.err
    assert_harmless(shown.out + shown.err)
    assert "Traceback" not in shown.err


@pytest.mark.parametrize("arguments", [("runs", "--json"), ("compare", "*", "--json")])
def test_json_on_a_terminal_is_harmless_too(
    arguments: tuple[str, ...], runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code = cli.main(list(arguments))
    shown, said = capsys.readouterr()
    assert code == 0, said
    assert_harmless(shown)
    shown.encode("utf-8")
    assert json.loads(shown)


def test_a_hostile_run_is_resumed_and_played_as_any_other(perx_tui: Callable[..., Answer], tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(TINY)
    assert perx_tui("--profile", "tiny.toml", "--headless", "--name", "mild").code == 0
    shutil.move(tmp_path / "runs" / "mild", tmp_path / "runs" / HOSTILE)
    run = tmp_path / "runs" / HOSTILE
    record = json.loads((run / "run.json").read_text()) | {"profile": HOSTILE, "name": HOSTILE, "device": HOSTILE}
    (run / "run.json").write_text(json.dumps(record))
    for arguments in (
        ("--resume", HOSTILE, "--headless", "--steps", "3072"),
        ("play", HOSTILE, "--headless", "--episodes", "2"),
        ("runs",),
    ):
        answer = perx_tui(*arguments)
        assert answer.code == 0, answer.err
        assert_harmless(answer.out + answer.err)
        assert "bold red" in answer.out + answer.err, "what it is called can be read"


def test_text_is_made_visible_and_nothing_else_is_changed(capsys: pytest.CaptureFixture[str]) -> None:
    assert visible("plain é 日本 [x]") == "plain é 日本 [x]"
    assert visible("a\x1b[1mb\udcff") == "a\\x1b[1mb\\udcff"
    say("one\ntwo\x9b")
    assert capsys.readouterr().err == "perx-tui: one\nperx-tui: two\\x9b\n"
    assert json.loads(to_json({"k\x9b": "\u202e\U000e0001é\udcff"})) == {"k\x9b": "\u202e\U000e0001é\udcff"}
    print_table(["a\x1b"], [["[bold]b\x1b[0m"]])
    table = capsys.readouterr().out
    assert "a\\x1b" in table
    assert "[bold]b\\x1b[0m" in table
