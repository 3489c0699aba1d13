"""N iterations, a checkpoint, N more in another trainer: bit for bit what 2N in one go are. Every part is needed."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.checkpoint import Checkpoint
from engine.collector import CollectionAbandoned
from engine.errors import CheckpointError
from engine.resume import load_state, save_state
from engine.trainer import Trainer
from tests.engine.conftest import tiny_profile

N = 4
"""Iterations before the checkpoint and after it: long enough for time limits to cut episodes in the kept segments."""

MAZE = (
    "maze.toml",
    "env.config.map_size=5",
    "env.config.num_maps=3",
    "policy.core=lstm",
    "replay.scheme=prioritized",
    "replay.factor=1.5",
    "replay.refill=random",
    "replay.beta0=0.4",
    "train.optimizer=muon",
    "train.schedule=cosine",
    "train.total_steps=2000",
    "train.update_epochs=0.8",
    "train.minibatch=48",
)
"""Time limits, old segments, a beta and a rate that move, and uses that are owed to the next iteration."""
MASKED = (
    "multiagent.toml",
    "policy.core=mingru",
    "replay.factor=1.5",
    "replay.refill=random",
    "train.optimizer=adam",
    "train.total_steps=2000",
    "train.update_epochs=0.8",
)
"""Agents that sit steps out, and Adam for every parameter."""
CASES = {"maze": MAZE, "masked": MASKED}


@dataclass
class Outcome:
    """All that N iterations leave: metrics without the clock's, actions, and what the next checkpoint holds."""

    metrics: list[dict[str, float]]
    actions: list[torch.Tensor]
    checkpoint: Checkpoint

    def differs(self, other: Outcome) -> str | None:
        """Where the two differ first; None for equal ones."""
        for index, (mine, theirs) in enumerate(zip(self.metrics, other.metrics, strict=True)):
            if mine != theirs:
                return f"metrics of iteration {index}: {sorted(k for k in mine if mine[k] != theirs.get(k))}"
            if not torch.equal(self.actions[index], other.actions[index]):
                return f"actions of iteration {index}"
        if self.checkpoint.manifest != other.checkpoint.manifest:
            return "manifest"
        for name, tensor in parts(self.checkpoint).items():
            if name not in parts(other.checkpoint) or not torch.equal(tensor, parts(other.checkpoint)[name]):
                return name
        return None


def make(case: tuple[str, ...]) -> Trainer:
    name, *sets = case
    return Trainer(tiny_profile(*sets, name=name).for_device("cpu"), torch.device("cpu"))


def parts(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    """Every tensor by group and name."""
    return {
        f"{group}/{name}": value for group, tensors in checkpoint.tensors.items() for name, value in tensors.items()
    }


def copied(checkpoint: Checkpoint) -> Checkpoint:
    """As it would come back from the disk: the trainer that goes on shares nothing with it."""
    tensors = {group: {n: t.clone() for n, t in each.items()} for group, each in checkpoint.tensors.items()}
    return Checkpoint(tensors, dict(checkpoint.manifest))


def train(trainer: Trainer) -> Outcome:
    metrics, actions = [], []
    for _ in range(N):
        report = trainer.iterate().metrics
        metrics.append({key: value for key, value in report.items() if not key.startswith("time")})
        actions.append(trainer.buffer.actions.clone())
    return Outcome(metrics, actions, copied(save_state(trainer, {})))


def resumed(case: tuple[str, ...], checkpoint: Checkpoint) -> Outcome:
    trainer = make(case)
    try:
        load_state(trainer, copied(checkpoint))
        return train(trainer)
    finally:
        trainer.close()


@cache
def story(case: tuple[str, ...]) -> tuple[Checkpoint, Checkpoint, Outcome]:
    """What a new trainer would save, what one saves after N iterations, and what its next N leave."""
    trainer = make(case)
    new = copied(save_state(trainer, {}))
    train(trainer)
    checkpoint = copied(save_state(trainer, {}))
    whole = train(trainer)
    trainer.close()
    return new, checkpoint, whole


@pytest.mark.parametrize("case", CASES)
def test_a_resumed_trainer_does_what_one_that_went_on_does(case: str) -> None:
    _, checkpoint, whole = story(CASES[case])
    assert whole.differs(resumed(CASES[case], checkpoint)) is None


# --- every part is needed ---

RECORDS = {"profile": "the settings that trained it, for people: what a run goes on with is its own profile.toml"}
"""What a checkpoint's manifest says and no trainer takes back."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for every tensor and every number that is really saved: one that is added later is tested, too."""
    if metafunc.function is test_a_resumed_trainer_that_forgot_one_part_is_found_out:
        found = [
            (case, part)
            for case in CASES
            for part in [*parts(story(CASES[case])[1]), *story(CASES[case])[1].manifest]
            if part not in RECORDS
        ]
        metafunc.parametrize(("case", "part"), found)


def forget(part: str, checkpoint: Checkpoint, new: Checkpoint) -> Checkpoint:
    """The checkpoint with one part as a resume that forgot it would leave it: as a new trainer has it, else zeros."""
    forgetful = copied(checkpoint)
    if part == "device":  # another device's random generators cannot be taken over
        forgetful.manifest[part] = "another"
    elif part in checkpoint.manifest:
        forgetful.manifest[part] = new.manifest[part]
        assert forgetful.manifest[part] != checkpoint.manifest[part], "the test would prove nothing"
    else:
        group, _, name = part.partition("/")
        before = checkpoint.tensors[group][name]
        forgetful.tensors[group][name] = new.tensors[group].get(name, torch.zeros_like(before)).clone()
        if name == "archive.masks":
            forgetful.tensors[group][name] = torch.ones_like(before)
        if torch.equal(forgetful.tensors[group][name], before):
            pytest.skip("it is as a new trainer has it: another case tests it")
    return forgetful


def test_a_resumed_trainer_that_forgot_one_part_is_found_out(case: str, part: str) -> None:
    """Weights, every moment, schedules, beta, segments, environments, states, generators: without it, another run."""
    new, checkpoint, whole = story(CASES[case])
    try:
        other = resumed(CASES[case], forget(part, checkpoint, new))
    except CheckpointError:
        return
    assert whole.differs(other) is not None


def test_every_part_of_a_checkpoint_is_changed_by_training_in_some_case() -> None:
    """None of the tests above may be skipped in every case."""
    same: dict[str, bool] = {}
    for case in CASES.values():
        new, checkpoint, _ = story(case)
        for name, tensor in parts(checkpoint).items():
            fresh = parts(new).get(name, torch.zeros_like(tensor))
            kind = name.split(".")[0] if name.startswith("optimizer") else name
            same[kind] = same.get(kind, True) and torch.equal(tensor, fresh)
    assert [name for name, unchanged in same.items() if unchanged] == []


@pytest.mark.parametrize("case", CASES)
def test_a_checkpoint_that_lacks_a_part_is_refused_by_name(case: str) -> None:
    checkpoint = story(CASES[case])[1]
    trainer = make(CASES[case])
    for part in parts(checkpoint):
        group, _, name = part.partition("/")
        if name in ("archive.bootstrap", "archive.masks"):  # without them it is one of a run that has none
            continue
        lacking = copied(checkpoint)
        del lacking.tensors[group][name]
        with pytest.raises(CheckpointError, match=r"does not fit this profile") as caught:
            load_state(trainer, lacking)
        assert "\n" not in str(caught.value)
    for key in set(checkpoint.manifest) - set(RECORDS):
        lacking = copied(checkpoint)
        del lacking.manifest[key]
        with pytest.raises(CheckpointError, match=key):
            load_state(trainer, lacking)
    trainer.close()


def test_training_draws_from_no_generator_that_is_not_saved() -> None:
    """What a trainer holds is saved or only serves the eye, and the process's own generators are left alone."""
    trainer = make(MAZE)
    held = {name for name, value in vars(trainer).items() if isinstance(value, torch.Generator)}
    assert held == {"action_generator", "draw_generator", "view_generator"}
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1], trainer.view_generator.get_state()
    trainer.iterate()
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1], trainer.view_generator.get_state()
    for mine, theirs in zip(before, after, strict=True):
        assert np.array_equal(np.asarray(mine, dtype=object), np.asarray(theirs, dtype=object))
    trainer.close()


# --- in every configuration ---

choices = st.fixed_dictionaries(
    {
        "policy.core": st.sampled_from(["lstm", "mingru", "none"]),
        "policy.layers": st.sampled_from([1, 2]),
        "replay.scheme": st.sampled_from(["prioritized", "stratified", "rank", "topk", "uniform", "sequential"]),
        "replay.factor": st.sampled_from([0, 0.5, 2]),
        "replay.refill": st.sampled_from(["topk", "recent", "random"]),
        "replay.metric": st.sampled_from(["sum", "mean", "max"]),
        "replay.replacement": st.sampled_from(["true", "false"]),
        "train.update_epochs": st.sampled_from([0.1, 0.3, 1, 2.5]),
        "train.optimizer": st.sampled_from(["muon", "adam"]),
        "train.schedule": st.sampled_from(["cosine", "linear"]),
        "train.warmup": st.sampled_from([0, 300]),
        "train.threads": st.sampled_from([1, 2]),
        "train.fused": st.sampled_from(["true", "false"]),
        "train.minibatch": st.sampled_from([32, 128]),
    }
)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.sampled_from(["breakout", "maze", "memory", "multiagent", "stochastic", "password"]), choices)
def test_a_resumed_trainer_goes_on_exactly_whatever_the_profile_says(name: str, values: dict[str, Any]) -> None:
    case = (f"{name}.toml", "train.total_steps=2000", *(f"{key}={value}" for key, value in values.items()))
    _, checkpoint, whole = story.__wrapped__(case)
    assert whole.differs(resumed(case, checkpoint)) is None


def test_edits_made_before_the_checkpoint_are_in_force_after_it() -> None:
    """Each changes what is learned; those that the profile carries are given to the resumed trainer with it."""
    trainer = make(MAZE)
    trainer.iterate()
    for key, value in (("train.learning_rate", 0.02), ("replay.factor", 0.5), ("replay.scheme", "rank")):
        trainer.profile = trainer.profile.with_value(key, value)
    trainer.iterate()
    checkpoint, profile = copied(save_state(trainer, {})), trainer.profile
    whole = train(trainer)
    other = make(MAZE)
    load_state(other, copied(checkpoint))
    other.profile = profile
    assert whole.differs(train(other)) is None
    assert whole.differs(resumed(MAZE, checkpoint)) is not None, "without the edits"
    trainer.close()
    other.close()


# --- a stop that cannot wait ---


@pytest.mark.parametrize(
    "case",
    [
        *CASES.values(),
        ("breakout.toml", "train.fused=false"),
        ("maze.toml", "train.threads=2", "env.agents=256", "train.minibatch=1024"),
    ],
)
@pytest.mark.parametrize("step", [0, 7, 15])
def test_a_horizon_that_was_given_up_leaves_no_trace(case: tuple[str, ...], step: int) -> None:
    """The checkpoint is the one before it, to the last bit, and what follows is what would have followed."""
    trainer, other = make(case), make(case)
    for each in (trainer, other):
        train(each)
    before = copied(save_state(trainer, {}))
    calls = iter(range(10_000))
    trainer.hurried = lambda: next(calls) >= step
    with pytest.raises(CollectionAbandoned):
        trainer.iterate()
    after = copied(save_state(trainer, {}))
    assert Outcome([], [], before).differs(Outcome([], [], after)) is None
    trainer.hurried = lambda: False
    assert train(other).differs(train(trainer)) is None
    for each in (trainer, other):
        each.close()


def test_an_iteration_that_is_cut_short_owes_what_it_did_not_do() -> None:
    """No more minibatches; the checkpoint holds the debt, and a resumed run pays it: uses come out as promised."""
    case = ("breakout.toml", "train.update_epochs=3", "train.minibatch=64")
    trainer, resumed_one = make(case), make(case)
    done: list[int] = []
    trainer.before_minibatch = lambda index, count: done.append(index)
    trainer.hurried = lambda: len(done) >= 2
    report = trainer.iterate()
    assert done == [0, 1]
    assert report.metrics["train/minibatches"] == 2
    assert report.metrics["replay/uses_mean"] == 1.0
    load_state(resumed_one, copied(save_state(trainer, {})))
    assert resumed_one.iterate().metrics["replay/uses_mean"] == 3.0 + 2.0
    for each in (trainer, resumed_one):
        each.close()


# --- ill intent ---


def spoil(name: str, change: Callable[[torch.Tensor], torch.Tensor]) -> Checkpoint:
    checkpoint = copied(story(MAZE)[1])
    checkpoint.tensors["state"][name] = change(checkpoint.tensors["state"][name])
    return checkpoint


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("archive.environment", lambda t: t + 1000),
        ("archive.environment", lambda t: t - 1000),
        ("archive.environment", lambda t: t.to(torch.int32)),
        ("archive.agent", lambda t: t + 8),
        ("archive.iteration", lambda t: t + 5),
        ("archive.actions", lambda t: t + 1000),
        ("archive.actions", lambda t: t[:-1]),
        ("archive.environments", lambda t: t[:, :-1]),
        ("archive.state", lambda t: t[:, :, :-1]),
        ("archive.values", lambda t: t.double()),
        ("archive.observations", lambda t: t[..., :-1]),
        ("archive.bootstrap", lambda t: t[:0]),
        ("recurrent", lambda t: t[:, :, :1]),
        ("recurrent", lambda t: t.double()),
        ("environments", lambda t: t[:-1]),
        ("environments", lambda t: t.flip(0)),
        ("generator.actions", lambda t: t[:-1]),
        ("generator.draws", lambda t: t.to(torch.int32)),
    ],
)
def test_a_checkpoint_whose_tensors_are_not_this_runs_is_refused(
    name: str, change: Callable[[torch.Tensor], torch.Tensor]
) -> None:
    """Sound files with content that would crash training later, or read beyond an array."""
    trainer = make(MAZE)
    with pytest.raises(CheckpointError, match="does not fit this profile") as caught:
        load_state(trainer, spoil(name, change))
    assert "\n" not in str(caught.value)
    trainer.close()


@pytest.mark.parametrize(("key", "value"), [("step", "x"), ("iteration", None), ("owed_segments", []), ("step", 1e400)])
def test_a_manifest_whose_numbers_are_none_is_refused(key: str, value: object) -> None:
    checkpoint = copied(story(MAZE)[1])
    checkpoint.manifest[key] = value
    trainer = make(MAZE)
    with pytest.raises(CheckpointError, match="does not fit this profile"):
        load_state(trainer, checkpoint)
    trainer.close()
