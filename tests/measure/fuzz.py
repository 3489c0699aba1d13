"""Hostile inputs in large numbers: `make fuzz`, or

    python -m tests.measure.fuzz [--count 100000] [--seed 1] [--only profiles|requests|answers] [--first N]

Every input has a number and is made from the seed and that number alone: one that failed is repeated with `--first N
--count 1`. Ends with how many inputs there were, what became of them, and the longest that one took; with code 1 when
anything else than the typed error came, or an input took longer than it may.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from random import Random

from .fuzz_messages import AnswerFuzzer, RequestFuzzer
from .fuzz_profiles import ProfileFuzzer

MOST_SECONDS = 2.0
"""Of processor time in this process that one input may take."""
MOST_FAULTS = 5


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", choices=("profiles", "requests", "answers"))
    arguments = parser.parse_args()
    faults = 0
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        fuzzers: dict[str, Callable[[Random], str]] = {
            "profiles": ProfileFuzzer(folder / "profile.toml").try_one,
            "requests": stack.enter_context(RequestFuzzer()).try_one,
            "answers": AnswerFuzzer().try_one,
        }
        for name, try_one in fuzzers.items():
            if arguments.only in (None, name):
                faults += run(name, try_one, arguments)
    return 1 if faults else 0


def run(name: str, try_one: Callable[[Random], str], arguments: argparse.Namespace) -> int:
    """Try so many inputs; returns how many faults there were."""
    results: Counter[str] = Counter()
    longest, which, faults = 0.0, 0, 0
    began = time.monotonic()
    for number in range(arguments.first, arguments.first + arguments.count):
        started = time.process_time()
        try:
            results[try_one(Random(f"{arguments.seed} {name} {number}"))] += 1
            taken = time.process_time() - started
            assert taken < MOST_SECONDS, f"it took {taken:.1f} s"
        except Exception:
            faults += 1
            print(f"FAULT  {name}, input {number}:\n{traceback.format_exc(limit=-4)[:3000]}", flush=True)
            if faults >= MOST_FAULTS:
                break
            continue
        if taken > longest:
            longest, which = taken, number
    told = ", ".join(f"{count:,} {result}" for result, count in results.most_common())
    print(
        f"{name:<9} {sum(results.values()):,} inputs in {time.monotonic() - began:.0f} s: {told}; "
        f"longest {1000 * longest:.0f} ms (input {which}); {faults} faults",
        flush=True,
    )
    return faults


if __name__ == "__main__":
    sys.exit(main())
