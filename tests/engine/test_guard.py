"""Numbers that are not finite: found before they are learned from, named, and paid for as `run.on_nan` says."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from engine.checkpoint import Checkpoint
from engine.errors import CheckpointError
from engine.guard import _STATISTIC_NAMES, PATIENCE, NonFiniteError, minibatch_source, require_finite
from engine.losses import STATISTICS
from engine.resume import save_state
from engine.trainer import Trainer

Make = Callable[..., Trainer]
Poison = Callable[[Trainer], None]

PATHS = pytest.mark.parametrize("path", ["train.fused=true", "train.fused=false"])


def poison_horizon(trainer: Trainer, poison: Callable[[Any], None], iterations: range = range(1, 2)) -> None:
    """Changes the buffer as if the environment had written it so, in these iterations, before anything is checked."""
    collect = trainer.collector._collect

    def collect_badly(*arguments: Any) -> None:
        collect(*arguments)
        if trainer.iteration + 1 in iterations:
            poison(trainer.buffer)

    trainer.collector._collect = collect_badly  # type: ignore[method-assign]


def poison_gradient(trainer: Trainer, name: str, minibatches: range, value: float = math.nan) -> None:
    """Makes the gradient of a parameter not finite in these minibatches, counted from 0 over the whole run."""
    counted = iter(range(10**9))
    parameter = dict(trainer.policy.named_parameters())[name]
    parameter.register_hook(lambda gradient: gradient * value if next(counted) in minibatches else gradient)


def weights(trainer: Trainer) -> list[Tensor]:
    """Everything that an optimizer step changes."""
    optimizer = trainer.optimizer
    return [tensor.detach().clone() for tensor in (*optimizer.parameters, *optimizer.first, *optimizer.second)]


def same(one: list[Tensor], two: list[Tensor]) -> bool:
    return all(torch.equal(mine, theirs) for mine, theirs in zip(one, two, strict=True))


def set_reward(value: float, step: int = 4, agent: int = 3) -> Callable[[Any], None]:
    def poison(buffer: Any) -> None:
        buffer.rewards[step, agent] = value

    return poison


# --- stop ---


@PATHS
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_bad_reward_is_named_and_nothing_is_learned_from_it(make_trainer: Make, path: str, value: float) -> None:
    trainer = make_trainer(path)
    trainer.iterate()
    before = weights(trainer)
    poison_horizon(trainer, set_reward(value), range(2, 3))
    source = rf"iteration 2: the reward of agent 3 \(environment 3\) at step 5 of 16 is {value}"
    with pytest.raises(NonFiniteError, match=source):
        trainer.iterate()
    assert same(weights(trainer), before)


@PATHS
def test_a_bad_observation_is_named_before_what_follows_from_it(make_trainer: Make, path: str) -> None:
    trainer = make_trainer(path)

    class Batch:
        """Writes one observation that is not a number, and is the environment otherwise."""

        def __getattr__(self, name: str) -> Any:
            return getattr(trainer.batch, name)

        def step(self, t: int, *range_of_environments: int) -> None:
            trainer.batch.step(t, *range_of_environments)
            if t == 6:
                trainer.collector.host["observations"][t + 1, 5, 2] = math.nan

    trainer.collector.batch = Batch()  # type: ignore[assignment]
    before = weights(trainer)
    with pytest.raises(NonFiniteError, match=r"the observation of agent 5 \(environment 5\) at step 8 of 16 is nan"):
        trainer.iterate()
    assert same(weights(trainer), before)


@PATHS
def test_a_bad_observation_at_a_time_limit_is_found(make_trainer: Make, path: str) -> None:
    """It is in no slot of the horizon; only the value that it bootstraps from tells of it."""
    trainer = make_trainer(path, "env.config.max_steps=7", "env.agents=8")
    with torch.no_grad():
        trainer.policy.encoder.weight[:, 1] = -1.0  # relu makes 0 of what comes of an infinite observation here

    class Batch:
        """Writes one last observation that is infinite, and is the environment otherwise."""

        def __getattr__(self, name: str) -> Any:
            return getattr(trainer.batch, name)

        def step(self, t: int, *range_of_environments: int) -> None:
            trainer.batch.step(t, *range_of_environments)
            trainer.collector.final_observations[2, 1] = math.inf

    trainer.collector.batch = Batch()  # type: ignore[assignment]
    with pytest.raises(NonFiniteError, match=r"the value of the last observation of agent 2 .* at step 7 of 16 is nan"):
        trainer.iterate()


def test_the_environment_of_an_agent_among_several_is_named(make_trainer: Make) -> None:
    trainer = make_trainer(name="multiagent.toml")
    per_environment = trainer.buffer.agents // trainer.batch.environments
    assert per_environment > 1, "the test proves nothing"
    poison_horizon(trainer, set_reward(math.nan, agent=3))
    with pytest.raises(NonFiniteError, match=rf"agent 3 \(environment {3 // per_environment}\)"):
        trainer.iterate()


def test_an_infinite_reward_is_found_though_the_clamp_would_hide_it(make_trainer: Make) -> None:
    trainer = make_trainer("train.reward_clamp=1")
    poison_horizon(trainer, set_reward(math.inf))
    with pytest.raises(NonFiniteError, match=r"the reward of agent 3 .* is inf"):
        trainer.iterate()


def test_how_many_agents_are_concerned_is_told(make_trainer: Make) -> None:
    trainer = make_trainer()

    def poison(buffer: Any) -> None:
        buffer.rewards[9, 2:6] = math.nan

    poison_horizon(trainer, poison)
    with pytest.raises(NonFiniteError, match=r"agent 2 .* step 10 of 16 is nan \(4 agents have such numbers\)"):
        trainer.iterate()


@PATHS
@pytest.mark.parametrize("threads", [1, 2])
def test_a_bad_gradient_is_found_before_the_optimizer_steps(make_trainer: Make, path: str, threads: int) -> None:
    sets = (path, f"train.threads={threads}", "env.agents=256", "train.minibatch=2048")
    trainer = make_trainer(*sets)
    trainer.iterate()
    before, values = weights(trainer), trainer.buffer.values
    poison_gradient(trainer, "encoder.weight", range(1))
    stored: list[Tensor] = []
    original = trainer.update
    trainer.update = lambda drawn: (stored.append(values.clone()), original(drawn))[1]  # type: ignore[func-returns-value, method-assign]
    with pytest.raises(NonFiniteError, match=r"iteration 2, minibatch 1 of 2: the gradient of encoder\.weight is nan"):
        trainer.iterate()
    assert same(weights(trainer), before)
    assert torch.equal(values, stored[0]), "values of the bad minibatch were written back"
    assert trainer.optimizer.steps == 2


def test_a_loss_that_overflows_is_named(make_trainer: Make) -> None:
    trainer = make_trainer("train.reward_clamp=0")

    def poison(buffer: Any) -> None:
        buffer.rewards[0, :] = 1e30

    poison_horizon(trainer, poison)
    before = weights(trainer)
    with pytest.raises(NonFiniteError, match="minibatch 1 of 2: the value loss is inf"):
        trainer.iterate()
    assert same(weights(trainer), before)


def test_advantages_that_overflow_are_named_with_their_segment(make_trainer: Make) -> None:
    trainer = make_trainer("train.reward_clamp=0")

    def poison(buffer: Any) -> None:
        buffer.rewards[:, 6] = 3e38

    poison_horizon(trainer, poison)
    with pytest.raises(NonFiniteError, match=r"the advantages of segment 6 \(agent 6\) add up to inf"):
        trainer.iterate()


@pytest.mark.parametrize("name", ["encoder.bias", "heads.weight"])
@pytest.mark.parametrize("policy", ["stop", "skip", "rollback"])
def test_a_bad_parameter_is_named_and_cannot_be_skipped(make_trainer: Make, name: str, policy: str) -> None:
    trainer = make_trainer(f"run.on_nan={policy}")
    trainer.iterate()
    with torch.no_grad():
        dict(trainer.policy.named_parameters())[name].view(-1)[1] = math.nan
    with pytest.raises(NonFiniteError, match=f"1 of .* numbers of the parameter {name} are nan"):
        trainer.iterate()


@pytest.mark.parametrize("core", ["lstm", "mingru"])
def test_no_parameter_can_hide_behind_kernels_that_forget_nan(make_trainer: Make, core: str) -> None:
    """The kernels' fast exponentials may turn nan into a number: each parameter in turn has to be found."""
    for name in [name for name, _ in make_trainer(f"policy.core={core}").policy.named_parameters()]:
        trainer = make_trainer(f"policy.core={core}")
        with torch.no_grad():
            dict(trainer.policy.named_parameters())[name].view(-1)[0] = math.nan
        with pytest.raises(NonFiniteError, match=name):
            trainer.iterate()


def test_a_bad_moment_of_the_optimizer_is_named(make_trainer: Make) -> None:
    trainer = make_trainer("train.optimizer=adam")
    trainer.iterate()
    trainer.optimizer.second[0].view(-1)[0] = math.inf
    with pytest.raises(NonFiniteError, match=r"1 of \d+ numbers of the second moment of encoder.weight are inf"):
        trainer.guard.require_sound_weights()


def test_huge_but_finite_numbers_are_no_fault(make_trainer: Make) -> None:
    """Their sum is infinite, they are not."""
    trainer = make_trainer("train.reward_clamp=1")

    def poison(buffer: Any) -> None:
        buffer.rewards[0, :] = 3e38

    poison_horizon(trainer, poison)
    trainer.iterate()


# --- skip ---


@PATHS
def test_a_minibatch_that_is_skipped_changes_nothing_and_is_counted(make_trainer: Make, path: str) -> None:
    told: list[str] = []
    trainer = make_trainer(path, "run.on_nan=skip", left_out=told.append)
    poison_gradient(trainer, "encoder.weight", range(2), math.inf)
    before = weights(trainer)
    metrics = trainer.iterate().metrics
    assert same(weights(trainer), before)
    assert (metrics["train/skipped"], metrics["train/minibatches"]) == (2, 0)
    assert len(told) == 2
    assert "minibatch 2 of 2: the gradient of encoder.weight" in told[1]
    assert all(math.isfinite(value) for value in metrics.values())
    metrics = trainer.iterate().metrics
    assert (metrics["train/skipped"], metrics["train/minibatches"]) == (0, 2)
    assert not same(weights(trainer), before)


@PATHS
@pytest.mark.parametrize("scheme", ["prioritized", "uniform", "sequential", "topk", "rank"])
def test_the_rest_learns_the_same_whatever_the_bad_number_was(make_trainer: Make, path: str, scheme: str) -> None:
    """Segments with bad numbers are left out whole: nothing in them, nor behind them, reaches the weights."""

    def trained(poison: Callable[[Any], None]) -> Trainer:
        trainer = make_trainer(path, "run.on_nan=skip", f"replay.scheme={scheme}", "replay.factor=1")
        poison_horizon(trainer, poison)
        metrics = trainer.iterate().metrics
        assert metrics["train/skipped_segments"] == 1
        assert metrics["train/skipped"] == 0
        assert all(math.isfinite(value) for value in metrics.values())
        return trainer

    def other(buffer: Any) -> None:
        buffer.rewards[:, 3] = 99.0
        buffer.values[8, 3] = -math.inf
        buffer.logprobs[2, 3] = math.nan

    one, two = trained(set_reward(math.nan)), trained(other)
    assert same(weights(one), weights(two))
    one.iterate()
    two.iterate()
    assert same(weights(one), weights(two)), "the bad segment lives on in the archive"


def test_a_masked_segment_has_no_priority_and_its_agent_forgets(make_trainer: Make) -> None:
    trainer = make_trainer("run.on_nan=skip")
    trainer.iterate()
    poison_horizon(trainer, set_reward(math.nan), range(2, 3))
    trainer.collect()
    trainer.compute_advantages()
    metric = trainer.metric()
    assert metric[3] == 0
    assert (metric > 0).sum() == 7
    state = trainer.collector.state()
    assert not state[:, :, 3].any()
    assert all(state[:, :, agent].any() for agent in range(8) if agent != 3)
    assert trainer.experience.stores[0].masks is not None


@pytest.mark.parametrize("refill", ["topk", "recent", "random"])
def test_a_segment_that_was_left_out_is_not_kept(make_trainer: Make, refill: str) -> None:
    trainer = make_trainer("run.on_nan=skip", "replay.factor=4", f"replay.refill={refill}")
    poison_horizon(trainer, set_reward(math.nan), range(2, 3))
    for _ in range(3):
        trainer.iterate()
    assert trainer.archive is not None
    kept = sorted(zip(trainer.archive.iteration.tolist(), trainer.archive.agent.tolist(), strict=True))
    assert kept == [(turn, agent) for turn in (1, 2, 3) for agent in range(8) if (turn, agent) != (2, 3)]


def test_with_every_segment_left_out_the_weights_stay_as_they_are(make_trainer: Make) -> None:
    def poison(buffer: Any) -> None:
        buffer.rewards[0] = math.nan

    trainer = make_trainer("run.on_nan=skip")
    trainer.iterate()
    poison_horizon(trainer, poison, range(2, 3))
    before = weights(trainer)
    metrics = trainer.iterate().metrics
    assert same(weights(trainer), before)
    assert metrics["train/skipped_segments"] == 8
    assert all(math.isfinite(value) for value in metrics.values())


def test_too_many_iterations_in_a_row_end_the_run(make_trainer: Make) -> None:
    trainer = make_trainer("run.on_nan=skip")
    poison_horizon(trainer, set_reward(math.nan), range(3, 100))
    for _ in range(PATIENCE + 1):
        trainer.iterate()
    with pytest.raises(NonFiniteError, match=f"reward of agent 3 .*left out in each of the last {PATIENCE} iterations"):
        trainer.iterate()


def test_a_sound_iteration_begins_the_count_anew(make_trainer: Make) -> None:
    trainer = make_trainer("run.on_nan=skip")
    poison_horizon(trainer, set_reward(math.nan), range(1, PATIENCE))
    for _ in range(PATIENCE):
        trainer.iterate()
    poison_horizon(trainer, set_reward(math.nan), range(PATIENCE + 1, 2 * PATIENCE))
    for _ in range(PATIENCE):
        trainer.iterate()


# --- found by the device ---


@pytest.fixture
def deferring(make_trainer: Make) -> Make:
    """Makes trainers whose learner works as on a GPU: the device finds faults, the host reads of them later."""

    def make(*sets: str, **options: Any) -> Trainer:
        trainer = make_trainer(*sets, **options)
        learner = trainer.learner
        trainer.learner = type(learner)(trainer.policy, trainer.optimizer, trainer.workers, deferred=True)
        return trainer

    return make


class Reads(TorchDispatchMode):
    """Counts how often the host reads a number from a tensor, which on a GPU waits for it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func is torch.ops.aten._local_scalar_dense.default
        return func(*args, **(kwargs or {}))


def test_the_device_finds_what_the_host_finds(make_trainer: Make, deferring: Make) -> None:
    """The last of four minibatches is bad; all that is kept is equal bit for bit."""
    sets = ("run.on_nan=skip", "train.minibatch=32", "train.optimizer=adam")
    told: list[list[str]] = [[], []]
    trainers = [make(*sets, left_out=lines.append) for make, lines in zip((make_trainer, deferring), told, strict=True)]
    for trainer in trainers:
        trainer.iterate()
        poison_gradient(trainer, "encoder.weight", range(3, 4))
    one, two = (trainer.iterate().metrics for trainer in trainers)
    assert one["train/skipped"] == two["train/skipped"] == 1
    assert one["train/minibatches"] == two["train/minibatches"] == 3
    for key in (*STATISTICS, "loss/grad_norm", "loss/ratio_max"):
        assert one[key] == two[key], key
    assert told[0][0].split("gradient")[1] == told[1][0].split("gradient")[1]
    assert same(weights(trainers[0]), weights(trainers[1]))
    assert trainers[0].optimizer.steps == trainers[1].optimizer.steps == 7
    assert torch.equal(trainers[0].buffer.values, trainers[1].buffer.values)
    assert torch.equal(trainers[0].buffer.ratios, trainers[1].buffer.ratios)


def test_a_minibatch_that_the_device_takes_back_leaves_weights_and_moments(deferring: Make) -> None:
    trainer = deferring("run.on_nan=skip", "train.minibatch=32")
    poison_gradient(trainer, "encoder.weight", range(4))
    before = weights(trainer)
    metrics = trainer.iterate().metrics
    assert same(weights(trainer), before)
    assert metrics["train/skipped"] == 4
    assert trainer.optimizer.steps == 0
    assert all(math.isfinite(value) for value in metrics.values())


def test_a_device_that_finds_a_fault_ends_the_run_with_the_source(deferring: Make) -> None:
    trainer = deferring("train.minibatch=32")
    poison_gradient(trainer, "heads.bias", range(2, 3))
    with pytest.raises(NonFiniteError, match=r"iteration 1: minibatch 3: the gradient of heads\.bias is nan"):
        trainer.iterate()


def test_deferring_makes_the_host_wait_for_no_minibatch(deferring: Make) -> None:
    trainer = deferring()
    trainer.collect()
    trainer.compute_advantages()
    drawn = trainer.draw()
    with Reads() as reads:
        trainer.update(drawn)
    assert reads.count == 0
    with Reads() as reads:
        trainer.learner.metrics(trainer.learner.figures())
    assert reads.count <= 8, "metrics read one tensor"


# --- words and checkpoints ---


def test_every_figure_of_a_minibatch_has_words() -> None:
    assert set(_STATISTIC_NAMES) == set(STATISTICS)
    sound = [0.0] * len(STATISTICS)
    assert "largest part that of b (5)" in minibatch_source([*sound, 3.0, 5.0, math.inf], ["a", "b"])
    for place, key in enumerate(STATISTICS):
        figures = [*sound, 1.0, 1.0]
        figures[place] = math.nan
        assert minibatch_source(figures, ["a"]) == f"the {_STATISTIC_NAMES[key]} is nan"


def test_a_state_that_is_not_finite_is_not_saved(make_trainer: Make) -> None:
    trainer = make_trainer("replay.factor=1")
    trainer.iterate()
    checkpoint = save_state(trainer, {})
    require_finite(checkpoint)
    assert trainer.archive is not None
    trainer.archive.rewards[2, 2] = math.nan
    with pytest.raises(CheckpointError, match=r"1 of 128 numbers of archive\.rewards are nan; such a state"):
        require_finite(checkpoint)
    require_finite(Checkpoint({"policy": {}}))
