"""Another command on this terminal while a screen of ours makes room for it.

The command is a process of its own: a checkpoint that plays loads torch, seeds it and takes its threads, and none of
that may touch a run that trains in this process. Why it failed, if it did, is caught and shown by the screen.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from textual.app import App

from perx_tui.detach import own_command
from perx_tui.output import FINISHED, INTERRUPTED, PROGRAM

_ENDING = (signal.SIGTERM, signal.SIGHUP)
_STOPPING = (signal.SIGTSTP, signal.SIGCONT)
_LAST_BYTES = 4096


def visit(app: App[Any], options: Sequence[str]) -> str:
    """Run this program with `options` on the terminal of `app` until it ends; why it failed, if it did, in one line."""
    with app.suspend():
        assert sys.__stdin__ is not None
        assert sys.__stdout__ is not None
        return run_on_terminal(own_command(options), sys.__stdin__.fileno(), sys.__stdout__.fileno())


def run_on_terminal(command: Sequence[str], keys: int, screen: int) -> str:
    """Run `command` with a terminal's descriptors for input and output; where it fails the last line that it said."""
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, stdin=keys, stdout=screen, stderr=said)
        with _waiting_for(process):
            code = process.wait()
        if code in (FINISHED, INTERRUPTED):
            return ""
        said.seek(max(0, said.seek(0, 2) - _LAST_BYTES))
        lines = said.read().decode("utf-8", "replace").strip().splitlines()
    return lines[-1].removeprefix(f"{PROGRAM}: ").strip() if lines else f"the command ended with code {code}"


@contextmanager
def _waiting_for(process: subprocess.Popen[bytes]) -> Iterator[None]:
    """Signals meanwhile: what ends this process ends the other too, ctrl+c is the other's, ctrl+z stops both."""
    before: dict[int, Any] = {each: signal.getsignal(each) for each in (signal.SIGINT, *_ENDING, *_STOPPING)}

    def end(number: int, frame: FrameType | None) -> None:
        process.terminate()
        handler = before[number]
        if callable(handler):
            handler(number, frame)

    try:
        signal.signal(signal.SIGINT, lambda *_: None)
        for each in _ENDING:
            if before[each] != signal.SIG_IGN:
                signal.signal(each, end)
        for each in _STOPPING:
            signal.signal(each, signal.SIG_DFL)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
