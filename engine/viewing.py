"""A segment as a person looks at it: the game replayed from its saved state, beside what the policy did and thinks."""

from __future__ import annotations

import numpy as np
import torch

import c_envs
from engine.crossing import to_host
from engine.segments import Segments
from engine.snapshot import SegmentStep, SegmentSummary, SegmentView
from engine.trainer import Trainer

ORDERS = ("priority", "uses", "age", "random", "index")


def view_segment(trainer: Trainer, by: str, index: int) -> SegmentView:
    """The segment that is `index`-th by "priority", "uses" or "age", a "random" one, or the one with that "index".

    Its values, probabilities and ratios are those of the policy as it is now. Call it between iterations.
    """
    experience = trainer.experience
    metric = trainer.metric()
    metric, distribution, ages, uses = to_host(
        (
            metric,
            trainer.distribution(metric),
            trainer.iteration - experience.iterations(),
            trainer.sampler.uses,
        )
    )
    ranking = metric.argsort(descending=True, stable=True)
    index = max(0, min(index, len(metric) - 1))
    if by == "random":
        chosen = int(torch.randint(len(metric), (), generator=trainer.view_generator))
    elif by == "index":
        chosen = index
    else:
        # Of equal ones the higher priority comes first.
        key = {"priority": metric, "uses": uses, "age": ages}[by][ranking]
        chosen = int(ranking[key.argsort(descending=True, stable=True)[index]])
    store, place = experience.locate(chosen)
    summary = SegmentSummary(
        index=chosen,
        agent=int(store.agent[place]),
        priority=float(metric[chosen]),
        probability=float(distribution[chosen]),
        uses=int(uses[chosen]),
        age=int(ages[chosen]),
        score=float(store.rewards[:, place].sum()),
    )
    rank = int((ranking == chosen).nonzero()[0, 0])
    return SegmentView(by, summary, trainer.iteration, rank, _steps(trainer, store, place))


@torch.no_grad()
def _steps(trainer: Trainer, store: Segments, place: int) -> tuple[SegmentStep, ...]:
    one = torch.tensor([place], device=store.rewards.device)
    batch = store.gather(one)
    logits, values = trainer.policy.unroll(batch.observations, batch.state, batch.resets)
    logs = torch.log_softmax(logits.float(), dim=-1)[:, 0]
    ratios = (logs.gather(-1, batch.actions.long())[:, 0] - batch.logprobs[:, 0]).exp()
    columns = (
        replay_states(trainer, store, place)[0],
        batch.actions[:, 0].tolist(),
        (tuple(row) for row in logs.exp().tolist()),
        values[:, 0].tolist(),
        store.rewards[:, place].tolist(),
        batch.advantages[:, 0].tolist(),
        ratios.tolist(),
        (bool(done) for done in store.done[:, place].tolist()),
    )
    return tuple(SegmentStep(*row) for row in zip(*columns, strict=True))


def replay_states(trainer: Trainer, store: Segments, place: int) -> tuple[list[bytes], np.ndarray]:
    """The environment's states before each step of a segment, and the observations [T, D] it gives there.

    The environment is put where the segment began and played again with the recorded actions; its random generator is
    part of its state, so it does what it did. Where an environment has several agents, the others' actions are those of
    the same horizon; for a kept segment they are gone, and then the states are empty.
    """
    env, buffer = trainer.profile.env, trainer.buffer
    spec, horizon = trainer.batch.spec, buffer.horizon
    agents = spec.agents_per_environment
    agent = int(store.agent[place])
    row = agent % agents
    if agents > 1 and int(store.iteration[place]) != trainer.iteration:
        return [b""] * horizon, np.zeros((horizon, spec.observation_size), np.float32)
    first = place - row
    observations = np.zeros((horizon + 1, agents, spec.observation_size), np.float32)
    flags = [np.zeros((horizon, agents), np.uint8) for _ in range(3)]
    actions = store.actions[:, first : first + agents].cpu().numpy().copy()
    batch = c_envs.Batch(env.name, 1, seed=trainer.profile.train.seed, config=env.config, slots=horizon)
    with batch:
        batch.bind(
            observations=observations,
            actions=actions,
            rewards=np.zeros((horizon, agents), np.float32),
            terminals=flags[0],
            truncations=flags[1],
            masks=flags[2],
            final_observations=np.zeros((agents, spec.observation_size), np.float32),
        )
        batch.set_state(0, store.environment_states(torch.tensor([place])).numpy().tobytes())
        batch.observe(0)
        states = []
        for t in range(horizon):
            states.append(batch.state(0))
            batch.step(t)
    return states, observations[:horizon, row]
