"""`--detach`: a run in a process, session and log of its own, which no logout ends."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from perx_tui.output import FAILED, FINISHED, INTERRUPTED, PROGRAM, say, write_error

if TYPE_CHECKING:
    from engine import TrainingSession

LOG = "detached.log"
"""In the run's folder: what the process would have written on a terminal."""

_PROGRAM = (
    "import sys; root = sys.argv.pop(1); root in sys.path or sys.path.insert(0, root); "
    "from perx_tui.cli import main; sys.exit(main())"
)
_POLL = 0.05
_LOG_BYTES = 1 << 20


def own_command(options: Sequence[str]) -> list[str]:
    """What starts this program once more, from the same files, with `options` of the command line."""
    root = str(Path(__file__).resolve().parents[1])
    # -P: a folder of the user's that is called like one of our packages must not take its place.
    return [sys.executable, "-P", "-c", _PROGRAM, root, *options]


def launch(options: Sequence[str], attach_options: str = "") -> int:
    """Start a headless run with `options` of the command line; returns once it trains, or the code it failed with.

    Prints the run's name on standard output, or what the failed start had to say on standard error.
    """
    reading, writing = os.pipe()
    command = own_command([*options, "--headless", "--detached", str(writing)])
    with tempfile.TemporaryFile() as log, open(reading, "rb") as news:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(writing,), start_new_session=True
        )
        os.close(writing)
        try:
            line = news.readline()
        except KeyboardInterrupt:
            process.terminate()
            return INTERRUPTED
        if line:
            name = json.loads(line)["run"]
            print(name, flush=True)
            say(f"training in the background; see it with: {PROGRAM} attach {shlex.quote(name)}{attach_options}")
            return FINISHED
        code = process.wait()
        log.seek(0)
        write_error(log.read(_LOG_BYTES).decode("utf-8", "replace"))
        return code if code > 0 else FAILED


def report(descriptor: int, session: TrainingSession) -> None:
    """In the started process: wait until the run trains, take the log into its folder, and tell who waits.

    A start that fails is told by closing the descriptor, which the end of the process does.
    """
    os.set_inheritable(descriptor, False)
    while session.snapshot().state == "starting" and not session.join(_POLL):
        pass
    snapshot = session.snapshot()
    if session.folder is None or snapshot.state == "failed":
        return
    with contextlib.suppress(OSError):
        _keep_log(session.folder)
    with contextlib.suppress(OSError):
        os.write(descriptor, json.dumps({"run": snapshot.run}).encode() + b"\n")
        os.close(descriptor)


def _keep_log(folder: Path) -> None:
    """Let standard output and error, a file without a name until now, go on in the run's folder."""
    log = os.open(folder / LOG, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.write(log, os.pread(1, _LOG_BYTES, 0))
        for standard in (1, 2):
            os.dup2(log, standard)
    finally:
        os.close(log)
