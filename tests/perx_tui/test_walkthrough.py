"""A stranger with the program: from nothing to a run that is understood, steered, left, found again and compared."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .program import ENDLESS, answer, checkpoints, command, environment, eventually, metrics, record, steps
from .pseudo_terminal import PseudoTerminal

PATIENCE = 60.0
"""Seconds that a step may take on a machine that has much else to do."""


class Stranger:
    """Reads a terminal and presses keys: `sees` waits for words, `presses` for what they bring."""

    def __init__(self, terminal: PseudoTerminal) -> None:
        self.terminal = terminal

    def sees(self, *words: str) -> None:
        for word in words:
            self.terminal.wait_for(lambda word=word: word in flat(self.terminal.text()), PATIENCE)

    def finds(self, pattern: str) -> None:
        """The same for what looks like `pattern`."""
        self.terminal.wait_for(lambda: re.search(pattern, flat(self.terminal.text())), PATIENCE)

    def presses(self, keys: str, *words: str) -> None:
        self.terminal.press(keys)
        self.sees(*words)

    def goes_back(self, word: str = "1 throughput iteration") -> None:
        """To the panels, or to what has `word`; before it is there another key would be one pressed with alt."""
        self.presses("\x1b", word)


def flat(text: str) -> str:
    """The screen as running text, without frames."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "tiny.toml").write_text(ENDLESS)
    return tmp_path


def on_terminal(folder: Path, *arguments: str) -> PseudoTerminal:
    """The program as somebody starts it who has never done so."""
    new = {**environment(), "XDG_CONFIG_HOME": str(folder / "config")}
    return PseudoTerminal(command(*arguments), folder, new, columns=80, lines=24)


def test_a_stranger_finds_the_way_from_the_first_start_to_comparing_two_runs(folder: Path) -> None:
    first = answer(folder, "--profile", "tiny.toml", "--headless", "--name", "first", "--steps", "12800")
    assert first.returncode == 0, first.stderr
    run = folder / "runs" / "second"
    with on_terminal(folder, "--profile", "tiny.toml", "--name", "second") as terminal:
        stranger = Stranger(terminal)
        starts(stranger)
        learns(stranger)
        finds_what_takes_the_time(stranger)
        pauses_and_changes_the_learning_rate(stranger, run)
        looks_at_the_most_surprising_segment(stranger)
        saves_and_leaves(stranger, run)
        with on_terminal(folder, "attach") as later:
            comes_back(Stranger(later))
            with on_terminal(folder, "compare", "first", "second") as comparison:
                compares(Stranger(comparison))
            Stranger(later).presses("q", "Leave", "Stop with a checkpoint", "--resume continues it")
            later.press("s")
            assert later.wait(PATIENCE) == 0
            assert b"perx-tui --resume second" in later.output
        assert terminal.wait(PATIENCE) == 0
    assert record(run)["state"] == "stopped"
    assert checkpoints(run)[-1] == f"step-{steps(run):012d}"


def starts(stranger: Stranger) -> None:
    """Before anything is known the screen tells what it waits for; then that it runs, and where to look for help."""
    stranger.sees("starting", "new here? ? shows all keys i says what the figures mean q leaves", "running", "second")
    stranger.presses(
        "?", "Pause training, or go on", "What the figures mean", "Change settings live", "Quit (asks first)"
    )
    stranger.goes_back()


def learns(stranger: Stranger) -> None:
    """The learning curve says in words whether the score rises, and what the score is."""
    stranger.finds(r"learning curve score [\d.]+")
    stranger.finds(r"(improving|no change|getting worse): [+-][\d.]+ in [\d.]+k? steps")
    stranger.presses("i", "what the figures mean · learning curve", "this is what a run is judged by")
    stranger.goes_back()


def finds_what_takes_the_time(stranger: Stranger) -> None:
    """The phases say where an iteration's time goes, in milliseconds and shares."""
    stranger.presses("5", "phases iteration", "collect", "train", "unaccounted")
    stranger.finds(r"backward \S* ?[\d.]+ ms [\d.]+%")
    stranger.presses("i", "what the figures mean · phases", "Wall time of the iteration")
    stranger.goes_back()


def pauses_and_changes_the_learning_rate(stranger: Stranger, run: Path) -> None:
    """A pause holds the run and says how to go on; the editor tells what it will do before it does it."""
    stranger.presses(" ", "▌▌paused", "space goes on, s trains one iteration")
    held = steps(run)
    stranger.presses("e", "settings", "type a few letters")
    stranger.presses("train.learning_rate", "in force", "enter changes it")
    stranger.presses("\r", "enter applies it")
    stranger.presses("0.005", "→ 0.005, from the next minibatch on")
    stranger.presses("\r", "*train.learning_rate 0.005")
    assert steps(run) == held
    stranger.goes_back("type a few letters")
    stranger.goes_back()
    stranger.presses(" ", "running")
    eventually(lambda: metrics(run)[-1]["train/learning_rate"] <= 0.005, PATIENCE)
    stranger.presses("4", "learning rate 0.00")


def looks_at_the_most_surprising_segment(stranger: Stranger) -> None:
    """The segment viewer opens on the highest priority; j goes to where what came was not what was expected."""
    stranger.presses("v", "by priority rank 1", "advantage", "j surprise")
    stranger.finds(r"surprise \d+ of 16")  # the segment has come
    stranger.terminal.press("j")
    stranger.finds("surprise 1 of 16")
    stranger.finds("(better|worse) than expected")
    stranger.goes_back()


def saves_and_leaves(stranger: Stranger, run: Path) -> None:
    """A checkpoint is told by its name; leaving asks what becomes of the training."""
    stranger.presses("c", "saved step-")
    assert checkpoints(run)
    stranger.presses("q", "what becomes of the training?", "Keep training headless", "Stay here. Nothing changes.")
    stranger.terminal.press("h")
    eventually(lambda: b"training goes on without the screen" in stranger.terminal.output, PATIENCE)
    before = steps(run)
    eventually(lambda: steps(run) > before, PATIENCE)


def comes_back(stranger: Stranger) -> None:
    """Without a name `attach` finds the run that trains, with its whole past; nobody is new any more."""
    stranger.sees("running", "second", "space pause ? help q quit")
    stranger.presses("3", "learning curve score")
    stranger.finds("improving|no change|getting worse")


def compares(stranger: Stranger) -> None:
    """Both runs over one another, and what the figures mean."""
    stranger.sees("COMPARE episode/score", "2 runs", "A first: ", "B second: ", "area − A")
    stranger.presses("i", "what the figures mean · episode/score", "this is what a run is judged by")
    stranger.terminal.press("q")
    assert stranger.terminal.wait(PATIENCE) == 0
