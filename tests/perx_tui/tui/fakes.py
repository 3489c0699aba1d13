"""Sessions that train nothing: scripted snapshots for tests, and one that lives by a clock for terminals."""

from __future__ import annotations

import math
import random
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from engine import (
    ROLES,
    Card,
    Clip,
    Frame,
    Histogram,
    LogLine,
    Memory,
    Phase,
    Profile,
    ProfileError,
    ReplayView,
    SegmentStep,
    SegmentSummary,
    SegmentView,
    Snapshot,
    Spectacle,
    SpectatorFrame,
)

STEPS = 32_768
"""Steps of one iteration: 512 agents, a horizon of 64."""
TOTAL = 30_000_000
SPS = 41_700.0
EPOCH = 1_750_000_000.0
GIB = 1024**3

STATE = struct.Struct("<hhhhhQQ")
"""Paddle x, ball x, ball y (half rows of the large scale), score, balls, bricks as 108 bits."""

_PHASES = {
    "collect/env": 0.021,
    "collect/policy": 0.231,
    "collect/store": 0.008,
    "train/advantage": 0.006,
    "train/draw": 0.003,
    "train/gather": 0.017,
    "train/forward": 0.148,
    "train/backward": 0.271,
    "train/optimizer": 0.049,
    "report": 0.012,
}


class FakeRenderer:
    """Draws a game that resembles Breakout: 36 x 14 characters, or up to four times as many."""

    scales = 4

    def size(self, scale: int) -> tuple[int, int]:
        return 14 * scale, 36 * scale

    def render(self, state: bytes, scale: int) -> npt.NDArray[np.uint32]:
        paddle, ball_x, ball_y, _score, _balls, low, high = STATE.unpack(state)
        rows, columns = self.size(scale)
        pixels = np.zeros((2 * rows, columns), dtype=np.uint32)
        bricks = low | high << 54
        for row in range(6):
            for column in range(18):
                if bricks >> (18 * row + column) & 1:
                    y, x = (4 + row) * scale, column * 2 * scale
                    pixels[y : y + scale, x : x + 2 * scale] = ROLES.index(f"brick{row + 1}")
        pixels[-2 * scale : -scale, paddle * scale : (paddle + 4) * scale] = ROLES.index("paddle")
        pixels[ball_y * scale : (ball_y + 1) * scale, ball_x * scale : (ball_x + 1) * scale] = ROLES.index("ball")
        picture = np.zeros((rows, columns, 3), dtype=np.uint32)
        picture[..., 0] = 0x2580
        picture[..., 1] = pixels[0::2]
        picture[..., 2] = pixels[1::2]
        return picture

    def caption(self, state: bytes) -> str:
        _paddle, _x, _y, score, balls, _low, _high = STATE.unpack(state)
        return f"score {score}  balls {balls}"

    def action(self, action: int) -> str:
        return ("stay", "left", "right")[action]


def frame(step: int) -> Frame:
    """The game at a step: the ball flies between the walls, the paddle follows, a brick falls at every eighth step."""
    ball_x = abs((step * 2 + 7) % 68 - 34)
    ball_y = 4 + abs((step + 5) % 40 - 20)
    paddle = min(32, max(0, ball_x - 2))
    gone = min(60, step // 8)
    order = list(range(108))
    random.Random(4).shuffle(order)
    bricks = (1 << 108) - 1
    for brick in order[:gone]:
        bricks &= ~(1 << brick)
    low = bricks & (1 << 54) - 1
    return Frame(
        state=STATE.pack(paddle, ball_x, ball_y, 3 * gone, 5 - gone // 20, low, bricks >> 54),
        action=step % 3,
        reward=0.0,
        value=1.0 + 0.5 * math.sin(step / 9),
        done=step % 481 == 480,
    )


def clip(iteration: int, environment: int = 0) -> Clip:
    """The clip of an iteration, a horizon of 64 steps."""
    start = (iteration % 7) * 64
    return Clip(environment, iteration, tuple(frame(start + k) for k in range(64)))


def metrics(iteration: int) -> dict[str, float]:
    """Plausible metrics of an iteration: the score climbs along an S, losses shrink, noise depends on the number."""
    noise = random.Random(iteration).gauss
    done = iteration * STEPS / 8_000_000
    score = 420 / (1 + math.exp(-5 * (done - 0.75))) - 8 + 6 * noise(0, 1)
    row: dict[str, float] = {
        "step": iteration * STEPS,
        "iteration": iteration,
        "time": iteration * STEPS / SPS,
        "sps": SPS * (1 + 0.02 * noise(0, 1)) * (0.7 if iteration % 40 == 0 else 1.0),
        "episode/score": max(0.0, score),
        "episode/return": max(0.0, score) * 0.9,
        "episode/length": 120 + score,
        "episode/count": 90,
        "loss/policy": -0.012 + 0.002 * noise(0, 1),
        "loss/value": 0.8 * math.exp(-done) + 0.02 * abs(noise(0, 1)),
        "loss/entropy": 1.0986 * math.exp(-0.6 * done),
        "loss/approx_kl": 0.0081 + 0.001 * noise(0, 1),
        "loss/clip_fraction": 0.112 + 0.01 * noise(0, 1),
        "loss/explained_variance": min(0.97, 0.2 + 0.6 * done),
        "loss/grad_norm": 0.42 + 0.05 * noise(0, 1),
        "loss/ratio_max": 1.83 + 0.1 * noise(0, 1),
        "replay/alpha": 0.8,
        "replay/beta": 0.2 + 0.8 * iteration * STEPS / TOTAL,
        "replay/uses_mean": 1.0,
        "replay/uses_max": 7.0,
        "replay/unused": 0.362,
        "replay/ess": 0.713,
        "replay/entropy": 0.952,
        "replay/weight_min": 0.42,
        "replay/weight_mean": 0.81,
        "replay/weight_max": 1.0,
        "train/learning_rate": 0.02 * (1 - iteration * STEPS / TOTAL),
        "train/minibatches": 8,
    }
    return row


def running(iteration: int = 250, environment: int = 0) -> Snapshot:
    """A healthy run on a CPU after `iteration` iterations."""
    return Snapshot(
        sequence=iteration,
        state="running",
        stage="train 3/8",
        run="breakout-20250615-120000",
        folder="runs/breakout-20250615-120000",
        profile="breakout",
        environment="breakout",
        environments=512,
        device="cpu",
        policy="lstm 128",
        parameters=165_124,
        step=iteration * STEPS,
        total_steps=TOTAL,
        iteration=iteration,
        elapsed=iteration * STEPS / SPS,
        steps_per_second=metrics(iteration)["sps"],
        average_steps_per_second=SPS,
        metrics=metrics(iteration),
        phases=tuple(Phase(name, seconds) for name, seconds in _PHASES.items()),
        iteration_seconds=STEPS / SPS,
        memory=Memory(
            process=1_320_000_000,
            process_peak=1_510_000_000,
            machine_used=int(5.6 * GIB),
            machine_total=16 * GIB,
        ),
        replay=replay(iteration),
        clip=clip(iteration, environment),
        log=tuple(log(iteration)),
        checkpoint="step-000008000000",
        checkpoint_step=8_000_000,
    )


def replay(iteration: int) -> ReplayView:
    """What prioritized replay did in an iteration whose segments are all fresh."""
    agents = random.Random(iteration)
    noise = random.Random(iteration)
    return ReplayView(
        scheme="prioritized",
        segments=512,
        fresh=512,
        draws=512,
        uses_histogram=(185, 177, 91, 38, 14, 5, 1, 1),
        priority_histogram=(2, 5, 9, 22, 41, 67, 90, 101, 84, 51, 26, 9, 3, 2),
        priority_range=(0.0021 * math.exp(noise.gauss(0, 0.1)) if iteration != 250 else 0.0021, 14.2),
        weights=Histogram(tuple(max(0, round(90 * math.exp(-(((k - 9) / 4) ** 2)))) for k in range(20)), 0.4, 1.1),
        clip_by_age=((0, 0.112),),
        top=tuple(
            SegmentSummary(
                index=(agent := agents.randrange(512)),
                agent=agent,
                priority=14.2 / (1 + 0.15 * k),
                probability=0.011 / (1 + k),
                uses=7 - k // 2,
                age=0,
                score=float(30 - 2 * k),
            )
            for k in range(10)
        ),
    )


def kept(iteration: int = 250) -> Snapshot:
    """A run that keeps older segments, while somebody inspects it."""
    draw = random.Random(iteration)
    base = running(iteration)
    table = []
    for index in range(1024):
        age = 0 if index < 512 else 1 + int(draw.expovariate(0.5))
        priority = math.exp(draw.gauss(0, 1.4))
        table.append(
            SegmentSummary(
                index=index,
                agent=index if index < 512 else draw.randrange(512),
                priority=priority,
                probability=priority / 3000,
                uses=min(9, int(draw.expovariate(1.2 / (0.3 + priority)))),
                age=age,
                score=float(draw.choice((0, 0, 1, 4, 7, 12))),
            )
        )
    table.sort(key=lambda each: -each.priority)
    ages = [sum(min(7, each.age) == age for each in table if each.uses) for age in range(8)]
    view = replace(
        base.replay,
        segments=1024,
        draws=1024,
        ages=Histogram(tuple(ages), 0.0, 8.0),
        clip_by_age=((0, 0.101), (1, 0.134), (2, 0.171), (4, 0.228), (8, 0.307)),
        table=tuple(table),
        top=tuple(table[:10]),
    )
    older = {"replay/old_share": 0.5, "replay/age_mean": 1.31, "replay/age_max": 12.0}
    return replace(base, replay=view, metrics={**base.metrics, **older})


def segment(iteration: int = 250, by: str = "priority", index: int = 0, steps: int = 64) -> SegmentView:
    """A segment in which a ball is missed at step 41: nothing surprises before, and the most there."""
    seed = random.Random(f"{by} {index}")
    start = seed.randrange(7) * 64
    made = []
    for step in range(steps):
        shown = frame(start + step)
        surprise = -1.7 * math.exp(-((step - 41) ** 2) / 6) + 0.6 * math.exp(-((step - 17) ** 2) / 3)
        likely = 0.45 + 0.4 * math.sin(step / 5)
        probabilities = (likely, (1 - likely) * 0.7, (1 - likely) * 0.3)
        made.append(
            SegmentStep(
                state=shown.state,
                action=shown.action,
                probabilities=probabilities,
                value=shown.value,
                reward=1.0 if step % 17 == 16 else 0.0,
                advantage=surprise + seed.gauss(0, 0.05),
                ratio=1 + 0.1 * math.sin(step / 3),
                done=step == 44,
            )
        )
    agent = index if by == "index" else seed.randrange(512)
    summary = SegmentSummary(agent, agent, 14.2 / (1 + 0.15 * index), 0.011, 7, 0, 3.0)
    return SegmentView(by, summary, iteration, index if by == "priority" else seed.randrange(512), tuple(made))


def spectacle(newest: int = 300, iteration: int = 250, *, paused: bool = False, greedy: bool = True) -> Spectacle:
    """The game of the spectators at a step: episodes of 240 steps, and nine of them before."""
    frames = []
    for number in range(max(1, newest - 8), newest + 1):
        shown = frame(number)
        likely = 0.55 + 0.4 * math.sin(number / 5)
        order = [(1 - likely) * 0.7, (1 - likely) * 0.3]
        order.insert(shown.action, likely)
        frames.append(
            SpectatorFrame(
                number=number,
                state=shown.state,
                action=shown.action,
                probabilities=tuple(order),
                value=shown.value,
                reward=3.0 if number % 8 == 0 else 0.0,
                episode=1 + (number - 1) // 240,
                step=1 + (number - 1) % 240,
                total=3.0 * (((number - 1) % 240) // 8),
                done=number % 240 == 0,
            )
        )
    scores = (212.0, 340.0, 96.0, 412.0, 388.0, 425.0, 301.0, 432.0, 279.0)
    return Spectacle(tuple(frames), greedy, paused, 15.0, iteration * STEPS, iteration, len(scores), scores)


def log(iteration: int) -> list[LogLine]:
    """What a run of that length would have logged."""
    lines = [
        LogLine(EPOCH, "info", "run folder runs/breakout-20250615-120000"),
        LogLine(EPOCH + 4, "info", "policy lstm 128, 165,124 parameters, on cpu with 2 threads"),
        LogLine(EPOCH + 90, "warning", "steps/s fell below half of its median for 3 iterations"),
    ]
    lines += [
        LogLine(EPOCH + 100 + 60 * k, "info", f"checkpoint step-{k * 50 * STEPS:012d} (score {40 + 60 * k})")
        for k in range(1, iteration // 50 + 1)
    ]
    return lines


def starting() -> Snapshot:
    """The first moment: nothing is known yet."""
    return Snapshot(stage="loading torch", profile="breakout", environment="breakout", device="cpu", total_steps=TOTAL)


def paused(iteration: int = 250) -> Snapshot:
    """A run that is held."""
    return replace(running(iteration), state="paused", stage="", sequence=iteration + 1)


def failed(iteration: int = 250) -> Snapshot:
    """A run whose loss diverged."""
    base = running(iteration)
    error = "the policy loss of iteration 251 is nan; lower train.learning_rate or train.max_grad_norm"
    lines = (*base.log, LogLine(EPOCH + 1000, "error", error))
    return replace(base, state="failed", stage="", error=error, log=lines, sequence=iteration + 1)


def on_gpu(iteration: int = 250) -> Snapshot:
    """A run on a card."""
    memory = Memory(
        process=2_100_000_000,
        process_peak=2_300_000_000,
        machine_used=int(9.1 * GIB),
        machine_total=128 * GIB,
        gpu_name="NVIDIA H200",
        gpu_allocated=int(3.2 * GIB),
        gpu_reserved=int(4.5 * GIB),
        gpu_peak=int(4.1 * GIB),
        gpu_used=int(5.3 * GIB),
        gpu_total=int(139.8 * GIB),
        gpu_parts={
            "rollout": int(1.4 * GIB),
            "environments": 4 << 20,
            "parameters": 1 << 20,
            "optimizer": 2 << 20,
            "replay": int(0.9 * GIB),
            "graphs": int(0.5 * GIB),
            "other": int(3.2 * GIB) - int(1.4 * GIB) - int(0.9 * GIB) - (7 << 20),
            "free": int(4.5 * GIB) - int(3.2 * GIB) - int(0.5 * GIB),
        },
        card=Card(
            others=int(0.3 * GIB),
            utilization=0.87,
            temperature=64,
            power=412.5,
            power_limit=700.0,
            clock=1755,
            clock_limit=1980,
            memory_clock=3201,
        ),
    )
    return replace(running(iteration), device="cuda:0", memory=memory)


class FakeSession:
    """Answers with `current`, remembers commands. With `obey` the state follows the commands at once."""

    def __init__(self, current: Snapshot | None = None, *, obey: bool = False, past: int | None = None) -> None:
        self.current = current if current is not None else running()
        self.commands: list[tuple[str, object]] = []
        self.obey = obey
        self.past = [metrics(i) for i in range(1, (self.current.iteration if past is None else past) + 1)]
        self.profile = Profile.load("breakout.toml")

    def _command(self, name: str, value: object = None, **changes: object) -> None:
        self.commands.append((name, value))
        if self.obey and changes:
            changes["sequence"] = self.current.sequence + 1
            self.current = replace(self.current, **changes)  # type: ignore[arg-type]

    @property
    def is_alive(self) -> bool:
        return ("start", None) in self.commands

    def start(self) -> None:
        self._command("start")

    def snapshot(self) -> Snapshot:
        return self.current

    def history(self, since: int = 0, limit: int | None = None) -> list[Mapping[str, float]]:
        return [row for row in self.past if row["iteration"] > since][:limit]

    def pause(self) -> None:
        self._command("pause", state="paused", stage="")

    def resume(self) -> None:
        self._command("resume", state="running")

    def step_iteration(self) -> None:
        iteration = self.current.iteration + 1
        self.past.append(metrics(iteration))
        self._command("step", iteration=iteration, step=iteration * STEPS, metrics=metrics(iteration))

    def checkpoint(self) -> None:
        step = self.current.step
        self._command("checkpoint", checkpoint=f"step-{step:012d}", checkpoint_step=step)

    def watch(self, environment: int | str | None) -> None:
        number = environment if isinstance(environment, int) else 7
        shown = clip(self.current.iteration, number)
        if isinstance(environment, str):
            shown = replace(shown, follow=environment, total=31.0)  # type: ignore[arg-type]
        self._command("watch", environment, clip=shown)

    def set(self, key: str, value: object) -> None:
        if not self.profile.info(key).live:
            raise ProfileError(f"{key} cannot be changed while training")
        self.profile = self.profile.with_value(key, value)
        self._command("set", (key, value))

    def show_segment(self, by: str = "priority", index: int = 0) -> None:
        self._command("segment", (by, index), segment=segment(self.current.iteration, by, index))

    def inspect(self, wanted: bool) -> None:
        self._command("inspect", wanted)

    def spectate(self, wanted: bool) -> None:
        self._command("spectate", wanted, spectacle=spectacle() if wanted else None)

    def direct(self, act: str, value: float | None = None) -> None:
        shown = self.current.spectacle
        changes: dict[str, dict[str, object]] = {
            "pause": {"paused": True},
            "resume": {"paused": False},
            "greedy": {"greedy": True},
            "sample": {"greedy": False},
            "speed": {"speed": value},
        }
        told = replace(shown, **changes.get(act, {})) if shown else None  # type: ignore[arg-type]
        if told is not None and act == "step":
            told = replace(spectacle(told.frames[-1].number + 1, greedy=told.greedy), paused=True)
        self._command("direct", (act, value) if value is not None else act, spectacle=told)

    def stop(self, checkpoint: bool = True) -> None:
        self._command("stop", checkpoint, state="stopped", stage="")

    def renderer(self) -> FakeRenderer:
        return FakeRenderer()


class LiveSession(FakeSession):
    """A run that advances with a clock: half a second of starting, then an iteration every `period` seconds."""

    def __init__(self, period: float = 0.8, clock: Callable[[], float] = time.monotonic, past: int = 200) -> None:
        super().__init__(starting(), past=past)
        self._period = period
        self._clock = clock
        self._began: float | None = None
        self._held: float | None = None
        self._extra = past
        self._environment = 0
        self._stopped = False
        self._saved: int | None = None
        self._asked: tuple[str, int] | None = None
        self._inspected = False

    def start(self) -> None:
        super().start()
        self._began = self._clock()

    def snapshot(self) -> Snapshot:
        if self._began is None:
            return starting()
        now = self._held if self._held is not None else self._clock()
        elapsed = now - self._began - 0.5
        if elapsed < self._period:
            return starting()
        iteration = self._extra + int(elapsed / self._period)
        while len(self.past) < iteration:
            self.past.append(metrics(len(self.past) + 1))
        if self.current.iteration != iteration or (
            self.current.clip and self.current.clip.environment != self._environment
        ):
            fresh = kept(iteration) if self._inspected else running(iteration)
            shown = self.current.segment
            if self._asked is not None:
                shown, self._asked = segment(iteration, *self._asked), None
            self.current = replace(fresh, clip=clip(iteration, self._environment), segment=shown)
        state = "stopped" if self._stopped else "paused" if self._held is not None else "running"
        stage = "" if state != "running" else ("collect" if elapsed % self._period < 0.3 else "train 3/8")
        changes: dict[str, object] = {"state": state, "stage": stage}
        if self._saved is not None:
            changes |= {"checkpoint": f"step-{self._saved:012d}", "checkpoint_step": self._saved}
        return replace(self.current, **changes)  # type: ignore[arg-type]

    def pause(self) -> None:
        super().pause()
        self._held = self._clock()

    def resume(self) -> None:
        super().resume()
        if self._held is not None and self._began is not None:
            self._began += self._clock() - self._held
        self._held = None

    def step_iteration(self) -> None:
        self.commands.append(("step", None))
        self._extra += 1

    def checkpoint(self) -> None:
        self.commands.append(("checkpoint", None))
        self._saved = self.current.step

    def watch(self, environment: int | None) -> None:
        self.commands.append(("watch", environment))
        self._environment = environment or 0

    def show_segment(self, by: str = "priority", index: int = 0) -> None:
        self.commands.append(("segment", (by, index)))
        self._asked = by, index

    def inspect(self, wanted: bool) -> None:
        self.commands.append(("inspect", wanted))
        self._inspected = wanted

    def stop(self, checkpoint: bool = True) -> None:
        self.commands.append(("stop", checkpoint))
        self._stopped = True
