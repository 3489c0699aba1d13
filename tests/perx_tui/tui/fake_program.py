"""Runs the app on a session that trains nothing, and prints why it ended: the program of the pseudo-terminal tests.

Arguments: seconds an iteration takes; a mode ("noisy": a thread writes to descriptors 1 and 2 all the time; "nohup":
hang-up signals are blocked; "faulty": its snapshots break after a while; "slow-link"); a file for the result.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time

from fakes import LiveSession

from perx_tui.tui import run_app


def main() -> None:
    session = LiveSession(period=float(sys.argv[1]) if len(sys.argv) > 1 else 0.5)
    if "noisy" in sys.argv:

        def shout() -> None:
            while True:
                os.write(1, b"NOISE ON ONE\n")
                os.write(2, b"NOISE ON TWO\n")
                time.sleep(0.02)

        threading.Thread(target=shout, daemon=True).start()
        time.sleep(0.1)
    if "nohup" in sys.argv:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    if "faulty" in sys.argv:
        threading.Timer(1.5, lambda: setattr(session, "current", None)).start()
    result = run_app(session, slow_link="slow-link" in sys.argv)
    with contextlib.suppress(OSError):
        print(f"result {result}", flush=True)
    if len(sys.argv) > 3:
        with open(sys.argv[3], "w", encoding="utf-8") as file:
            file.write(result)


if __name__ == "__main__":
    main()
