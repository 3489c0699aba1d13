"""A process whose terminal has gone away ends in order, however many signals tell it so."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from perx_tui.tui.ending import after_hang_up, ending_signals

LEAVING = """
import os, signal
from perx_tui.tui.ending import after_hang_up, ending_signals

class Late:
    def __del__(self, kill=os.kill, me=os.getpid(), number=signal.SIGHUP):
        kill(me, number)

late = Late()  # goes when the interpreter has put the signals' handlers away
told = []
with ending_signals(told.append):
    os.kill(os.getpid(), signal.SIGHUP)
assert told == ["hangup"]
"""


@pytest.mark.parametrize(("rest", "code"), [("after_hang_up()", 0), ("", -signal.SIGHUP)])
def test_a_second_hang_up_while_it_leaves_changes_nothing(rest: str, code: int) -> None:
    ended = subprocess.run([sys.executable, "-c", LEAVING + rest], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (code, "")


def test_a_handler_that_somebody_else_has_set_stays() -> None:
    before = signal.signal(signal.SIGHUP, lambda *_: None)
    mine = signal.getsignal(signal.SIGHUP)
    try:
        with ending_signals(lambda ending: None):
            pass
        after_hang_up()
        assert signal.getsignal(signal.SIGHUP) is mine
    finally:
        signal.signal(signal.SIGHUP, before)
