"""The keys of a profile: one strict, frozen model a section, one line of metadata a key.

Default, unit, range and help stand here and nowhere else: validation, error messages, `--help`, the reference in the
documentation, the comments in a saved profile and the live editor all read them through `engine.profile.fields`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer

from c_envs import MOST_THREADS

DEVICES = ("cpu", "cuda")
"""The device kinds a profile can hold a variant for, as tables [on.cpu] and [on.cuda]."""

ENVIRONMENT_SETTINGS = ("env", "config")
"""The one table inside a section: its keys belong to the environment, which declares and checks them."""

Scalar = bool | int | float
FrozenTable = Annotated[
    Mapping[str, Scalar], AfterValidator(MappingProxyType), PlainSerializer(dict, return_type=dict[str, Any])
]


def option(
    default: Any,
    *,
    help: str,
    unit: str = "",
    low: float | None = None,
    above: float | None = None,
    high: float | None = None,
    below: float | None = None,
    live: bool = False,
    form: str = "",
    pattern: str | None = None,
    example: Any = None,
) -> Any:
    """One key of a section.

    `low` and `high` belong to the range, `above` and `below` bound it from outside. `form` says in words what a string
    may be, where a `pattern` checks it. `example` is what error messages suggest to write where the default is no help.
    `live` keys can be changed while a run trains.
    """
    extra = {"unit": unit, "live": live, "form": form, "example": default if example is None else example}
    return Field(
        default, description=help, ge=low, gt=above, le=high, lt=below, pattern=pattern, json_schema_extra=extra
    )


class Section(BaseModel):
    """Base of the sections: no unknown key, no coercion but int to float (a bool is no int), no nan or inf, frozen."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class EnvSection(Section):
    """What is played, and by how many."""

    name: str = option(..., help="environment to train on", example="breakout")
    agents: int = option(
        512, low=1, high=1_048_576, unit="agents", help="agents that play at once: the rows of a batch"
    )
    device: Literal["auto", "cpu", "cuda"] = option(
        "auto", help="where the environments are stepped; auto: on the GPU when the network is there"
    )
    threads: int = option(
        0, low=0, high=MOST_THREADS, unit="threads", help="threads that step the environments; 0: one for each core"
    )
    groups: int = option(
        0,
        low=0,
        high=64,
        unit="groups",
        help="groups: a GPU acts for one while the CPU steps another; 1: no overlap; 0: two",
    )
    config: FrozenTable = option({}, help="the environment's own settings, as [env.config]")


class PolicySection(Section):
    """The network that acts and values."""

    core: Literal["lstm", "mingru", "none"] = option(
        "lstm", help="memory between the encoder and the heads: an LSTM, a MinGRU (fewer operations), or none"
    )
    hidden: int = option(128, low=1, high=8192, unit="features", help="width of the encoder and of the core")
    layers: int = option(1, low=1, high=16, unit="layers", help="depth of the core; of the encoder when core is none")


class TrainSection(Section):
    """How the policy learns: collection, PPO, optimizer."""

    total_steps: int = option(
        30_000_000, low=1, high=10**15, unit="agent steps", help="length of the run, also over a resume"
    )
    seed: int = option(1, low=0, high=2**32 - 1, help="one seed for environments, network and sampling: same run again")
    device: str = option(
        "auto",
        form='"auto", "cpu", "cuda" or "cuda:N"',
        pattern=r"^(auto|cpu|cuda(:[0-9]{1,2})?)$",
        help="where the network trains; auto: the GPU where there is one",
    )
    threads: int = option(
        0, low=0, high=MOST_THREADS, unit="threads", help="threads torch computes with on the CPU; 0: one for each core"
    )
    horizon: int = option(
        64, low=1, high=4096, unit="steps", help="steps each agent plays per iteration: the length of a segment"
    )
    minibatch: int = option(
        4096, low=1, high=2**30, unit="samples", help="samples per gradient step: whole segments of the horizon"
    )
    update_epochs: float = option(
        1.0, above=0, high=100, unit="uses", help="expected uses of a segment per iteration; fractions are fine"
    )
    learning_rate: float = option(
        0.015, above=0, high=10, live=True, help="peak rate of Muon's matrices; of every weight when optimizer is adam"
    )
    adam_learning_rate: float = option(
        0.001, above=0, high=10, live=True, help="peak rate of what Muon leaves to Adam: biases, norms, heads"
    )
    min_lr_ratio: float = option(
        0.0, low=0, high=1, help="share of the peak learning rate that is left at the end of the schedule"
    )
    schedule: Literal["cosine", "linear", "constant"] = option(
        "cosine", help="how the learning rates fall from the peak to min_lr_ratio of it"
    )
    warmup: int = option(
        0, low=0, high=10**15, unit="agent steps", help="steps over which the learning rates rise from 0 to the peak"
    )
    optimizer: Literal["muon", "adam"] = option(
        "muon", help="muon: Muon for weight matrices and Adam for the rest; adam: Adam for all"
    )
    muon_momentum: float = option(0.95, low=0, below=1, help="momentum of Muon (Nesterov)")
    adam_beta1: float = option(0.9, low=0, below=1, help="Adam: decay of the mean of the gradient")
    adam_beta2: float = option(0.999, low=0, below=1, help="Adam: decay of the mean of its square")
    adam_eps: float = option(1e-8, above=0, high=1, help="Adam: added to the denominator")
    weight_decay: float = option(
        0.0, low=0, high=1, live=True, help="decoupled weight decay, times the learning rate a step; 0: off"
    )
    precision: Literal["float32", "tf32", "bfloat16"] = option(
        "float32",
        help="the network's matrix products; tf32 (11 bits) and bfloat16 (8) need a GPU's tensor cores",
    )
    fused: bool = option(True, help="fused kernels for the core; false: the same by torch operations, much slower")
    graphs: bool = option(
        True, help="on a GPU, rollout and updates are launched as CUDA graphs; false: operation by operation"
    )
    gamma: float = option(0.99, low=0, high=1, live=True, help="discount of a reward one step later")
    gae_lambda: float = option(0.95, low=0, high=1, live=True, help="GAE: 0 trusts the value head, 1 the returns")
    clip: float = option(0.2, above=0, high=10, live=True, help="PPO: how far the ratio may leave 1 before it is cut")
    value_clip: float = option(
        0.2, low=0, high=1000, live=True, help="how far a value may move from the collected one; 0: no limit"
    )
    value_coef: float = option(1.0, low=0, high=100, live=True, help="weight of the value loss")
    entropy_coef: float = option(0.005, low=0, high=10, live=True, help="weight of the entropy bonus")
    max_grad_norm: float = option(1.0, above=0, high=1000, live=True, help="gradients are scaled down to this norm")
    rho_clip: float = option(1.0, above=0, high=100, live=True, help="V-trace: cap of the ratio on the TD error")
    c_clip: float = option(1.0, above=0, high=100, live=True, help="V-trace: cap of the ratio on the trace")
    reward_clamp: float = option(
        0.0, low=0, high=1_000_000, live=True, help="rewards are cut to plus and minus this; 0: left as they are"
    )


class ReplaySection(Section):
    """Which segments are trained on, and how often."""

    scheme: Literal["prioritized", "stratified", "rank", "topk", "uniform", "sequential"] = option(
        "prioritized", live=True, help="how segments are drawn; sequential, each in shuffled turn, is plain PPO"
    )
    alpha: float = option(0.8, low=0, high=4, live=True, help="exponent of the priorities; 0: uniform")
    beta0: float = option(
        0.2, low=0, high=1, live=True, help="strength of the importance weights at the start; it rises to 1 at the end"
    )
    metric: Literal["sum", "mean", "max", "eta"] = option(
        "sum", live=True, help="priority of a segment from its |advantages|; eta: 0.9 max + 0.1 mean"
    )
    replacement: bool = option(True, live=True, help="a minibatch may hold the same segment more than once")
    factor: float = option(
        0.0,
        low=0,
        high=16,
        unit="times the agents",
        live=True,
        help="older segments kept beside the fresh ones; 0: on-policy",
    )
    refill: Literal["topk", "random", "recent"] = option(
        "topk", live=True, help="which segments are kept: the highest metric, at random, or the newest"
    )
    normalize_weights: bool = option(False, live=True, help="importance weights are divided by the largest")


class RunSection(Section):
    """What is kept on disk."""

    checkpoint_every: int = option(
        100, low=1, high=10**9, unit="iterations", live=True, help="iterations between two checkpoints"
    )
    keep_checkpoints: int = option(
        3, low=2, high=1000, unit="checkpoints", live=True, help="newest checkpoints that stay, besides the best"
    )
    on_nan: Literal["stop", "skip", "rollback"] = option(
        "stop",
        live=True,
        help="on a number that is not finite: fail, leave the minibatch out, or go back to a checkpoint",
    )
    on_hangup: Literal["continue", "checkpoint"] = option(
        "continue", live=True, help="when the terminal goes away: just go on, or save a checkpoint and go on"
    )


class AlarmsSection(Section):
    """When to tell that a run does not look well."""

    enabled: bool = option(True, live=True, help="judge the run after every iteration; false: no alarms at all")
    warmup: int = option(
        20,
        low=0,
        high=1_000_000,
        unit="iterations",
        live=True,
        help="before learning and speed are judged, per session",
    )
    raise_after: int = option(
        5, low=1, high=10_000, unit="iterations", live=True, help="out of range so often in a row raises an alarm"
    )
    clear_after: int = option(
        10, low=1, high=10_000, unit="iterations", live=True, help="back in range so often in a row clears it"
    )
    entropy_low: float = option(
        0.02, low=0, below=1, live=True, help="policy's entropy, as a share of a uniform policy's; 0: off"
    )
    grad_norm_high: float = option(
        10.0, low=0, high=1_000_000, live=True, help="gradient norm, in its medians or max_grad_norms; 0: off"
    )
    kl_high: float = option(0.05, low=0, high=1000, live=True, help="KL divergence of an iteration's updates; 0: off")
    clip_fraction_high: float = option(0.4, low=0, high=1, live=True, help="share of the ratios that are cut; 0: off")
    explained_variance_low: float = option(
        -1.0, low=-1_000_000, high=0, live=True, help="explained variance of the value head; 0: off"
    )
    explained_variance_after: int = option(
        50, low=1, high=100_000, unit="iterations", live=True, help="raise_after of the explained variance"
    )
    sps_low: float = option(0.5, low=0, below=1, live=True, help="steps/s, as a share of their running median; 0: off")
    uses_high: float = option(50.0, low=0, high=1_000_000, live=True, help="uses of a segment, in mean uses; 0: off")
    ess_low: float = option(
        0.1, low=0, below=1, live=True, help="effective sample size, as a share of the segments; 0: off"
    )
    disk_free_low: float = option(
        1.0, low=0, high=1_000_000, unit="GiB", live=True, help="free space on the disk of the run; 0: off"
    )
    gpu_memory_high: float = option(0.95, low=0, high=1, live=True, help="share of the GPU's memory in use; 0: off")


class UiSection(Section):
    """How the terminal shows it."""

    refresh: float = option(2.0, low=0.1, high=20, unit="per second", help="how often the numbers are drawn anew")
    episode_fps: float = option(10.0, low=0.5, high=30, unit="frames/s", help="how fast the episode panel plays")
    theme: str = option(
        "perx-dark",
        form="a theme's name of small letters, digits and -",
        pattern=r"^[a-z0-9][a-z0-9-]{0,39}$",
        help="colours of the terminal application; the command palette lists them",
    )
    budget: float = option(
        0.02,
        low=0.002,
        high=1,
        unit="of wall time",
        help="share of a core that the screen may take; above it, it slows",
    )
    slow_link: bool = option(
        False, help="drawn so seldom that 5 kB/s suffice: for a slow line; --slow-link does the same"
    )
    ascii: bool = option(False, help="only ASCII characters on the screen, as a terminal without UTF-8 gets anyway")


class Settings(Section):
    """Every section of a profile."""

    env: EnvSection
    policy: PolicySection = PolicySection()
    train: TrainSection = TrainSection()
    replay: ReplaySection = ReplaySection()
    run: RunSection = RunSection()
    alarms: AlarmsSection = AlarmsSection()
    ui: UiSection = UiSection()


SECTIONS: Mapping[str, type[Section]] = MappingProxyType(
    {
        "env": EnvSection,
        "policy": PolicySection,
        "train": TrainSection,
        "replay": ReplaySection,
        "run": RunSection,
        "alarms": AlarmsSection,
        "ui": UiSection,
    }
)
