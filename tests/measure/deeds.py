"""What is done to a run while it is soaked. Each deed checks what must follow from it, and leaves the run training."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Mapping

from .ledger import Violation
from .resources import cpu_share
from .screens import Screen, wait_until
from .soaked_run import NORMAL_SIZES, SoakedRun, Viewer

Deed = Callable[[SoakedRun], str | None]

SETTINGS: Mapping[str, tuple[object, ...]] = {
    "train.learning_rate": (0.001, 0.005, 0.01, 0.015, 0.02),
    "train.entropy_coef": (0.001, 0.005, 0.01),
    "train.gamma": (0.98, 0.99, 0.995),
    "train.clip": (0.1, 0.2, 0.3),
    "train.value_clip": (0.0, 0.2, 1.0),
    "replay.scheme": ("prioritized", "stratified", "rank", "topk", "uniform", "sequential"),
    "replay.alpha": (0.0, 0.4, 0.8, 1.2),
    "replay.beta0": (0.0, 0.2, 1.0),
    "replay.metric": ("sum", "mean", "max", "eta"),
    "replay.replacement": (True, False),
    "replay.normalize_weights": (True, False),
    "run.checkpoint_every": (20, 40, 80),
    "run.keep_checkpoints": (2, 3, 5),
}
TYPED = ("train.entropy_coef", "train.clip", "replay.alpha")
"""Settings whose values are also typed into the editor."""
KEYS = (
    "p",
    "v",
    "?",
    "f",
    "\t",
    "n",
    "N",
    "1",
    "2",
    "3",
    "4",
    "5",
    "6",
    "7",
    "8",
    "\x1b[A",
    "\x1b[B",
    "\x1b[C",
    "h",
    "j",
)


def any_screen(soak: SoakedRun) -> Screen | None:
    """A terminal to press keys on, its dashboard before one; None where nobody has one."""
    screen = soak.random.choice(soak.screens) if soak.screens else None
    if screen is not None:
        screen.go_home()
    return screen


def pause(soak: SoakedRun) -> str:
    """Nothing is recorded while it stands still; single iterations are single."""
    since = len(soak.ledger.events)
    screen = any_screen(soak) if soak.random.random() < 0.6 else None
    screen.press(" ") if screen else soak.control.pause()
    soak.took("pause", soak.expect_state("paused"))
    soak.ledger.wait_for_event("pause", since, "a key" if screen else "the socket's command")
    time.sleep(1.0)
    soak.ledger.read()
    held = soak.ledger.iteration
    time.sleep(soak.random.uniform(0.5, 3))
    soak.ledger.read()
    if soak.ledger.iteration != held:
        raise Violation(f"an iteration was recorded while paused: {soak.ledger.iteration}")
    singles = soak.random.choice((0, 0, 1, 2))
    for number in range(singles):
        soak.control.step_iteration()
        soak.ledger.wait_for_event("step", since, "the socket's command")
        # It may have been read of along with the event.
        soak.ledger.wait_for_iterations(held + number + 1 - soak.ledger.iteration)
        time.sleep(1.0)
        soak.ledger.read()
        if soak.ledger.iteration != held + number + 1:
            raise Violation(f"{number + 1} single iterations went from {held} to {soak.ledger.iteration}")
    if soak.random.random() < 0.3:
        save(soak)
        soak.expect_state("paused")
    if screen and soak.random.random() < 0.5:
        soak.expect_on(screen, "▌▌paused")  # until then the key would mean to pause; the log says "paused", too
        screen.press(" ")
    else:
        soak.control.resume()
    soak.ledger.wait_for_event("resume", since, "a key or the socket's command")
    soak.expect_state("running")
    soak.took("first iteration after a pause", soak.ledger.wait_for_iterations(1))
    return f"{singles} single iterations"


def save(soak: SoakedRun) -> str:
    """A checkpoint is there, and told."""
    since = len(soak.ledger.events)
    way = soak.random.choice(("key", "socket", "SIGUSR1"))
    if way == "SIGUSR1":
        soak.screen.send(signal.SIGUSR1)
    elif way == "key" and (screen := any_screen(soak)):
        screen.press("c")
    else:
        way = "socket"
        soak.control.checkpoint()
    began = time.monotonic()
    event = soak.ledger.wait_for_event("checkpoint", since, way)
    soak.took("checkpoint", time.monotonic() - began)
    soak.ledger.look_at_checkpoints()
    return f"{way}: {event['checkpoint']}"


def edit(soak: SoakedRun) -> str:
    """An edit comes into force between minibatches and is recorded in events.jsonl and in profile.toml."""
    since = len(soak.ledger.events)
    typed = soak.random.random() < 0.4
    screen = any_screen(soak) if typed else None
    key = soak.random.choice(TYPED if screen else list(SETTINGS))
    choices = [value for value in SETTINGS[key] if value != soak.control.profile.info(key).value]
    value = soak.random.choice(choices)
    if screen:
        for keys in ("e", key, "\r", "\x7f" * 24, str(value), "\r", "\x1b", "\x1b", "\x1b"):
            screen.press(keys)
            time.sleep(0.3)
    else:
        soak.control.set(key, value)
    soak.ledger.wait_for_event("edit", since, "typing" if screen else "the socket's command", key=key, new=value)
    soak.edits[key] = value
    if not wait_until(lambda: soak.ledger.profile_has(key, value), 10):
        raise Violation(f"{key} = {value} is not in profile.toml")
    return f"{key} = {value}{' typed' if screen else ''}"


def attach(soak: SoakedRun) -> str:
    """Up to three viewers; each shows the run and has its whole history."""
    if len(soak.viewers) >= 3:
        return "three are there"
    viewer = soak.attach(soak.random.uniform(5, 60))
    rows = [int(row["iteration"]) for row in soak.control.history()]
    if rows != list(range(1, len(rows) + 1)):
        raise Violation(f"a viewer's history has a gap: {rows[:3]} ... {rows[-3:]}")
    viewer.screen.press(soak.random.choice(KEYS))
    return viewer.track.name


def detach(soak: SoakedRun) -> str:
    """A viewer goes, politely or not; training does not notice."""
    if not soak.viewers:
        return "nobody is there"
    viewer = soak.random.choice(soak.viewers)
    screen = viewer.screen
    way = soak.random.choice(("q", "TERM", "INT", "KILL", "hang up"))
    if way == "q":
        screen.go_home()
        screen.press("q")
        soak.expect_on(screen, "Leave")
        screen.press("l")
    elif way == "hang up":
        screen.hang_up()
    else:
        screen.send(signal.Signals["SIG" + way])
    code = {"q": 0, "TERM": 143, "INT": 130, "KILL": -9, "hang up": 0}[way]
    if screen.wait(20) != code:
        raise Violation(f"a viewer left by {way} with {screen.code}, not {code}: {screen.last_output}")
    soak.dismiss(viewer)
    soak.ledger.wait_for_iterations(1)
    return f"{viewer.track.name} by {way}"


def stop_reading(soak: SoakedRun) -> str | None:
    """A viewer's terminal takes nothing any more, or the viewer itself is stopped: training goes on all the same."""
    if not soak.viewers:
        return "nobody is there"
    viewer: Viewer = soak.random.choice(soak.viewers)
    stopped = soak.random.random() < 0.4
    if stopped:
        viewer.screen.send(signal.SIGSTOP)
    else:
        viewer.screen.freeze(True)
    seconds = soak.random.uniform(3, 25)
    soak.ledger.wait_for_iterations(2)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        soak.ledger.wait_for_iterations(1)
    if soak.random.random() < 0.5:  # it never reads again
        soak.dismiss(viewer)
        return "and is killed"
    if stopped:
        viewer.screen.to_foreground()
    viewer.screen.freeze(False)
    viewer.screen.resize(*soak.random.choice(NORMAL_SIZES))
    viewer.screen.go_home()
    soak.expect_on(viewer.screen, soak.name, "running")
    return "stopped" if stopped else "unread"


def resize(soak: SoakedRun) -> str | None:
    """Sizes from 1x1 to 500x200 in quick or slow succession; in the end the run is to be seen."""
    if not soak.screens:
        return "no screen"
    screen = soak.random.choice(soak.screens)
    count = soak.random.choice((1, 5, 20))
    for _ in range(count):
        screen.resize(soak.random.randint(1, 500), soak.random.randint(1, 200))
        time.sleep(soak.random.choice((0.0, 0.02, 0.3)))
    screen.resize(*soak.random.choice(NORMAL_SIZES))
    screen.send(signal.SIGWINCH)
    screen.go_home()
    soak.expect_on(screen, soak.name, "running")
    return f"{count} sizes"


def keys(soak: SoakedRun) -> str | None:
    """Keys that open screens, in any order, and back."""
    screen = any_screen(soak)
    if screen is None:
        return "no screen"
    for _ in range(soak.random.randint(3, 12)):
        screen.press(soak.random.choice(KEYS))
        time.sleep(soak.random.choice((0.02, 0.4)))
    screen.go_home()
    soak.expect_on(screen, soak.name)
    return None


def suspend(soak: SoakedRun) -> str | None:
    """SIGTSTP (SIGSTOP where there is no terminal) holds everything; SIGCONT gives it back."""
    headless = soak.screen.hung_up
    soak.screen.status = ""
    soak.screen.send(signal.SIGSTOP if headless else signal.SIGTSTP)
    if not wait_until(lambda: _state(soak.screen.pid) == "T", 20):
        raise Violation(f"SIGTSTP did not stop the process: it is {_state(soak.screen.pid)}")
    soak.ledger.read()
    held = soak.ledger.iteration
    time.sleep(soak.random.uniform(1, 4))
    soak.ledger.read()
    if soak.ledger.iteration != held:
        raise Violation("a stopped process records iterations")
    if headless:
        soak.screen.send(signal.SIGCONT)
    else:
        wait_until(lambda: soak.screen.status == "stopped", 10)
        soak.screen.to_foreground()
    soak.took("first iteration after SIGCONT", soak.ledger.wait_for_iterations(1))
    if not headless:
        soak.screen.go_home()
        soak.expect_on(soak.screen, soak.name, "running")
    soak.expect_state("running")
    return None


def hang_up(soak: SoakedRun) -> str:
    """The terminal goes away: steps go on within a second or so, nothing spins, and the run can be attached to."""
    if soak.screen.hung_up:
        return "it is gone already"
    soak.ledger.wait_for_iterations(1)
    soak.screen.hang_up()
    soak.took("first iteration after a hang-up", soak.ledger.wait_for_iterations(1))
    soak.ledger.wait_for_iterations(3)
    if not soak.screen.alive:
        raise Violation(f"the process ended with {soak.screen.code} at a hang-up")
    soak.control.pause()
    soak.expect_state("paused")
    time.sleep(1)
    share = cpu_share(soak.screen.pid, 3)
    soak.control.resume()
    soak.expect_state("running")
    soak.took("CPU share while paused without a terminal", share)
    if share > 0.05:
        raise Violation(f"without a terminal and paused the process takes {100 * share:.0f} % of a core")
    viewer = soak.attach(20)
    if soak.process is not None:
        soak.process.quiet.clear()  # another front end: other threads and files
    return f"{100 * share:.1f} % of a core while paused, {viewer.track.name}"


def stop(soak: SoakedRun) -> str:
    """INT, TERM, or q and s: it ends with a checkpoint of its last iteration, and goes on from it."""
    paused = soak.random.random() < 0.3
    if paused:
        soak.control.pause()
        soak.expect_state("paused")
    way = soak.random.choice(("INT", "TERM", "q"))
    if way == "q" and soak.screens:
        screen = soak.random.choice(soak.screens)
        screen.go_home()
        screen.press("q")
        soak.expect_on(screen, "Stop with a checkpoint")
        screen.press("s")
        if screen is not soak.screen and not soak.screen.hung_up:
            # A viewer has stopped the run; its own screen stays with the last figures until somebody leaves it.
            soak.expect_on(soak.screen, "training has been stopped")
            soak.screen.go_home()
            soak.screen.press("q")
        # Without its own screen the process prints a summary to nobody and ends as a stopped run does.
        soak.ended(0, saved=True)
    else:
        number = signal.SIGINT if way == "INT" else signal.SIGTERM
        soak.screen.send(number)
        soak.ended(128 + number, saved=True)
    soak.start()
    return way + (" while paused" if paused else "")


def kill(soak: SoakedRun) -> str:
    """SIGKILL, or a second SIGTERM: what was learned after the last checkpoint is done again, and nothing else."""
    if not soak.ledger.checkpoints:
        save(soak)  # a run that is killed before its first checkpoint can only be started anew
    time.sleep(soak.random.uniform(0, 1))
    if soak.random.random() < 0.3:
        soak.control.checkpoint()  # it may strike while the checkpoint is written
        time.sleep(soak.random.uniform(0, 1.2))
    soak.screen.send(signal.SIGKILL)
    soak.ended(-signal.SIGKILL, saved=False)
    lost = soak.ledger.iteration - soak.ledger.newest_checkpoint()[1]
    soak.start()
    return f"{lost} iterations lost"


def _state(pid: int) -> str:
    """The process's state as the kernel names it: R, S, T, Z; "" when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            return file.read().rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        return ""


DEEDS: Mapping[str, tuple[float, Deed]] = {
    "pause": (3, pause),
    "checkpoint": (3, save),
    "edit": (5, edit),
    "attach": (4, attach),
    "detach": (3, detach),
    "stop reading": (2, stop_reading),
    "resize": (5, resize),
    "keys": (4, keys),
    "suspend": (2, suspend),
}
"""Name: how often, and what."""
ENDINGS: Mapping[str, tuple[float, Deed]] = {"hang up": (2, hang_up), "stop": (3, stop), "kill": (3, kill)}
"""What ends a process or its terminal."""
