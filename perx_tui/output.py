"""Lines to standard error and standard output that survive a terminal or a reader that is gone."""

from __future__ import annotations

import contextlib
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from typing import NoReturn

PROGRAM = "perx-tui"

FINISHED = 0
FAILED = 1
USAGE = 2
INTERRUPTED = 130
TERMINATED = 143


def say(text: str) -> None:
    """Write lines to standard error, each with the program's name before it. A closed terminal is no reason to fail."""
    lines = "".join(f"{PROGRAM}: {visible(line)}\n" for line in text.splitlines() or [""])
    write_error(lines)


def visible(text: str) -> str:
    """`text` with every character that a terminal could act on written as its escape: a name is only ever shown."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)


def write_error(text: str) -> None:
    """Write `text` to standard error as it is, and ignore that nobody can read it any more."""
    with contextlib.suppress(OSError, ValueError):
        sys.stderr.write(text)
        sys.stderr.flush()


def to_json(value: object) -> str:
    """One line of JSON. Numbers that JSON cannot hold (nan, inf) become null, so that every line parses everywhere.

    What a terminal could act on, or UTF-8 cannot hold, is written as JSON's own escape.
    """
    text = json.dumps(_finite(value), allow_nan=False, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else json.dumps(each)[1:-1] for each in text)


def _finite(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_finite(item) for item in value]
    return value


def emit(value: object) -> None:
    """Write one JSON line to standard output at once. BrokenPipeError when its reader has gone."""
    sys.stdout.write(to_json(value) + "\n")
    sys.stdout.flush()


def leave(code: int) -> NoReturn:
    """End the process now, without waiting for threads."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)


def abandon_stdout() -> None:
    """Point standard output at nothing, so that the flush at exit does not complain about a reader that has gone."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
