"""Older segments beside fresh ones: what is kept, how old it is, and that nothing is mixed up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pytest
import torch

from engine.segments import Experience, Minibatch, Segments, join_segments
from engine.trainer import Trainer
from engine.viewing import replay_states, view_segment

Make = Callable[..., Trainer]


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def make_segments(count: int, iteration: int, horizon: int = 5, masked: bool = False) -> Segments:
    """Segments whose every field tells which segment it belongs to."""
    mark = torch.arange(count, dtype=torch.float32) + 100 * iteration

    def plane() -> torch.Tensor:
        return mark.repeat(horizon, 1)

    flags = torch.zeros(horizon, count, dtype=torch.uint8)
    return Segments(
        observations=plane().unsqueeze(-1).repeat(1, 1, 3),
        actions=plane().int(),
        logprobs=plane(),
        values=plane(),
        rewards=plane(),
        ratios=torch.ones(horizon, count),
        advantages=plane(),
        final_values=torch.zeros(horizon, count),
        done=flags,
        resets=flags.clone(),
        masks=torch.ones(horizon, count) if masked else None,
        bootstrap=mark.clone(),
        state=mark.view(1, 1, count, 1).repeat(1, 2, 1, 4),
        environments=(mark.to(torch.uint8).view(count, 1).repeat(1, 6),),
        environment=torch.arange(count),
        agent=torch.arange(count),
        iteration=torch.full((count,), iteration),
    )


def marks(segments: Segments) -> list[int]:
    """The mark that all fields agree on."""
    found = [int(mark) for mark in segments.bootstrap]
    for name in ("observations", "actions", "logprobs", "values", "rewards", "advantages"):
        value = getattr(segments, name)
        value = value[..., 0] if value.ndim == 3 else value
        assert [int(x) for x in value[-1]] == found, name
    assert [int(x) for x in segments.state[0, 1, :, 3]] == found
    states = segments.environment_states(torch.arange(len(segments)))
    assert states.tolist() == [6 * [mark % 256] for mark in found]
    assert [100 * int(i) + int(a) for i, a in zip(segments.iteration, segments.agent, strict=True)] == found
    return found


def test_selected_and_joined_segments_keep_all_their_fields_together() -> None:
    one, two = make_segments(6, 1), make_segments(4, 2, masked=True)
    joined = join_segments([one.select(torch.tensor([4, 0])), two.select(torch.tensor([3]))])
    assert marks(joined) == [104, 100, 203]
    assert marks(joined.select(torch.tensor([2, 1]))) == [203, 100]
    assert joined.masks is not None
    assert torch.equal(joined.masks, torch.ones(5, 3)), "where one part has masks, the others count in full"


@pytest.mark.parametrize(
    ("refill", "expected"),
    [("topk", [206, 207, 105, 106, 107]), ("recent", [203, 204, 205, 206, 207])],
)
def test_kept_segments_are_those_that_refill_names(refill: str, expected: list[int]) -> None:
    """Fresh ones are marked 200 and up, older ones 100 and up; the metric rises with the last digit."""
    experience = Experience(make_segments(8, 2), make_segments(8, 1))
    metric = torch.cat((torch.arange(8.0), torch.arange(8.0) + 0.5))
    kept = experience.keep(5, refill, metric, generator())
    assert kept is not None
    assert sorted(marks(kept)) == sorted(expected)


def test_recent_takes_older_ones_where_the_fresh_do_not_suffice() -> None:
    experience = Experience(make_segments(3, 2), make_segments(3, 1))
    kept = experience.keep(4, "recent", torch.arange(6.0), generator())
    assert kept is not None
    assert sorted(marks(kept)) == [102, 200, 201, 202]


def test_random_keeps_every_segment_equally_often() -> None:
    experience = Experience(make_segments(3, 2), make_segments(3, 1))
    rng, counts = generator(), dict.fromkeys([100, 101, 102, 200, 201, 202], 0)
    for _ in range(3000):
        kept = experience.keep(2, "random", torch.zeros(6), rng)
        assert kept is not None
        for mark in marks(kept):
            counts[mark] += 1
    assert all(abs(count - 1000) < 120 for count in counts.values()), counts


def test_gathering_and_writing_back_reach_the_right_store() -> None:
    experience = Experience(make_segments(4, 2), make_segments(3, 1))
    chosen = torch.tensor([1, 1, 3, 4, 6])
    batch = experience.gather(chosen)
    assert batch.values[0].tolist() == [201, 201, 203, 100, 102]
    assert batch.state[0, 0, :, 0].tolist() == [201, 201, 203, 100, 102]
    assert experience.advantages_of(chosen)[0][2].tolist() == [201, 201, 203, 100, 102]
    experience.write_back(chosen, torch.full((5, 5), -1.0), torch.full((5, 5), 2.0))
    assert experience.stores[0].values[0].tolist() == [200, -1, 202, -1]
    assert experience.stores[1].values[0].tolist() == [-1, 101, -1]
    assert experience.stores[1].ratios[0].tolist() == [2, 1, 2]


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.5])
@pytest.mark.parametrize("refill", ["topk", "recent", "random"])
def test_training_with_older_segments_holds_the_mean_use_and_tells_their_age(
    make_trainer: Make, factor: float, refill: str
) -> None:
    trainer = make_trainer(f"replay.factor={factor}", f"replay.refill={refill}", "train.minibatch=32")
    for iteration in range(1, 5):
        report = trainer.iterate()
        older = min(int(8 * factor), 8 * (iteration - 1)) if iteration <= 2 else None
        if older is not None:
            assert report.view().segments == 8 + older
        assert report.metrics["replay/uses_mean"] == pytest.approx(1.0, abs=2 / 8)
        assert report.view().fresh == 8
        if iteration > 1:
            assert 0 < report.metrics["replay/age_max"] < iteration
            assert 0 < report.metrics["replay/old_share"] < 1
            assert len(report.view().ages.counts) > 1
    assert trainer.archive is not None
    assert len(trainer.archive) == int(8 * factor)


def test_older_segments_keep_the_probabilities_of_the_policy_that_acted(make_trainer: Make) -> None:
    trainer = make_trainer("replay.factor=1", "replay.refill=recent")
    trainer.iterate()
    assert trainer.archive is not None
    kept = trainer.archive.logprobs.clone()
    with torch.no_grad():
        trainer.policy.heads.bias[0] += 1.0
    trainer.iterate()
    store = trainer.experience.stores[1]
    assert torch.equal(store.logprobs, kept)
    assert (store.ratios - 1).abs().max() > 0.1, "what was trained on has the ratio of the changed policy"


def test_without_a_factor_nothing_is_kept(make_trainer: Make) -> None:
    trainer = make_trainer()
    trainer.iterate()
    assert trainer.archive is None
    assert "replay/old_share" not in trainer.iterate().metrics


@pytest.mark.parametrize("name", ["breakout.toml", "maze.toml"])
def test_a_replayed_segment_shows_the_very_states_that_training_saw(make_trainer: Make, name: str) -> None:
    """Observations of the replay equal the stored ones byte for byte, for fresh and for kept segments."""
    trainer = make_trainer(
        "replay.factor=1", "env.agents=32", "train.horizon=64", "train.minibatch=512", "replay.refill=random", name=name
    )
    for _ in range(4):
        trainer.iterate()
    ended = 0
    for store in trainer.experience.stores:
        for place in range(len(store)):
            states, observations = replay_states(trainer, store, place)
            assert len(states) == 64
            assert observations.tobytes() == np.ascontiguousarray(store.observations[:, place].numpy()).tobytes()
            ended += int(store.done[:-1, place].sum())
    if name == "breakout.toml":
        assert ended > 0, "no episode ended inside a segment: the test proves too little"


@pytest.mark.parametrize("joined", [False, True])
def test_only_fresh_segments_of_several_agents_can_be_played_again(make_trainer: Make, joined: bool) -> None:
    """Of kept ones the other agents' actions are gone; there are as many kept as fresh ones here."""
    trainer = make_trainer("replay.factor=1", name="multiagent.toml")
    for _ in range(3):
        trainer.iterate()
    experience, horizon = trainer.experience, trainer.buffer.horizon
    assert len(experience) == 2 * experience.fresh
    if joined:
        experience.join(None)
    for index in range(len(experience)):
        store, place = experience.locate(index)
        states, observations = replay_states(trainer, store, place)
        if index < experience.fresh:
            assert observations.tobytes() == np.ascontiguousarray(store.observations[:, place].numpy()).tobytes()
        else:
            assert states == [b""] * horizon


def test_joined_segments_are_those_of_the_stores() -> None:
    """Gathered, written back and located alike; over the tensors of an older join nothing new is made."""
    apart, together = (Experience(make_segments(4, 2), make_segments(3, 1)) for _ in range(2))
    together.join(None)
    first = together.stores[0]
    chosen = torch.tensor([1, 1, 3, 4, 6])
    for experience in (apart, together):
        experience.write_back(chosen, torch.full((5, 5), -1.0), torch.full((5, 5), 2.0))
    for field in fields(Minibatch):
        one, other = getattr(apart.gather(chosen), field.name), getattr(together.gather(chosen), field.name)
        assert one is other is None or torch.equal(one, other), field.name
    for index in range(7):
        (store, place), (joined, same) = apart.locate(index), together.locate(index)
        assert torch.equal(store.values[:, place], joined.values[:, same])
    again = Experience(make_segments(4, 3), make_segments(3, 2))
    expected = [*again.stores[0].values[0].tolist(), *again.stores[1].values[0].tolist()]
    again.join(first)
    assert again.stores[0].values.data_ptr() == first.values.data_ptr()
    assert first.values[0].tolist() == expected


def test_states_may_arrive_after_the_segments_were_joined() -> None:
    """As from a GPU that is still at work on the horizon: of fresh and of older segments, alternating."""
    fresh, older = make_segments(4, 2), make_segments(3, 1)
    (states,) = fresh.environments
    arriving = states.clone()
    states.fill_(0xFF)
    experience = Experience(fresh, older)
    experience.join(None)
    states.copy_(arriving)
    (joined,) = experience.stores
    assert marks(joined) == [200, 201, 202, 203, 100, 101, 102]
    assert marks(joined.select(torch.tensor([6, 0, 4, 3, 0]))) == [102, 200, 100, 203, 200]
    assert marks(join_segments([joined.select(torch.tensor([5])), joined])) == [101, *marks(joined)]


def test_a_segment_view_shows_the_one_asked_for(make_trainer: Make) -> None:
    trainer = make_trainer("replay.factor=1", "train.minibatch=32")
    for _ in range(3):
        trainer.iterate()
    metric, uses = trainer.metric(), trainer.sampler.uses
    best = view_segment(trainer, "priority", 0)
    assert best.summary.index == int(metric.argmax())
    assert best.rank == 0
    assert best.summary.priority == pytest.approx(float(metric.max()))
    assert view_segment(trainer, "priority", 3).rank == 3
    assert view_segment(trainer, "uses", 0).summary.uses == int(uses.max())
    oldest = int((trainer.iteration - trainer.experience.iterations()).max())
    assert view_segment(trainer, "age", 0).summary.age == oldest > 0
    assert view_segment(trainer, "index", 5).summary.index == 5
    assert view_segment(trainer, "index", 10_000).summary.index == len(metric) - 1
    assert len({view_segment(trainer, "random", 0).summary.index for _ in range(20)}) > 3
    store, place = trainer.experience.locate(best.summary.index)
    for t, step in enumerate(best.steps):
        assert sum(step.probabilities) == pytest.approx(1.0, abs=1e-5)
        assert step.action == int(store.actions[t, place])
        assert step.advantage == pytest.approx(float(store.advantages[t, place]))
        assert step.reward == pytest.approx(float(store.rewards[t, place]))
        behaviour = float(store.logprobs[t, place].exp())
        assert step.ratio == pytest.approx(step.probabilities[step.action] / behaviour, rel=1e-3)


def test_every_field_of_segments_has_its_place_in_a_selection() -> None:
    """A new field must say along which dimension its segments lie: this fails until it does."""
    segments = make_segments(4, 1, masked=True)
    chosen = segments.select(torch.tensor([2, 0, 2]))
    for field in fields(Segments):
        value = getattr(chosen, field.name)
        (value,) = value if field.name == "environments" else (value,)
        assert 3 in value.shape, field.name
