"""What the figures of every panel mean, under the names that they have on the screen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from perx_tui import format as fmt
from perx_tui import metrics as names
from perx_tui.tui.keys import TITLES
from perx_tui.tui.view import View

SUBJECTS: Mapping[str, str] = {
    **TITLES,
    "prioritization": "prioritization screen",
    "segment": "segment viewer",
    "watch": "watch mode",
}
"""What can be explained: every panel of the dashboard and three of the screens, by name; with what it is called."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure in words. `key` is the metric that charts can show, empty where there is none."""

    label: str
    value: str
    meaning: str
    healthy: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class _Own:
    """A figure that is no metric of the catalogue."""

    label: str
    meaning: str
    healthy: str = ""
    value: Callable[[View], str] = lambda view: ""


@dataclass(frozen=True, slots=True)
class _Metric:
    """A metric and the name that it has on a panel."""

    label: str
    key: str


def explained(subject: str, view: View) -> list[Figure]:
    """The figures of a panel or a screen, as it shows them from above."""
    if subject == "curve":
        return [_of_metric(_Metric(key, key), view) for key in view.charts.pinned] + [_own(_TREND, view)]
    if subject == "phases":
        return _phases(view)
    if subject == "memory":
        entries = _MACHINE if view.snapshot.memory.gpu_name is None else _CARD
        return [_own(each, view) for each in entries]
    return [_of_metric(each, view) if isinstance(each, _Metric) else _own(each, view) for each in _TABLE[subject]]


def figure_at(figures: list[Figure], row: str, x: int) -> Figure | None:
    """The figure that stands at column `x` of a panel's row: the one whose name is nearest before it."""
    best: tuple[int, int] = (-1, 0)
    found = None
    for figure in figures:
        start = row.find(figure.label)
        while start >= 0:
            end = start + len(figure.label)
            whole = (start == 0 or row[start - 1] == " ") and (end == len(row) or row[end] == " ")
            if whole and start <= x and (start, end) > best:
                best, found = (start, end), figure
            start = row.find(figure.label, start + 1)
    return found


def _of_metric(metric: _Metric, view: View) -> Figure:
    info = names.info(metric.key)
    value = view.metric(metric.key)
    if value is None:
        series = view.history.series(metric.key)
        value = series.last if series is not None else None
    return Figure(metric.label, names.with_unit(metric.key, value), info.meaning, info.healthy, metric.key)


def _own(entry: _Own, view: View) -> Figure:
    return Figure(entry.label, entry.value(view), entry.meaning, entry.healthy)


def _phases(view: View) -> list[Figure]:
    """The phases of the newest iteration, in milliseconds as the panel has them."""
    seconds = {each.name: each.seconds for each in view.snapshot.phases}
    total = view.snapshot.iteration_seconds or None
    known: dict[str, float | None] = {"iteration": total, **seconds}
    known.setdefault("unaccounted", None if total is None else max(0.0, total - sum(seconds.values())))
    figures = []
    for name, value in known.items():
        info = names.info(f"time/{name}")
        text = fmt.UNKNOWN if value is None else f"{fmt.milliseconds(value)} ms"
        figures.append(Figure(name.partition("/")[2] or name, text, info.meaning, info.healthy, info.key))
    return figures


def _trend(view: View) -> str:
    trend = view.history.trend("episode/score")
    return fmt.UNKNOWN if trend is None else trend.words


_TREND = _Own(
    "trend",
    "The mean score of the newest tenth of the run less that of the tenth before it, in how many steps.",
    "Improving until the best score is reached; it is called a change where it is larger than what noise would make.",
    _trend,
)

_MACHINE = (
    _Own(
        "process",
        "Memory that this process holds now: the program, torch, the rollout and the replay.",
        "Steady after the first minute; what grows for hours is a leak.",
        lambda view: fmt.bytes_(view.snapshot.memory.process),
    ),
    _Own(
        "peak",
        "The most that the process has ever held.",
        "Well below the machine's total.",
        lambda view: fmt.bytes_(view.snapshot.memory.process_peak),
    ),
    _Own(
        "machine",
        "Memory in use on the whole machine, by all programs.",
        "Below nine tenths of the total; above it the machine swaps, and everything is slow.",
        lambda view: fmt.bytes_(view.snapshot.memory.machine_used),
    ),
    _Own(
        "total",
        "Memory that the machine has.",
        value=lambda view: fmt.bytes_(view.snapshot.memory.machine_total),
    ),
)

_CARD = (
    _Own("allocated", "Memory of the GPU that tensors of this run take now.", "Steady from the second iteration on."),
    _Own(
        "reserved",
        "Memory of the GPU that torch holds for this process, tensors and what it keeps for the next ones. The bar "
        "says what for: the rollout, the environments, parameters, optimizer, replay, graphs, and what is free.",
        "Steady; much of it free means that torch asked for a moment of more.",
    ),
    _Own("peak", "The most that tensors have taken at once.", "Below the card's total by a tenth or more."),
    _Own("card used", "Memory of the card in use by all processes.", "Near reserved, if nobody else is on the card."),
    _Own(
        "by others", "Memory of the card that other processes use.", "Nothing; what others take they may take time of."
    ),
    _Own("process", "Memory of the machine that this process holds.", "Steady after the first minute."),
    _Own("card total", "Memory that the card has."),
    _Own(
        "load",
        "Share of the last moments in which anything ran on the card.",
        "Above nine tenths; lower, the card waits for the processor: more agents, or larger minibatches.",
    ),
    _Own("power", "Watts that the card draws, and its limit.", "Near the limit when it is busy."),
    _Own("temperature", "Degrees of the card.", "Below about 85 °C; hotter, it slows itself down."),
    _Own("clock", "Speed of its processors, and the limit.", "Near the limit; far below it the card is hot or idle."),
    _Own("mem. clock", "Speed of its memory.", "Constant while it is busy."),
)

_TABLE: Mapping[str, tuple[_Metric | _Own, ...]] = {
    "throughput": (
        _Metric("now", "sps"),
        _Own(
            "average",
            "Environment steps of the whole run divided by its time, without start-up and pauses.",
            "Near the speed now.",
            lambda view: fmt.rate(view.snapshot.average_steps_per_second),
        ),
        _Metric("elapsed", "time"),
        _Own(
            "time left",
            "Steps that are still to do, at the speed of late.",
            "Falls by a second a second.",
            lambda view: fmt.duration(view.snapshot.seconds_left),
        ),
        _Metric("steps", "step"),
        _Metric("iteration", "iteration"),
    ),
    "episode": (
        _Own(
            "value",
            "The rewards to come, discounted, as the policy expects them in the state that is shown.",
            "High before rewards and low before a loss; where it never changes, nothing was learned yet.",
        ),
        _Own(
            "score",
            "What this environment has scored in the episode that is shown; the lower edge also has what else the game "
            "counts, and the action taken.",
            "Climbs farther as the run goes on; training plays with chance, so single episodes differ.",
        ),
    ),
    "losses": (
        _Metric("policy loss", "loss/policy"),
        _Metric("value loss", "loss/value"),
        _Metric("entropy", "loss/entropy"),
        _Metric("approx. KL", "loss/approx_kl"),
        _Metric("clip fraction", "loss/clip_fraction"),
        _Metric("explained var", "loss/explained_variance"),
        _Metric("gradient norm", "loss/grad_norm"),
        _Metric("learning rate", "train/learning_rate"),
        _Metric("ratio max", "loss/ratio_max"),
        _Metric("return", "episode/return"),
        _Metric("length", "episode/length"),
        _Metric("episodes", "episode/count"),
        _Metric("minibatches", "train/minibatches"),
    ),
    "replay": (
        _Metric("alpha", "replay/alpha"),
        _Metric("beta", "replay/beta"),
        _Metric("uses mean", "replay/uses_mean"),
        _Metric("uses max", "replay/uses_max"),
        _Metric("unused", "replay/unused"),
        _Metric("effective", "replay/ess"),
        _Metric("entropy", "replay/entropy"),
        _Metric("weight min", "replay/weight_min"),
        _Metric("weight mean", "replay/weight_mean"),
        _Metric("weight max", "replay/weight_max"),
        _Metric("older", "replay/old_share"),
        _Metric("age mean", "replay/age_mean"),
        _Own(
            "segments by uses",
            "How many segments were trained on never, once, twice and so on in the newest iteration.",
            "Falls from the left; most segments at 0 mean that a few take it all.",
        ),
        _Own(
            "by priority",
            "How many segments have which priority, from the lowest to the highest, on a logarithmic scale.",
            "One hill; a tail far to the right is what the policy is surprised by.",
        ),
        _Own(
            "top segment",
            "The segments most likely to be drawn: priority, how often they were used, and the rewards in them.",
            "Changes from iteration to iteration; v shows what happens in the first of them.",
        ),
    ),
    "log": (
        _Own("·", "Something happened: a pause, a checkpoint, a change of a setting."),
        _Own("!", "A warning. Training goes on; a lists the alarms with what to try."),
        _Own("✗", "An error: training has ended, or a checkpoint could not be written."),
    ),
    "prioritization": (
        _Own(
            "priorities",
            "How many segments have which priority: the sizes of the advantages in a segment, added up or as the "
            "setting says. Below them the iterations before.",
            "One hill; a tail far to the right is what the policy is surprised by.",
        ),
        _Own("prob.", "How likely a draw is to take the segment.", "Below a few percent for every one of them."),
        _Metric("uses", "replay/uses_max"),
        _Metric("never used", "replay/unused"),
        _Metric("weights", "replay/weight_mean"),
        _Metric("ages", "replay/age_mean"),
        _Metric("entropy", "replay/entropy"),
        _Metric("effective", "replay/ess"),
        _Metric("older", "replay/old_share"),
        _Metric("alpha", "replay/alpha"),
        _Metric("beta", "replay/beta"),
        _Metric("all ages", "loss/clip_fraction"),
    ),
    "segment": (
        _Own("value", "The rewards to come, discounted, as the policy expects them in this state."),
        _Own(
            "advantage",
            "How much more (+) or less (-) came of the action than was expected. A large one is a surprise; the sum of "
            "their sizes makes a segment's priority.",
            "Around zero where the policy knows what comes.",
        ),
        _Own("reward", "What the environment paid for the step."),
        _Own(
            "ratio now / then",
            "How likely the action is to the present policy, over how likely it was to the one that played.",
            "Near 1; far from it the policy has changed its mind.",
        ),
        _Own("P(action)", "How likely the action that was taken is to the present policy."),
        _Own("used", "How often the segment was trained on in the iteration."),
        _Own("age", "Iterations since it was collected; 0 is fresh."),
    ),
    "watch": (
        _Own("value", "The rewards to come, discounted, as the policy expects them in the state that is shown."),
        _Own("reward", "What the environment paid for the step."),
        _Own("step", "Steps of this episode so far."),
        _Own("return so far", "The rewards of this episode, added up."),
        _Own(
            "mean score",
            "The mean over the last episodes that were played here to their end; an episode that n cut short does not "
            "count.",
            "Above the score of training where the likeliest actions are taken: training draws its actions by chance.",
        ),
    ),
}
