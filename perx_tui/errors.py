"""Errors of the command line itself."""

from __future__ import annotations


class UsageError(Exception):
    """The command line is wrong. The message is one line that says what and what to do."""


class ForcedExit(BaseException):
    """A second signal: leave now, without waiting for the checkpoint. Not an `Exception`, so that nothing swallows it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
