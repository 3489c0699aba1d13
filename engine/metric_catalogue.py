"""What every key of metrics.jsonl means: its unit, one sentence on the meaning and one on what is healthy.

Front ends show it wherever a metric is named. Phases (`time/...`) that are not listed are explained by their group.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class MetricInfo:
    """One metric. `unit` is empty for a plain number; "share" is a number in [0, 1] that is read as a percentage."""

    key: str
    unit: str
    meaning: str
    healthy: str


_ENTRIES = (
    MetricInfo(
        "step",
        "steps",
        "Steps of all agents since the run began: what charts and schedules count by.",
        "Grows by agents times horizon every iteration.",
    ),
    MetricInfo(
        "iteration",
        "iterations",
        "Collections of a horizon with the updates that followed, since the run began.",
        "Grows by one a line.",
    ),
    MetricInfo(
        "time",
        "s",
        "Seconds of training since the run began, without start-up and pauses.",
        "Grows evenly; jumps are slow iterations, see time/iteration.",
    ),
    MetricInfo(
        "sps",
        "steps/s",
        "Environment steps of this iteration divided by its wall time.",
        "Steady; below half of its median something else uses the machine, or the disk or the terminal holds it up.",
    ),
    MetricInfo(
        "episode/count",
        "episodes",
        "Episodes that ended in this iteration: what the other episode metrics are means of.",
        "A hundred or more make a mean that says something; it falls as episodes get longer.",
    ),
    MetricInfo(
        "episode/return",
        "reward",
        "Mean over the ended episodes of the sum of raw rewards, before any clamp.",
        "Rises, with noise; flat for a tenth of the run calls for more entropy or another learning rate.",
    ),
    MetricInfo(
        "episode/score",
        "score",
        "Mean over the ended episodes of the game's own score; for mazes the share that reached the goal.",
        "Rises towards the best score of the environment; this is what a run is judged by.",
    ),
    MetricInfo(
        "episode/length",
        "steps",
        "Mean steps of the episodes that ended in this iteration.",
        "Longer is better where the agent must survive, shorter where it must find a goal.",
    ),
    MetricInfo(
        "loss/policy",
        "",
        "Clipped surrogate objective of PPO, negated: how far the update moves towards what turned out well.",
        "Small, noisy and around zero; its level says little, a lasting drift away from zero means too large updates.",
    ),
    MetricInfo(
        "loss/value",
        "",
        "Half the squared error between the value estimates and the returns that came.",
        "Rises when new rewards are found and falls as they are learned; growing without end, lower the learning rate.",
    ),
    MetricInfo(
        "loss/entropy",
        "nats",
        "Mean entropy of the action probabilities: 0 for a sure policy, log(actions) for one that acts at random.",
        "Falls slowly; near zero while the score is low the policy has collapsed: raise train.entropy_coef.",
    ),
    MetricInfo(
        "loss/approx_kl",
        "nats",
        "Distance of the policy from the one that collected, by the estimate ratio - 1 - log ratio (k3).",
        "About 0.001 to 0.03; above 0.1 the update is too large: lower train.learning_rate or train.update_epochs.",
    ),
    MetricInfo(
        "loss/approx_kl_k1",
        "nats",
        "The same distance by the estimate -log ratio (k1), which is unbiased, noisier and may be negative.",
        "Close to loss/approx_kl; far apart, some ratios are extreme.",
    ),
    MetricInfo(
        "loss/clip_fraction",
        "share",
        "Share of samples whose ratio lies outside of 1 - clip to 1 + clip.",
        "5 to 30 %; near zero the updates are timid, far above a third most samples teach nothing any more.",
    ),
    MetricInfo(
        "loss/explained_variance",
        "",
        "How much of the variance of the returns the value estimates explain: 1 all of it, 0 none.",
        "Rises towards 1; at or below zero the value estimates are of no use yet.",
    ),
    MetricInfo(
        "loss/grad_norm",
        "",
        "Norm of the gradient over all parameters before it is clipped, mean over the minibatches.",
        "Steady; far above train.max_grad_norm every step is clipped, a rise by powers of ten is an explosion.",
    ),
    MetricInfo(
        "loss/ratio_max",
        "",
        "The largest ratio of new to old action probability in the iteration.",
        "Below about 3; much larger, old data no longer fits the policy: lower replay.factor or the learning rate.",
    ),
    MetricInfo(
        "replay/uses_mean",
        "uses",
        "How often a segment was trained on in this iteration, on average over the segments.",
        "Equals train.update_epochs, times the share of fresh segments where older ones are kept.",
    ),
    MetricInfo(
        "replay/uses_max",
        "uses",
        "How often the most used segment was trained on in this iteration.",
        "A few times the mean; tens of uses overfit to one segment: lower replay.alpha.",
    ),
    MetricInfo(
        "replay/uses_p50",
        "uses",
        "Median of how often a segment was trained on.",
        "Near train.update_epochs; 0 while the mean is 1 means that few segments take it all.",
    ),
    MetricInfo(
        "replay/uses_p90",
        "uses",
        "Nine of ten segments were trained on at most so often.",
        "Two to four times train.update_epochs.",
    ),
    MetricInfo(
        "replay/uses_p99",
        "uses",
        "Ninety-nine of a hundred segments were trained on at most so often.",
        "Below ten times train.update_epochs.",
    ),
    MetricInfo(
        "replay/unused",
        "share",
        "Share of the segments that were not trained on at all in this iteration.",
        "37 % where draws are uniform and update_epochs is 1; far above half, what was collected is thrown away.",
    ),
    MetricInfo(
        "replay/ess",
        "share",
        "Effective sample size of the draw as a share of the segments: all of them for a uniform draw.",
        "Above about 0.3; lower, a few segments make up the minibatches: lower replay.alpha.",
    ),
    MetricInfo(
        "replay/entropy",
        "share",
        "Entropy of the draw divided by that of a uniform one.",
        "Above about 0.8; it falls with replay/ess, later and more gently.",
    ),
    MetricInfo(
        "replay/weight_min",
        "",
        "Smallest importance weight of a drawn segment: those that are drawn most weigh least.",
        "Above about 0.1; next to zero, the most drawn segments hardly count.",
    ),
    MetricInfo(
        "replay/weight_mean",
        "",
        "Mean importance weight of what was drawn.",
        "Near 1 with replay.normalize_weights off and beta 1; with it on, below 1, which shrinks the policy's step.",
    ),
    MetricInfo(
        "replay/weight_max",
        "",
        "Largest importance weight of a drawn segment: those that are seldom drawn weigh most.",
        "Below about 10, or exactly 1 with replay.normalize_weights on; larger, single samples rule the gradient.",
    ),
    MetricInfo(
        "replay/alpha",
        "",
        "Exponent of the priorities in force: 0 draws uniformly, 1 in proportion to the priority.",
        "As it was set; it can be changed while the run trains.",
    ),
    MetricInfo(
        "replay/beta",
        "",
        "Exponent of the importance weights in force: 1 corrects the bias of the draw in full.",
        "Climbs from replay.beta0 to 1 over the run.",
    ),
    MetricInfo(
        "replay/old_share",
        "share",
        "Share of what was trained on that older iterations collected.",
        "At most about half; learning from mostly old data is slow and may diverge.",
    ),
    MetricInfo(
        "replay/age_mean",
        "iterations",
        "Mean age of what was trained on, fresh segments counting as 0.",
        "Below about 4; older data is clipped away, see loss/clip_fraction.",
    ),
    MetricInfo(
        "replay/age_max",
        "iterations",
        "Age of the oldest segment that was trained on.",
        "Tens; hundreds mean that some segments never leave: set replay.refill to recent.",
    ),
    MetricInfo(
        "train/learning_rate",
        "",
        "Learning rate of Muon, which trains the matrices, in this iteration.",
        "Follows train.schedule from train.learning_rate down.",
    ),
    MetricInfo(
        "train/adam_learning_rate",
        "",
        "Learning rate of Adam, which trains everything that is not a matrix, in this iteration.",
        "Follows train.schedule from train.adam_learning_rate down.",
    ),
    MetricInfo(
        "train/minibatches",
        "",
        "Optimizer steps in this iteration.",
        "train.update_epochs times agents times horizon, divided by train.minibatch.",
    ),
    MetricInfo(
        "train/skipped",
        "",
        "Minibatches of this iteration left out because of a number that is not finite.",
        "0; with run.on_nan = skip a few are survived, ten iterations in a row are not.",
    ),
    MetricInfo(
        "train/skipped_segments",
        "",
        "Segments of this iteration left out because of a number that is not finite.",
        "0; a source that stays is in the environment, and the log names it.",
    ),
    MetricInfo(
        "time/collect/env",
        "s",
        "Stepping the environments in C, in one iteration.",
        "A few percent of the iteration; more, raise env.threads.",
    ),
    MetricInfo(
        "time/collect/policy",
        "s",
        "The policy choosing actions for all agents, in one iteration.",
        "A fifth to a third of the iteration; on a GPU more agents make it cheaper per step.",
    ),
    MetricInfo(
        "time/collect/copy",
        "s",
        "Copying observations to the GPU and actions back, as far as the environments' steps do not hide it.",
        "A few percent of the iteration; more, try env.groups.",
    ),
    MetricInfo(
        "time/collect/wait",
        "s",
        "Waiting for the GPU in other ways than for the policy and copies, while environments are on the CPU.",
        "Below one percent of the iteration.",
    ),
    MetricInfo(
        "time/collect/rollout",
        "s",
        "Environments and policy together, where both are on the GPU and a rollout is one graph.",
        "Grows little with the number of agents until the GPU is full.",
    ),
    MetricInfo(
        "time/collect/store",
        "s",
        "Writing observations, actions and rewards to the rollout buffer, in one iteration.",
        "One or two percent of the iteration.",
    ),
    MetricInfo(
        "time/train/advantage",
        "s",
        "Computing advantages of every segment anew before each minibatch.",
        "One or two percent of the iteration.",
    ),
    MetricInfo(
        "time/train/draw",
        "s",
        "Computing priorities and drawing the segments of the minibatches.",
        "Below one percent of the iteration.",
    ),
    MetricInfo(
        "time/train/gather",
        "s",
        "Copying the drawn segments into minibatches and writing their values and ratios back.",
        "A few percent of the iteration.",
    ),
    MetricInfo(
        "time/train/forward",
        "s",
        "The policy on the minibatches, and the loss.",
        "A fifth to a quarter of the iteration.",
    ),
    MetricInfo(
        "time/train/backward",
        "s",
        "Gradients of the loss.",
        "The largest part, one and a half to two times the forward pass.",
    ),
    MetricInfo(
        "time/train/optimizer",
        "s",
        "Clipping the gradients and the optimizer's steps.",
        "Below a tenth of the iteration; more, the minibatches are small for the network.",
    ),
    MetricInfo(
        "time/train/update",
        "s",
        "All of the minibatches, from advantages to the optimizer's steps, where a GPU runs each as one graph.",
        "The larger part of the iteration; train.graphs = false tells its parts apart, and is slower.",
    ),
    MetricInfo(
        "time/train/keep",
        "s",
        "Choosing and copying the older segments that stay for the next iteration.",
        "One or two percent of the iteration.",
    ),
    MetricInfo(
        "time/report",
        "s",
        "Gathering the figures of the iteration.",
        "Below one percent of the iteration.",
    ),
    MetricInfo(
        "time/iteration",
        "s",
        "Wall time of the iteration, from the first step collected to the figures.",
        "Steady; spikes are checkpoints or other work on the machine.",
    ),
    MetricInfo(
        "time/unaccounted",
        "s",
        "What is left of the iteration when all phases are taken off.",
        "Below five percent; with several workers it is what the slowest of them took beyond the mean.",
    ),
)

METRIC_CATALOGUE: Mapping[str, MetricInfo] = MappingProxyType({entry.key: entry for entry in _ENTRIES})
"""Every metric that the engine writes, by key, in the order in which they are best read."""

_GROUPS = {
    "time/collect/": MetricInfo(
        "", "s", "A part of collecting, in one iteration.", "Small beside time/collect/policy."
    ),
    "time/train/": MetricInfo("", "s", "A part of the update, in one iteration.", "Small beside time/train/backward."),
    "time/": MetricInfo("", "s", "A part of an iteration.", "Steady over the run."),
}


def explain_metric(key: str) -> MetricInfo | None:
    """What `key` of metrics.jsonl means; None where nothing is known about it."""
    known = METRIC_CATALOGUE.get(key)
    if known is not None:
        return known
    group = next((group for group in _GROUPS if key.startswith(group)), None)
    return None if group is None else replace(_GROUPS[group], key=key)
