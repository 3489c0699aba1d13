"""A recorded minibatch learns what the trainer's own text learns; here a tape stands in for the CUDA graph."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from engine import live_settings
from engine.advantages import explained_variance, recordable_explained_variance
from engine.device_update import KEPT, ROWS, DeviceUpdate, fill_numbers, split_numbers
from engine.learner import Learner
from engine.optimizer import Optimizer, OptimizerSettings, Rates
from engine.parallel import Workers
from engine.policy import Policy
from engine.replay import SegmentSampler
from engine.rollout import RolloutBuffer
from engine.segments import Experience
from engine.trainer import Trainer
from tests.engine.conftest import tiny_profile
from tests.engine.device.tape import WAITS, TapeRecorder
from tests.engine.device.update_cases import EDITS, SCHEMES, STRUCTURAL, Pair, assert_iterate_alike

Make = Callable[..., Trainer]
CUDA = torch.device("cuda", 0)
SETS = ("train.fused=false", "train.horizon=8", "train.minibatch=24", "train.update_epochs=1.5", "env.agents=12")


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> TapeRecorder:
    made = TapeRecorder()
    made.install(monkeypatch)
    return made


def defer(trainer: Trainer) -> Trainer:
    """The trainer, its device finding faults."""
    trainer.learner = Learner(trainer.policy, trainer.optimizer, trainer.workers, deferred=True)
    return trainer


def record(trainer: Trainer, warn: Callable[[str], None] = pytest.fail) -> Trainer:
    """The trainer, learning as it would on a GPU."""
    trainer.recorded = DeviceUpdate(defer(trainer).learner, trainer.sampler, CUDA, warn)
    return trainer


@pytest.fixture
def make_pair(make_trainer: Make, recorder: TapeRecorder) -> Callable[..., Pair]:
    """Two equal trainers: the first learns by recordings, the second as the trainer's text says."""

    def make(*sets: str, name: str = "breakout.toml", **options: Any) -> Pair:
        recorded, plain = (make_trainer(*SETS, *sets, name=name, **options) for _ in range(2))
        return record(recorded), plain

    return make


@pytest.mark.parametrize("factor", [0.0, 0.5])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_draws_and_learns_as_without_a_recording(
    make_pair: Callable[..., Pair], recorder: TapeRecorder, scheme: str, factor: float
) -> None:
    pair = make_pair(f"replay.scheme={scheme}", f"replay.factor={factor}")
    assert_iterate_alike(pair, 3)
    assert recorder.replays >= 12
    assert len(recorder.tapes) == (2 if factor else 1), "once with older segments and once without"


@pytest.mark.parametrize("metric", ["sum", "mean", "max", "eta"])
@pytest.mark.parametrize("scheme", ["prioritized", "rank"])
def test_every_metric_and_draws_without_replacement(make_pair: Callable[..., Pair], metric: str, scheme: str) -> None:
    pair = make_pair(
        f"replay.scheme={scheme}",
        f"replay.metric={metric}",
        "replay.replacement=false",
        "replay.normalize_weights=true",
    )
    assert_iterate_alike(pair, 4)


@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
@pytest.mark.parametrize("optimizer", ["muon", "adam"])
def test_every_core_and_optimizer(make_pair: Callable[..., Pair], core: str, optimizer: str) -> None:
    pair = make_pair(f"policy.core={core}", "policy.layers=2", f"train.optimizer={optimizer}", "replay.factor=0.5")
    assert_iterate_alike(pair, 4)


@pytest.mark.parametrize("name", ["multiagent.toml", "memory.toml", "maze.toml"])
def test_other_games_and_steps_that_do_not_count(make_pair: Callable[..., Pair], name: str) -> None:
    assert_iterate_alike(make_pair("replay.factor=0.5", name=name), 4)


@pytest.mark.parametrize(("key", "value"), EDITS, ids=[f"{key}={value}" for key, value in EDITS])
def test_an_edit_between_two_minibatches_holds_from_the_next_one_on(
    make_pair: Callable[..., Pair], recorder: TapeRecorder, key: str, value: object
) -> None:
    pair = make_pair("replay.factor=0.5")
    assert_iterate_alike(pair, 2)
    tapes = len(recorder.tapes)
    for trainer in pair:

        def edit(index: int, count: int, trainer: Trainer = trainer) -> None:
            if index == 2:
                trainer.profile = trainer.profile.with_value(key, value)

        trainer.before_minibatch = edit
    assert_iterate_alike(pair, 2)
    if key not in STRUCTURAL and (key, value) != ("train.value_clip", 0.0):
        assert len(recorder.tapes) == tapes, "a number needs no other recording"


def test_edits_of_everything_in_turn(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair()
    for key, value in EDITS:
        for trainer in pair:
            trainer.profile = trainer.profile.with_value(key, value)
        assert_iterate_alike(pair)


def test_few_recordings_are_kept_and_the_rest_is_freed(make_pair: Callable[..., Pair]) -> None:
    recorded, _ = make_pair()
    assert recorded.recorded is not None
    for scheme in SCHEMES:
        recorded.profile = recorded.profile.with_value("replay.scheme", scheme)
        recorded.iterate()
        assert len(recorded.recorded._recordings) <= KEPT


def test_more_minibatches_than_the_log_has_rows(make_pair: Callable[..., Pair]) -> None:
    recorded, plain = make_pair("train.update_epochs=12", "train.minibatch=8", "policy.core=none")
    assert ROWS < 144
    for _ in range(2):
        one, other = recorded.iterate().metrics, plain.iterate().metrics
        for key in ("train/minibatches", "replay/uses_mean", "replay/weight_max"):
            assert one[key] == pytest.approx(other[key], rel=0.1), key
        assert len(recorded.reuse.drawn()[0]) == recorded.sampler.draws == 144


def test_minibatches_that_are_owed(make_pair: Callable[..., Pair]) -> None:
    """A fraction of an epoch: some iterations have a minibatch more, and some have none."""
    assert_iterate_alike(make_pair("train.update_epochs=0.15"), 8)


@pytest.mark.parametrize("bad", [range(2, 3), range(4), range(5, 9)])
def test_a_bad_minibatch_is_taken_back(make_pair: Callable[..., Pair], bad: range) -> None:
    """The gradient is multiplied by a tensor, so that a tape plays the fault, too."""
    pair = make_pair("run.on_nan=skip")
    defer(pair[1])
    factor = torch.ones(())
    for trainer in pair:
        trainer.policy.encoder.weight.register_hook(lambda gradient: gradient * factor)
        seen = iter(range(1000))

        def spoil(index: int, count: int, seen: Any = seen) -> None:
            factor.fill_(math.nan if next(seen) in bad else 1.0)

        trainer.before_minibatch = spoil
    skipped = 0.0
    for _ in range(4):
        assert_iterate_alike(pair)
        skipped += pair[0].guard.minibatches
    assert skipped == len(bad)
    assert pair[0].optimizer.steps == pair[1].optimizer.steps > 0


def test_segments_that_are_left_out(make_pair: Callable[..., Pair]) -> None:
    """First one, then all: those minibatches teach nothing, and are not counted."""
    pair = make_pair("run.on_nan=skip", "replay.factor=0.5")
    for trainer in pair:
        collect = trainer.collector._collect

        def spoil(*arguments: Any, trainer: Trainer = trainer, collect: Any = collect) -> None:
            collect(*arguments)
            if trainer.iteration == 2:
                trainer.buffer.rewards[3, 4] = math.nan
            if trainer.iteration == 4:
                trainer.buffer.rewards[3] = math.inf

        trainer.collector._collect = spoil  # type: ignore[method-assign]
    assert_iterate_alike(pair, 6)


def test_with_nothing_to_learn_from_the_weights_stay(make_pair: Callable[..., Pair]) -> None:
    pair = make_pair("run.on_nan=skip")
    assert_iterate_alike(pair, 3)
    for trainer in pair:
        collect = trainer.collector._collect

        def spoil(*arguments: Any, trainer: Trainer = trainer, collect: Any = collect) -> None:
            collect(*arguments)
            trainer.buffer.rewards[0] = math.nan

        trainer.collector._collect = spoil  # type: ignore[method-assign]
    before = {name: value.clone() for name, value in pair[1].optimizer.weights().items()}
    steps = pair[1].optimizer.steps
    assert_iterate_alike(pair)
    assert all(torch.equal(value, before[name]) for name, value in pair[0].optimizer.weights().items())
    assert pair[0].optimizer.steps == steps


def test_what_cannot_be_recorded_runs_as_it_is(make_trainer: Make, recorder: TapeRecorder) -> None:
    heard: list[str] = []
    recorded, plain = (make_trainer(*SETS) for _ in range(2))
    record(recorded, warn=heard.append)
    unroll = recorded.policy.unroll

    def asks(*arguments: Any) -> Any:
        logits, values = unroll(*arguments)
        assert math.isfinite(float(logits.detach().sum()))
        return logits, values

    recorded.policy.unroll = asks  # type: ignore[method-assign, assignment]
    assert_iterate_alike((recorded, plain), 3)
    (reason,) = heard
    assert reason.startswith("the update cannot be recorded as a CUDA graph and is slower without: CUDA error")
    assert recorder.replays == 0


class Reads(TorchDispatchMode):
    """Counts how often the host waits for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        if any(word in func.name() for word in WAITS if word != "lift_fresh"):
            self.found.append(func.name())
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_what_surrounds_a_launch_does_not_wait_either(make_pair: Callable[..., Pair], scheme: str) -> None:
    recorded, plain = make_pair("replay.factor=0.5", f"replay.scheme={scheme}")
    for trainer in (recorded, plain):
        for _ in range(2):
            trainer.iterate()
        trainer.collect()
        with Reads() as reads:
            for _ in trainer.minibatches():
                trainer.learn()
        assert bool(reads.found) == (trainer is plain), reads.found


def test_a_launch_tells_one_phase(make_pair: Callable[..., Pair]) -> None:
    recorded, _ = make_pair()
    metrics = recorded.iterate().metrics
    phases = {key for key in metrics if key.startswith("time/train/")}
    assert phases == {"time/train/update"}


@pytest.mark.parametrize("masked", [False, True])
def test_both_ways_to_the_explained_variance(masked: bool) -> None:
    rng = torch.Generator().manual_seed(1)
    advantages, values = (torch.randn(16, 9, generator=rng) for _ in range(2))
    masks = (torch.rand(16, 9, generator=rng) > 0.3).float() if masked else None
    one = recordable_explained_variance(advantages, values, masks)
    torch.testing.assert_close(one, explained_variance(advantages, values, masks))
    alone = torch.zeros(16, 9)
    alone[3, 3] = 1.0
    for masks in (alone, torch.zeros(16, 9)):
        assert recordable_explained_variance(advantages, values, masks).isnan()
        assert explained_variance(advantages, values, masks).isnan()


class Elsewhere(TorchDispatchMode):
    """Notes operations on tensors of another device than meta: on a GPU each could be a copy from the host."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.seen = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        self.seen += 1
        tensors = [each for each in tree_leaves((args, kwargs or {})) if isinstance(each, Tensor)]
        result = func(*args, **(kwargs or {}))
        tensors += [each for each in tree_leaves(result) if isinstance(each, Tensor)]
        if any(tensor.device.type != "meta" for tensor in tensors):
            self.found.append(func.name())
        return result


def meta_update(*sets: str, masked: bool, older: bool) -> Callable[[], None]:
    """A minibatch with all its tensors on torch's meta device."""
    meta = torch.device("meta")
    profile = tiny_profile(*SETS, *sets)
    policy = Policy(9, 4, core=profile.policy.core, hidden=16).to(meta)
    optimizer = Optimizer(policy, OptimizerSettings(True, 0.95, 0.9, 0.999, 1e-8))
    learner = Learner(policy, optimizer, Workers(1), deferred=True)
    sampler = SegmentSampler(0, torch.Generator(), meta)
    buffers = [RolloutBuffer(8, 12, 9, policy.initial_state(12, meta), meta) for _ in range(2)]
    if masked:
        buffers[0].masks = buffers[0].live.float()
    experience = Experience(buffers[0].segments(2), buffers[1].segments(1) if older else None)
    sampler.start_iteration(len(experience))
    replay = profile.replay
    settings = live_settings.update(profile, 0.5, optimizer.next_rates(0.1, 0.01, 0.001))
    update = DeviceUpdate(learner, sampler, meta, pytest.fail)
    sampler.use_scheme(replay.scheme)
    update.prepare(experience)
    update._make_room(3)
    drawn = torch.empty(sampler.scheme.uniforms(len(experience), 3, replay.replacement), dtype=torch.float64)
    chance = drawn.to(torch.int64 if replay.scheme == "sequential" else drawn.dtype).to(meta)
    return partial(update._minibatch, fill_numbers(settings, update._numbers), chance, update._log)


def test_settings_of_one_structure_differ_in_numbers_alone() -> None:
    profile = tiny_profile(*SETS, "train.value_clip=0")
    rates = Rates(0.1, 0.01, 0.0, 0.5, 0.25)
    settings = live_settings.update(profile, 0.5, rates)
    structure, numbers = split_numbers(settings)
    assert numbers[-4:] == [0.1, 0.01, 0.5, 0.25], "a decay of 0 is switched off, and no number"
    assert profile.train.gamma in numbers
    other = live_settings.update(profile.with_value("train.gamma", 0.5), 0.75, replace(rates, learning_rate=0.0))
    assert split_numbers(other)[0] == structure
    assert split_numbers(other)[1] != numbers
    for key, value in (("replay.scheme", "rank"), ("replay.replacement", False), ("train.value_clip", 0.25)):
        changed = live_settings.update(profile.with_value(key, value), 0.5, rates)
        assert split_numbers(changed)[0] != structure, key
    assert split_numbers(live_settings.update(profile, 0.5, replace(rates, weight_decay=0.1)))[0] != structure
    filled = fill_numbers(settings, torch.tensor(numbers, dtype=torch.float64))
    assert float(filled.learning.rates.adam_learning_rate) == 0.01  # type: ignore[union-attr]
    assert float(filled.sampling.beta) == settings.sampling.beta
    assert filled.learning.loss.value_clip == 0
    assert (filled.scheme, filled.segments) == (settings.scheme, settings.segments)


@pytest.mark.parametrize("older", [False, True])
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scheme", SCHEMES)
def test_no_tensor_of_a_minibatch_lies_elsewhere(
    monkeypatch: pytest.MonkeyPatch, scheme: str, masked: bool, older: bool
) -> None:
    """A number of the host's that becomes a tensor would be a copy, which no graph can hold."""
    monkeypatch.setattr(torch, "autocast", lambda *kind, enabled: contextlib.nullcontext())  # torch has none for meta
    for core, metric, replacement in (("lstm", "sum", "true"), ("mingru", "eta", "false"), ("none", "mean", "true")):
        sets = (f"replay.scheme={scheme}", f"replay.metric={metric}", f"replay.replacement={replacement}")
        minibatch = meta_update(f"policy.core={core}", *sets, masked=masked, older=older)
        with Elsewhere() as elsewhere:
            minibatch()
        assert elsewhere.found == []
        assert elsewhere.seen > 200


def test_a_number_that_becomes_a_tensor_is_noticed() -> None:
    tensor = torch.empty(3, device="meta")
    with Elsewhere() as elsewhere:
        tensor.add_(torch.tensor(1.0))
    assert "aten::add_.Tensor" in elsewhere.found


@pytest.mark.parametrize("fused", ["true", "false"])
@pytest.mark.parametrize("core", ["lstm", "mingru", "none"])
def test_nothing_of_a_gradient_outlives_its_minibatch(make_trainer: Make, core: str, fused: str) -> None:
    """What autograd keeps for a parameter remembers the stream it was made on: if it lived on from the first minibatch,
    which warms up, the recording of the second would have to wait for a stream outside, which it cannot."""
    trainer = make_trainer(f"policy.core={core}", f"train.fused={fused}")
    defer(trainer)
    unroll, marked = trainer.policy.unroll, []

    def kept(parameter: Tensor) -> dict[str, Any]:
        node = parameter.view_as(parameter).grad_fn
        assert node is not None
        accumulator = node.next_functions[0][0]
        assert accumulator is not None
        return accumulator.metadata

    def mark(*arguments: Any) -> Any:
        result = unroll(*arguments)
        for parameter in trainer.policy.parameters():
            kept(parameter)["minibatch"] = 1
        marked.append(all("minibatch" in kept(parameter) for parameter in trainer.policy.parameters()))
        return result

    trainer.policy.unroll = mark  # type: ignore[method-assign, assignment]
    trainer.collect()
    for _ in trainer.minibatches():
        trainer.learn()
        assert not any("minibatch" in kept(parameter) for parameter in trainer.policy.parameters())
    assert marked
    assert all(marked), "the mark is lost: the test proves nothing"
