"""The program as most people will have it, in tmux at the far end of an SSH connection: `make ssh`, or

    python -m tests.measure.ssh

An SSH server of its own, on 127.0.0.1 with keys of its own in a temporary folder, takes connections from
pseudo-terminals whose screens are read back. Held are colours, keys, sizes, tmux's detach and attach, copying, and what
becomes of a run whose connection is killed, with tmux and without. Every line says what was found; ends with code 1 at
the first that is not as it should be. Without sshd, ssh and ssh-keygen tmux alone is tried, without tmux nothing, and
it says so.
"""

from __future__ import annotations

import base64
import contextlib
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.perx_tui.program import ENDLESS, REPOSITORY, metrics, record
from tests.perx_tui.pseudo_terminal import PseudoTerminal

PATIENCE = 60.0
RUN = "far"
TMUX_SETTINGS = """\
set -g default-terminal tmux-256color
set -as terminal-features ",xterm-256color:RGB"
set -g set-clipboard on
set -sg escape-time 20
set -g status off
set-environment -gu COLORTERM
"""


class Place:
    """A folder with a profile, a command that starts the program there, and a way to reach it."""

    def __init__(self, folder: Path, connect: list[str]) -> None:
        """`connect` is what stands before a command that is to run at the far end; empty runs it here."""
        self.folder = folder
        self._connect = connect
        self.tmux = ["tmux", "-u", "-S", str(folder / "tmux.sock"), "-f", str(folder / "tmux.conf")]
        (folder / "tiny.toml").write_text(ENDLESS)
        (folder / "tmux.conf").write_text(TMUX_SETTINGS)
        settings = {
            "PYTHONPATH": str(REPOSITORY),
            "OMP_NUM_THREADS": "1",
            "XDG_CONFIG_HOME": str(folder / "config"),
            "LANG": "C.UTF-8",
        }
        exports = "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
        start = f"cd {shlex.quote(str(folder))}\nexec {shlex.quote(sys.executable)} -m perx_tui"
        self.program = folder / "perx"
        self.program.write_text(f'#!/bin/sh\n{exports}{start} "$@"\n')
        self.program.chmod(0o700)

    @property
    def far(self) -> bool:
        """Whether there is a connection in between."""
        return bool(self._connect)

    @property
    def run(self) -> Path:
        """The run's folder."""
        return self.folder / "runs" / RUN

    def terminal(self, *command: str, columns: int = 80, lines: int = 24) -> PseudoTerminal:
        """`command` at the far end, on a terminal here."""
        inner = [shlex.join(command)] if self.far else list(command)
        return PseudoTerminal([*self._connect, *inner], self.folder, dict(os.environ), columns, lines)

    def in_tmux(self, *arguments: str) -> PseudoTerminal:
        """The program in a new tmux session; without arguments the session that there is."""
        if not arguments:
            return self.terminal(*self.tmux, "attach-session")
        return self.terminal(*self.tmux, "new-session", "-s", "run", shlex.join([str(self.program), *arguments]))

    def ask_tmux(self, *arguments: str) -> str:
        """What a command of tmux answers."""
        done = subprocess.run([*self.tmux, *arguments], capture_output=True, text=True, timeout=20, check=False)
        return done.stdout

    def steps(self) -> int:
        """Steps that the run has recorded."""
        rows = metrics(self.run)
        return int(rows[-1]["step"]) if rows else 0

    def trains_on(self) -> bool:
        """Wait for more steps than there are."""
        before = self.steps()
        return eventually(lambda: self.steps() > before)

    def clean_up(self) -> None:
        """End what may be left: the session of tmux and the run."""
        self.ask_tmux("kill-server")
        with contextlib.suppress(OSError, ValueError, KeyError):
            if record(self.run)["state"] not in ("finished", "failed", "stopped"):
                os.kill(int(record(self.run)["pid"]), signal.SIGKILL)


def eventually(condition: Callable[[], object]) -> bool:
    """Whether `condition` comes true in time."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def found(what: str, holds: object = True) -> None:
    """Say that something is as it should be; the end of everything where it is not."""
    print(f"{'ok  ' if holds else 'NOT '} {what}", flush=True)
    if not holds:
        raise AssertionError(what)


# ---- what is held ----


def colours(terminal: PseudoTerminal, place: Place) -> None:
    """256 where tmux promises no more, and all of them where COLORTERM says so."""
    terminal.wait_for("► running", PATIENCE)
    type_ = place.ask_tmux("show-options", "-gv", "default-terminal").strip()
    used = kinds(terminal.output)
    found(f"colours: {used} under TERM={type_}", used == "256 colours")
    found("colours: badge, tab and picture have backgrounds", len(terminal.backgrounds()) >= 3)
    before = len(terminal.output)
    place.ask_tmux("new-window", "-e", "COLORTERM=truecolor", shlex.join([str(place.program), "attach"]))
    terminal.wait_for(
        lambda: kinds(terminal.output[before:]) == "truecolor" and "► running" in terminal.text(), PATIENCE
    )
    found("colours: truecolor where COLORTERM says so")
    terminal.press("q")
    terminal.wait_for("Leave", PATIENCE)
    terminal.press("l")
    found(
        "colours: the first screen is back",
        eventually(lambda: place.ask_tmux("display", "-p", "#{session_windows}").strip() == "1"),
    )
    terminal.wait_for("► running", PATIENCE)


def kinds(output: bytes) -> str:
    """The most that the colours in `output` ask of a terminal."""
    used = set(re.findall(rb"[34]8[;:](2|5)[;:]", output))
    return "truecolor" if b"2" in used else "256 colours" if b"5" in used else "16 colours or none"


def keys(terminal: PseudoTerminal) -> None:
    terminal.press("e")
    terminal.wait_for("type a few letters", PATIENCE)
    terminal.press("\x1b[B")
    terminal.wait_for("─ train.adam_learning_rate ─", PATIENCE)
    terminal.press("\x1b[A")
    terminal.wait_for("─ train.learning_rate ─", PATIENCE)
    found("keys: arrows move the cursor of the editor")
    terminal.press("\x1bOP")
    terminal.wait_for("Take the last change back", PATIENCE)
    found("keys: F1 shows the keys")
    for word in ("type a few letters", "throughput"):
        pressed = time.monotonic()
        terminal.press("\x1b")
        terminal.wait_for(word, PATIENCE)
        taken = time.monotonic() - pressed
    found(f"keys: Esc goes back in {taken * 1000:.0f} ms")
    terminal.press(" ")
    terminal.wait_for("paused", PATIENCE)
    terminal.press(" ")
    terminal.wait_for("running", PATIENCE)
    found("keys: space pauses and goes on")


def sizes(terminal: PseudoTerminal) -> None:
    for columns, lines, seen in ((160, 48, "8 log"), (40, 12, "[3"), (30, 8, "too small"), (80, 24, "[3 curve]")):
        terminal.resize(columns, lines)
        terminal.wait_for(seen, PATIENCE)
        found(f"sizes: {columns}x{lines} shows {seen!r}")


def copying(terminal: PseudoTerminal, place: Place) -> None:
    terminal.press("4")
    terminal.wait_for("[4 losses]", PATIENCE)
    terminal.press("y")
    terminal.wait_for("copied panel losses", PATIENCE)
    found("copying: the panel is in tmux's buffer", eventually(lambda: "policy loss" in place.ask_tmux("show-buffer")))

    def sent() -> bool:
        texts = re.findall(rb"\x1b\]52;[a-z]*;([A-Za-z0-9+/=]+)", terminal.output)
        return any(b"policy loss" in base64.b64decode(text) for text in texts)

    found("copying: the terminal at this end was sent the panel (OSC 52)", eventually(sent))


def detached_and_attached(terminal: PseudoTerminal, place: Place) -> None:
    terminal.press("\x02d")
    found("tmux: detached", terminal.wait(PATIENCE) == 0)
    found("tmux: the run goes on meanwhile", place.trains_on())
    with place.in_tmux() as again:
        again.wait_for("[4 losses]", PATIENCE)
        found("tmux: attached again, the screen is as it was left")
        again.process.kill()
        again.process.wait()
    found("connection killed: the run in tmux goes on", place.trains_on())
    with place.in_tmux() as again:
        again.wait_for("[4 losses]", PATIENCE)
        again.wait_for("► running", PATIENCE)
        again.press("q")
        again.wait_for("Stop with a checkpoint", PATIENCE)
        again.press("s")
        again.wait(PATIENCE)
    found("tmux: q stops the run with a checkpoint", eventually(lambda: record(place.run)["state"] == "stopped"))


def killed_connection(place: Place) -> None:
    """Without tmux the terminal goes away with the connection; the run stays, and `attach` finds it."""
    shutil.rmtree(place.run)
    with place.terminal(str(place.program), "--profile", "tiny.toml", "--name", RUN) as terminal:
        terminal.wait_for("► running", PATIENCE)
        terminal.process.kill()
        terminal.process.wait()
    found("connection killed: the run goes on without a screen", place.trains_on())
    with place.terminal(str(place.program), "attach") as later:
        later.wait_for("► running", PATIENCE)
        later.wait_for(RUN, PATIENCE)
        found("attach finds the run again, over another connection")
        later.press("q")
        later.wait_for("Leave", PATIENCE)
        later.press("s")
        found("attach: q stops it with a checkpoint", later.wait(PATIENCE) == 0)
    found("the run has ended as stopped", eventually(lambda: record(place.run)["state"] == "stopped"))


# ---- the server ----


@contextmanager
def server(folder: Path) -> Iterator[list[str]]:
    """An SSH server on this machine for nobody else; what connects to it."""
    sshd = shutil.which("sshd", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")
    assert sshd is not None
    for name in ("host", "user"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name)], check=True)
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {port}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        f"PidFile {folder}/sshd.pid\nPasswordAuthentication no\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n"
    )
    private = Path("/run/sshd")
    made = os.getuid() == 0 and not private.exists()  # sshd of root wants this folder and does not make it
    if made:
        private.mkdir(mode=0o755)
    process = subprocess.Popen(
        [sshd, "-D", "-e", "-f", str(folder / "sshd_config")], stderr=(folder / "sshd.log").open("w")
    )
    try:
        if not eventually(lambda: process.poll() is not None or reachable(port)) or process.poll() is not None:
            raise AssertionError(f"sshd does not start: {(folder / 'sshd.log').read_text()}")
        options = ["BatchMode=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR"]
        settings = [word for option in options for word in ("-o", option)]
        yield ["ssh", "-tt", "-F", "/dev/null", "-p", str(port), "-i", str(folder / "user"), *settings, "127.0.0.1"]
    finally:
        process.terminate()
        process.wait(10)
        if made:
            with contextlib.suppress(OSError):
                private.rmdir()


def reachable(port: int) -> bool:
    """Whether something listens there."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def prove(place: Place) -> None:
    """All of it, one after the other."""
    try:
        with place.in_tmux("--profile", "tiny.toml", "--name", RUN) as terminal:
            colours(terminal, place)
            keys(terminal)
            sizes(terminal)
            copying(terminal, place)
            detached_and_attached(terminal, place)
        if place.far:
            killed_connection(place)
    finally:
        place.clean_up()


def main() -> int:
    paths = os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin"
    missing = [name for name in ("tmux", "ssh", "ssh-keygen", "sshd") if shutil.which(name, path=paths) is None]
    if "tmux" in missing:
        print("skipped: tmux is not installed (Debian, Ubuntu: apt install tmux openssh-server)")
        return 0
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        if missing:
            print(
                f"without SSH, because {' and '.join(missing)} cannot be found (apt install openssh-server); tmux alone"
            )
        connect = [] if missing else stack.enter_context(server(folder))
        try:
            prove(Place(folder, connect))
        except AssertionError as error:
            print(f"{error}\n" + "\n".join(getattr(error, "__notes__", [])))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
