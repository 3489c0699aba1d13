"""An hour in the life of a run: `make soak`, or

    python -m tests.measure.soak [--minutes 60] [--threads 1] [--seed 1] [--folder DIR]

The real program trains Breakout on a terminal. At random moments it is paused, saved, edited, attached to by viewers
that leave, hang, die or stop reading, resized, hung up, stopped, sent signals, killed and resumed. Each time it is
checked that it obeys and that nothing is lost: every iteration in metrics.jsonl once, every deed in events.jsonl, every
edit in force, every checkpoint sound, no traceback, right exit codes. In the first two fifths of the time the run ends
and is resumed again and again; after that one process lives to the end, so that its memory, threads and open files can
be judged. Ends with a report, and with code 1 when anything was not as it must be.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

from .deeds import DEEDS, ENDINGS
from .ledger import Violation
from .resources import quiet_look
from .screens import adopt_orphans
from .soaked_run import SoakedRun

ENDING_SHARE = 0.4
"""Share of the time in which the run is ended and resumed."""
REST = (0.5, 6.0)
"""Seconds between two deeds."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="where the run is kept (default: a temporary folder)")
    arguments = parser.parse_args()
    adopt_orphans()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        soak = SoakedRun(folder, arguments.threads, random.Random(arguments.seed))
        deeds: Counter[str] = Counter()
        faults: list[str] = []
        try:
            live(soak, arguments.minutes * 60, deeds)
            end(soak)
        except Violation as violation:
            faults.append(str(violation))
        except Exception:
            faults.append(traceback.format_exc())
        finally:
            soak.close()
        faults += [fault for track in soak.sampler.tracks for fault in track.faults()]
        report(soak, deeds, faults)
        return 1 if faults else 0


def live(soak: SoakedRun, seconds: float, deeds: Counter[str]) -> None:
    """Do one thing after another to the run until the time is over."""
    began = time.monotonic()
    soak.start()
    while (passed := time.monotonic() - began) < seconds:
        ending = passed < ENDING_SHARE * seconds
        if not ending and soak.resident is None:
            soak.settle_down()
        soak.loose_ends = ending
        time.sleep(soak.random.uniform(*REST))
        soak.check()
        if soak.is_quiet and soak.process is not None:
            quiet_look(soak.process)
        possible = {**DEEDS, **(ENDINGS if ending else {})}
        # The terminal goes away once in the long life, after its first half.
        if not ending and not soak.screen.hung_up and passed > (1 + ENDING_SHARE) / 2 * seconds:
            name = "hang up"
            deed = ENDINGS[name][1]
        else:
            name = soak.random.choices(list(possible), [weight for weight, _ in possible.values()])[0]
            deed = possible[name][1]
        at = time.monotonic()
        print(f"{passed / 60:6.2f} min  iteration {soak.ledger.iteration:5}  {name}", end="", flush=True)
        told = deed(soak)
        print(f"  {told or ''}  ({time.monotonic() - at:.1f} s)", flush=True)
        deeds[name] += 1
        soak.check()


def end(soak: SoakedRun) -> None:
    """Stop the run and look at what it leaves."""
    soak.finish()
    name, iteration = soak.ledger.newest_checkpoint()
    if iteration != soak.ledger.iteration:
        raise Violation(f"the last checkpoint {name} is of iteration {iteration}, the run of {soak.ledger.iteration}")
    played = subprocess.run(
        [*soak.program, "play", soak.name, "--headless", "--json", "--episodes", "2"],
        cwd=soak.folder,
        env=soak.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if played.returncode != 0 or json.loads(played.stdout)["checkpoint"] != name:
        raise Violation(f"play does not take the last checkpoint: {played.stderr}")
    if (soak.run / "crash.log").exists():
        raise Violation((soak.run / "crash.log").read_text())


def report(soak: SoakedRun, deeds: Counter[str], faults: list[str]) -> None:
    """What was done, what it took, what was wrong."""
    ledger = soak.ledger
    print("\ndeeds      " + ", ".join(f"{name} {count}" for name, count in sorted(deeds.items())))
    print(
        f"recorded   {ledger.iteration} iterations, {len(ledger.events)} events, {len(ledger.checkpoints)} checkpoints "
        f"(slowest check {ledger.slowest_load:.2f} s), {soak.starts} starts, {soak.viewers_met} viewers"
    )
    for what, seconds in sorted(soak.slowest.items()):
        print(f"slowest    {what}: {seconds:.2f} s")
    soak.sampler.write(soak.folder / "samples.csv")
    for track in sorted(soak.sampler.tracks, key=lambda track: -len(track.samples))[:12]:
        print("process    " + track.line())
    print(f"machine    {os.cpu_count()} cores, load {os.getloadavg()[2]:.1f}")
    for fault in faults:
        print("VIOLATION  " + fault)
    print("violations " + str(len(faults)))


if __name__ == "__main__":
    sys.exit(main())
