"""The charts and the clipboard in a real terminal: a pseudo-terminal, and tmux where it is installed."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pseudo_terminal import ROOT, Terminal

PROGRAM = str(Path(__file__).parent / "fake_program.py")
SEQUENCE = re.compile(rb"\x1b\]52;c?;([A-Za-z0-9+/=]+)\x07")


class Recording(Terminal):
    """A terminal that keeps every byte, as one that has a clipboard would."""

    def __init__(self, argv: list[str], columns: int, rows: int, **environment: str) -> None:
        super().__init__(argv, columns, rows, **environment)
        self.bytes = b""
        feed = self._stream.feed

        def keep(data: bytes) -> None:
            self.bytes += data
            feed(data)

        self._stream.feed = keep  # type: ignore[method-assign]

    def wait_for_clipboard(self, seconds: float = 10.0) -> str:
        """The text of the newest sequence that sets the clipboard."""
        end = time.monotonic() + seconds
        while not (found := SEQUENCE.findall(self.bytes)):
            assert time.monotonic() < end, "nothing was copied"
            self.pump(0.05)
        return base64.b64decode(found[-1]).decode()


def test_charts_are_searched_zoomed_and_read_at_80x24(tmp_path: Path) -> None:
    with Terminal([PROGRAM, "0.4"], 80, 24, XDG_CONFIG_HOME=str(tmp_path)) as terminal:
        terminal.wait_for("running")
        terminal.wait_for("score")
        for keys, answer in [
            ("g", "episode/score over steps"),
            ("/", "type a few letters"),
            ("gradn", "Norm of the gradient"),
            ("\r", "loss/grad_norm over steps"),
            ("+", "zoomed, newest"),
            ("\x1b[D", " steps, "),
            ("l", "log, zoomed"),
            ("0", "log ─"),
            ("x", "over time"),
            ("g", "3 loss/grad_norm"),
        ]:
            terminal.send(keys)
            terminal.wait_for(answer)
    assert '"loss/grad_norm"' in (tmp_path / "perx-tui" / "charts.json").read_text()


def test_copied_text_reaches_the_terminal() -> None:
    with Recording([PROGRAM, "0.4"], 80, 24, TMUX="", STY="") as terminal:
        terminal.wait_for("running")
        terminal.wait_for("score")
        terminal.send("Y")
        terminal.wait_for("copied the summary")
        assert "profile                   breakout" in terminal.wait_for_clipboard()


@pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")
def test_in_tmux_copied_text_reaches_its_buffer_and_the_terminal_around_it(tmp_path: Path) -> None:
    """With the options that tmux has by itself, under which it keeps what programs send for the clipboard."""
    socket, folder = f"perx-tui-{os.getpid()}", str(Path(__file__).parent)
    tmux = ["tmux", "-L", socket, "-f", "/dev/null"]
    path = os.pathsep.join([str(ROOT), folder])
    inner = f"env PYTHONPATH={path} COLORTERM=truecolor {sys.executable} {PROGRAM} 0.4"
    starter = tmp_path / "start.py"
    starter.write_text(f"import os\nos.execvp('tmux', {[*tmux, 'new-session', '-s', 'run', inner]!r})\n")
    try:
        with Recording([str(starter)], 100, 30, TMUX="", TERM="xterm-256color", LC_ALL="C.UTF-8") as terminal:
            terminal.wait_for("running", 30)
            terminal.wait_for("score")
            terminal.send("Y")
            terminal.wait_for("copied the summary")
            assert "profile                   breakout" in terminal.wait_for_clipboard()
            kept = subprocess.run([*tmux, "show-buffer"], capture_output=True, text=True, timeout=10, check=True)
            assert "profile                   breakout" in kept.stdout
            terminal.send("g")
            terminal.wait_for("episode/score over steps")
            terminal.resize(160, 48)
            terminal.wait_for(" of 25 ")
    finally:
        subprocess.run([*tmux, "kill-server"], capture_output=True, timeout=10, check=False)
