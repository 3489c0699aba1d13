"""Running `perx-tui` as a user would: a process of its own in an empty folder."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        """Lines on standard error."""
        return self.err.splitlines()


def environment() -> dict[str, str]:
    """This process's environment with the repository on the path and one thread for arithmetic."""
    paths = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "COLUMNS": "100"}


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
