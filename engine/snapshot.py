"""What a front end reads: immutable values that describe a run at one moment.

Nothing here imports torch. A `Snapshot` holds plain numbers, strings and bytes, so that the same object serves the TUI
in the process, the headless printer and, as one line of JSON, a viewer in another process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Follow = Literal["best", "newest"]
"""Which of the episodes that end is watched, in the place of an environment."""

RunState = Literal["starting", "running", "paused", "saving", "finished", "failed", "stopped", "disconnected"]
"""What a run does; "disconnected" is what a viewer says of a run that does not answer it."""

EMPTY: Mapping[str, float] = MappingProxyType({})
NOTHING: Mapping[str, int] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Phase:
    """One row of the phase table: `name` is a path such as "collect/env", `seconds` its time in the last iteration."""

    name: str
    seconds: float


@dataclass(frozen=True, slots=True)
class Card:
    """What the driver says of the GPU; None for what it does not tell, and then `note` may say why.

    `index` of `count` as torch numbers them. `mig`: the run has a slice of the card; temperature, power and clocks are
    the whole card's.
    """

    index: int = 0
    count: int = 1
    mig: bool = False
    others: int | None = None
    """Bytes that other processes use."""
    utilization: float | None = None
    """Share of the last moments in which a kernel ran, 0 to 1."""
    temperature: int | None = None
    """Degrees Celsius."""
    power: float | None = None
    """Watts."""
    power_limit: float | None = None
    clock: int | None = None
    """Of the multiprocessors, MHz."""
    clock_limit: int | None = None
    memory_clock: int | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory in bytes. GPU figures are None where there is no GPU; "-" is what a panel shows for None.

    `gpu_parts` says what `gpu_reserved` is for and adds up to it: "rollout", "environments", "parameters", "optimizer",
    "replay", "graphs", "other", "free".
    """

    process: int | None = None
    process_peak: int | None = None
    machine_used: int | None = None
    machine_total: int | None = None
    gpu_name: str | None = None
    gpu_allocated: int | None = None
    gpu_reserved: int | None = None
    gpu_peak: int | None = None
    gpu_used: int | None = None
    gpu_total: int | None = None
    gpu_parts: Mapping[str, int] = field(default_factory=lambda: NOTHING)
    card: Card | None = None


@dataclass(frozen=True, slots=True)
class SegmentSummary:
    """One segment as the prioritization panel lists it. `index` names it in this iteration: 0 to agents-1 are the fresh
    segments (their agent's number), those behind are older ones that were kept."""

    index: int
    agent: int
    priority: float
    probability: float
    uses: int
    age: int
    """Iterations since it was collected; 0 is fresh."""
    score: float
    """Sum of the segment's rewards."""


@dataclass(frozen=True, slots=True)
class Histogram:
    """Counts in equal slices between `low` and `high`, of log10 of the quantity where `log` says so."""

    counts: tuple[int, ...] = ()
    low: float = 0.0
    high: float = 0.0
    log: bool = False


@dataclass(frozen=True, slots=True)
class ReplayView:
    """What prioritized replay did in the last iteration.

    `uses_histogram[k]` counts the segments drawn k times; its last bin also holds every larger count.
    `priority_histogram` counts segments in equal slices of log10(priority) between the two `priority_range` ends.
    `weights` are the importance weights of what was drawn, `ages` those of the draws (in iterations, one slice each,
    the last one open). `clip_by_age` pairs an age with the clip fraction of what was trained on from this age up to the
    next pair's. `table` lists every segment (the 4,096 highest by priority at most) while somebody inspects it.
    """

    scheme: str = ""
    segments: int = 0
    fresh: int = 0
    """Segments collected in this iteration; the others are kept from older ones."""
    draws: int = 0
    uses_histogram: tuple[int, ...] = ()
    priority_histogram: tuple[int, ...] = ()
    priority_range: tuple[float, float] = (0.0, 0.0)
    weights: Histogram = field(default_factory=Histogram)
    ages: Histogram = field(default_factory=Histogram)
    clip_by_age: tuple[tuple[int, float], ...] = ()
    top: tuple[SegmentSummary, ...] = ()
    table: tuple[SegmentSummary, ...] = ()


@dataclass(frozen=True, slots=True)
class SegmentStep:
    """One step of a segment that is looked at: the environment before it, and what the policy did and now thinks."""

    state: bytes
    """The environment's state before the action, for the renderer."""
    action: int
    probabilities: tuple[float, ...]
    """Of the present policy."""
    value: float
    """Of the present policy."""
    reward: float
    advantage: float
    ratio: float
    """pi(action) of the present policy over that of the policy that acted."""
    done: bool


@dataclass(frozen=True, slots=True)
class SegmentView:
    """A whole segment, to be watched step by step.

    `chosen` says how it was chosen ("priority", "uses", "age", "random", "index"); `rank` is its place by priority, 0
    the highest.
    """

    chosen: str
    summary: SegmentSummary
    iteration: int
    """The iteration whose data this is."""
    rank: int
    steps: tuple[SegmentStep, ...] = ()


@dataclass(frozen=True, slots=True)
class Frame:
    """One step of the watched environment: its state's bytes before the action and what the policy did there."""

    state: bytes
    action: int
    reward: float
    value: float
    done: bool
    """The step taken here ended the episode."""


@dataclass(frozen=True, slots=True)
class Clip:
    """The watched environment over one iteration's horizon, or of an episode that is followed what of it lay in there;
    front ends play its frames back at human speed."""

    environment: int
    iteration: int
    frames: tuple[Frame, ...] = ()
    follow: Follow | None = None
    """By what the episode was chosen; None for an environment that was chosen by its number."""
    total: float | None = None
    """Return of the episode, as far as it was followed."""


@dataclass(frozen=True, slots=True)
class SpectatorFrame:
    """One step of the game that the present policy plays for spectators: the state before it, what the policy thought
    and did there, and what came of it."""

    number: int
    """Counts the steps of all episodes, so that a viewer knows which frames it has seen."""
    state: bytes
    action: int
    probabilities: tuple[float, ...]
    value: float
    reward: float
    episode: int
    """1 for the first that was played."""
    step: int
    """Of the episode, from 1."""
    total: float
    """Sum of the episode's rewards, this step's included."""
    done: bool


@dataclass(frozen=True, slots=True)
class Spectacle:
    """What spectators see, see `TrainingSession.spectate`: the newest frames, oldest first, and how it is played.

    `frames` is empty while the first weights have not come.
    """

    frames: tuple[SpectatorFrame, ...] = ()
    greedy: bool = True
    """The likeliest action is taken; else one is drawn, as in training."""
    paused: bool = False
    speed: float = 0.0
    """Steps per second."""
    step: int = 0
    """Steps that the policy that plays has been trained on."""
    iteration: int = 0
    episodes: int = 0
    """Episodes that were played to their end."""
    scores: tuple[float, ...] = ()
    """Of the newest of them, oldest first."""


@dataclass(frozen=True, slots=True)
class LogLine:
    """One line of the log. `time` is seconds since the epoch."""

    time: float
    level: Literal["info", "warning", "error"]
    text: str


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that does not look well, from the iteration in which it was raised until it is cleared.

    `title` names it in two or three words, `text` says what is wrong with value and threshold, `advice` what to try.
    """

    name: str
    title: str
    level: Literal["warning", "error"]
    text: str
    advice: str
    since: float
    """Seconds since the epoch."""
    step: int
    iteration: int
    value: float | None = None
    """What was out of range when it was raised, and the bound that it passed; None for what is no number."""
    threshold: float | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The newest state of a run. Every field has a value from the first moment on: None or empty when not known yet.

    `metrics` are the flat keys that metrics.jsonl holds for the last iteration (seconds under time/, steps/s for sps).
    `steps_per_second` is the rate of the last iteration, `average_steps_per_second` that of the whole session; both
    leave pauses out. `elapsed` is seconds of wall time spent training, over all sessions of the run.
    """

    sequence: int = 0
    state: RunState = "starting"
    stage: str = ""
    """What the trainer is doing right now, for people: "loading torch", "collect", "train 3/16"."""
    run: str = ""
    folder: str = ""
    profile: str = ""
    environment: str = ""
    environments: int = 0
    """Number of environments, the range of `TrainingSession.watch`."""
    device: str = ""
    policy: str = ""
    parameters: int = 0
    step: int = 0
    total_steps: int = 0
    iteration: int = 0
    resumed_iteration: int = 0
    """Where this session went on from: `history` holds the run's past up to here. 0 for a new run."""
    rollbacks: int = 0
    """Times this session went back to a checkpoint: the iterations behind `resumed_iteration` are done again."""
    elapsed: float = 0.0
    steps_per_second: float | None = None
    average_steps_per_second: float | None = None
    metrics: Mapping[str, float] = field(default_factory=lambda: EMPTY)
    phases: tuple[Phase, ...] = ()
    iteration_seconds: float | None = None
    memory: Memory = field(default_factory=Memory)
    replay: ReplayView = field(default_factory=ReplayView)
    clip: Clip | None = None
    segment: SegmentView | None = None
    """The segment that was asked for last, see `TrainingSession.show_segment`."""
    spectacle: Spectacle | None = None
    """None while nobody spectates."""
    log: tuple[LogLine, ...] = ()
    """The last 200 lines, oldest first."""
    disk_free: int | None = None
    """Bytes left on the disk of the run's folder."""
    alarms: tuple[Alarm, ...] = ()
    """Those that are raised now, the worst first."""
    error: str | None = None
    checkpoint: str | None = None
    """Name of the newest checkpoint."""
    checkpoint_step: int | None = None

    @property
    def progress(self) -> float:
        """Share of `total_steps` that is done, in [0, 1]."""
        return min(1.0, self.step / self.total_steps) if self.total_steps else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimated wall time to `total_steps` at the average rate; None before the first iteration."""
        rate = self.average_steps_per_second
        return max(0, self.total_steps - self.step) / rate if rate else None

    @property
    def ended(self) -> bool:
        """The trainer's thread has nothing left to do."""
        return self.state in ("finished", "failed", "stopped")
