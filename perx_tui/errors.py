"""Errors of the command line itself."""

from __future__ import annotations


class UsageError(Exception):
    """The command line is wrong. The message is one line that says what and what to do."""


class ForcedExit(BaseException):
    """A signal that ends the program now. Not an `Exception`, so that nothing on the way swallows it."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum
