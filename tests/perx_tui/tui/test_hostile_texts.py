"""Names and texts with escape codes, markup or characters that reorder a line: the screen shows them as text."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from driving import staged
from fakes import FakeRenderer, FakeSession, metrics, running, segment

from engine import Alarm, LogLine, Phase, Snapshot

HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]x[/]\x9b31m\u202egnp.exe\r\n\x08[@click=app.quit]y[/]"


def hostile(snapshot: Snapshot) -> Snapshot:
    """The same with every text spoiled; what is a word of ours (the state) stays."""
    spoiled: dict[str, Any] = {
        field.name: HOSTILE
        for field in dataclasses.fields(snapshot)
        if isinstance(getattr(snapshot, field.name), str) and field.name != "state"
    }
    return dataclasses.replace(
        snapshot,
        **spoiled,
        phases=tuple(Phase(f"{HOSTILE}/{phase.name}", phase.seconds) for phase in snapshot.phases),
        log=(*(LogLine(1.0, level, HOSTILE) for level in ("info", "warning", "error")),),
        alarms=(
            Alarm(HOSTILE, HOSTILE, "error", HOSTILE, HOSTILE, since=1.0, step=1, iteration=1),
            Alarm(
                HOSTILE, HOSTILE, "warning", HOSTILE, HOSTILE, since=1.0, step=1, iteration=1, value=1.0, threshold=2.0
            ),
        ),
        segment=segment(snapshot.iteration, "priority", 0),
        metrics={**snapshot.metrics, HOSTILE: 1.0, f"loss/{HOSTILE}": 2.0},
    )


class HostileRenderer(FakeRenderer):
    def caption(self, state: bytes) -> str:
        return HOSTILE

    def action(self, action: int) -> str:
        return HOSTILE


class HostileSession(FakeSession):
    def renderer(self) -> FakeRenderer:
        return HostileRenderer()


def session(state: str) -> HostileSession:
    snapshot = hostile(running())
    made = HostileSession(dataclasses.replace(snapshot, state=state, error=HOSTILE if state == "failed" else None))  # type: ignore[arg-type]
    made.past = [{**metrics(number), HOSTILE: 1.0, f"loss/{HOSTILE}": 2.0} for number in range(1, 251)]
    return made


@pytest.mark.parametrize("size", [(80, 24), (160, 48), (200, 60)])
@pytest.mark.parametrize("state", ["running", "failed"])
async def test_no_text_reaches_the_terminal_as_a_command(size: tuple[int, int], state: str) -> None:
    """On the dashboard, on every screen and in every panel that a key opens."""
    made = session(state)
    async with staged(made, size) as stage:
        for keys in ["", "8", "f", "p", "v", "e", "a", "g", "question_mark", *(["q"] if state == "running" else [])]:
            await stage.press(*filter(None, [keys]))
            await stage.tick()
            odd = {character for line in stage.text.split("\n") for character in line if not character.isprintable()}
            assert odd == set(), f"after {keys}"
            if keys != "q":
                await stage.press("escape")
        assert stage.app.is_running
        assert not any(command == "stop" for command, _ in made.commands)


async def test_markup_is_shown_and_not_obeyed() -> None:
    made = session("running")
    async with staged(made, (200, 60)) as stage:
        await stage.tick()
        assert "[bold red]x[/]" in stage.text
