"""The dialog that asks what becomes of the training."""

from __future__ import annotations

from perx_tui.tui.screens.question import CANCEL, Option, QuestionScreen
from perx_tui.tui.theme import Palette

OPTIONS = (
    Option("s", "stop", "Stop with a checkpoint", "Saves everything and ends the training. --resume continues it."),
    Option("h", "headless", "Keep training headless", "Closes this screen only. The run goes on in this terminal."),
    CANCEL,
)

ATTACHED = (
    Option("l", "headless", "Leave", "Closes this screen only. The run goes on in its own process."),
    *(option for option in OPTIONS if option.choice != "headless"),
)
"""The answers where the run trains in another process."""


class QuitScreen(QuestionScreen):
    """Answers "stop", "headless" or "cancel". Every way out spells out its consequence."""

    def __init__(self, palette: Palette, options: tuple[Option, ...] = OPTIONS) -> None:
        super().__init__(palette, "quit: what becomes of the training?", options)
