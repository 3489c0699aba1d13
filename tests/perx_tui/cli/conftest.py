"""Running `perx-tui` as a user would: a process of its own in an empty folder."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from ..program import environment


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Lines on standard error."""
        return self.err.splitlines()


@pytest.fixture
def perx_tui(tmp_path: Path) -> Callable[..., Answer]:
    """Runs `perx-tui ARGUMENTS` in `tmp_path` without a terminal and returns what it answered."""

    def run(*arguments: str, timeout: float = 60) -> Answer:
        done = subprocess.run(
            [sys.executable, "-m", "perx_tui", *arguments],
            cwd=tmp_path,
            env=environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Answer(done.returncode, done.stdout, done.stderr)

    return run
