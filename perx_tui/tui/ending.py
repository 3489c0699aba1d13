"""Signals that end a process end the app first, which gives the terminal back."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Literal

Ending = Literal["sigterm", "sigint", "hangup"]

_ENDINGS: dict[int, Ending] = {
    signal.SIGTERM: "sigterm",
    signal.SIGINT: "sigint",
    signal.SIGHUP: "hangup",
}
_TAKEN = (signal.SIGWINCH, signal.SIGTSTP, signal.SIGCONT)
"""Signals that Textual's driver handles and does not hand back."""


@contextmanager
def ending_signals(leave: Callable[[Ending], None]) -> Iterator[None]:
    """Signals that end a process end the app instead; afterwards the caller's own handlers are back without a gap."""

    def handle(number: int, _frame: FrameType | None) -> None:
        leave(_ENDINGS[number])

    before = {number: signal.getsignal(number) for number in (*_ENDINGS, *_TAKEN)}
    for number in _ENDINGS:
        signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def after_hang_up() -> None:
    """Lets the SIGHUPs pass that come behind the first one, from the shell and from the kernel when the shell ends: one
    of them would kill a process that is about to leave in order. A handler that somebody else has set stays."""
    if signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
