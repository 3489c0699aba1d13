"""The leader of a terminal's session, as a shell is one: what a program needs to be stopped and continued like a job.

    python -S job_shell.py DESCRIPTOR PROGRAM ARGUMENT ...

A program that leads its own session is in an orphaned process group, which the kernel does not stop at SIGTSTP. Here it
is a job in the foreground. DESCRIPTOR is a socket that tells of it, a line at a time ("pid 12", "stopped", "continued",
"exited 0", "killed 9"), and takes "fg".
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import termios


def main() -> int:
    """Run the program as a job until it ends or the terminal goes away; returns the job's exit code."""
    news = socket.socket(fileno=int(sys.argv[1]))
    for each in (signal.SIGTTOU, signal.SIGTTIN, signal.SIGTSTP, signal.SIGINT, signal.SIGQUIT):
        signal.signal(each, signal.SIG_IGN)
    cooked = termios.tcgetattr(0)
    job = os.fork()
    if job == 0:
        os.setpgid(0, 0)
        os.tcsetpgrp(0, os.getpgid(0))
        for each in (signal.SIGTTOU, signal.SIGTTIN, signal.SIGTSTP, signal.SIGINT, signal.SIGQUIT):
            signal.signal(each, signal.SIG_DFL)
        os.execvp(sys.argv[2], sys.argv[2:])
    hung = False

    def hang_up(*_: object) -> None:
        nonlocal hung
        hung = True

    signal.signal(signal.SIGHUP, hang_up)
    tell(news, f"pid {job}")
    while True:
        if hung:  # as a shell does: its jobs are told, then it goes
            os.killpg(job, signal.SIGHUP)
            return 128 + signal.SIGHUP
        if select.select([news], [], [], 0.02)[0]:
            if b"fg" not in news.recv(64):
                return 1
            os.tcsetpgrp(0, job)
            os.killpg(job, signal.SIGCONT)
        found, status = os.waitpid(job, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
        if not found:
            continue
        if os.WIFSTOPPED(status):
            os.tcsetpgrp(0, os.getpgrp())
            termios.tcsetattr(0, termios.TCSADRAIN, cooked)
            tell(news, "stopped")
        elif os.WIFCONTINUED(status):
            tell(news, "continued")
        elif os.WIFSIGNALED(status):
            tell(news, f"killed {os.WTERMSIG(status)}")
            return 128 + os.WTERMSIG(status)
        else:
            tell(news, f"exited {os.WEXITSTATUS(status)}")
            return os.WEXITSTATUS(status)


def tell(news: socket.socket, line: str) -> None:
    """Say a line to whoever started this."""
    try:
        news.sendall(line.encode() + b"\n")
    except OSError:
        return


if __name__ == "__main__":
    sys.exit(main())
