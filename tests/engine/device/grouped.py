"""Two trainers that shall have collected the same: environments in groups beside a device, and the plain way."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from engine.trainer import Trainer
from tests.engine.device.host_lanes import HostLanes

Make = Callable[..., Trainer]
MakeGrouped = Callable[..., tuple[Trainer, HostLanes]]


def value_more(trainer: Trainer) -> Trainer:
    """Starts all over, with values that are far from 0."""
    trainer.collector.reset()
    trainer.collector.resume_observations()
    with torch.no_grad():
        trainer.policy.heads.bias[-1] = 3.0
    return trainer


def compare(grouped: Trainer, plain: Trainer) -> None:
    """Both have collected the same, by the bit, and stand at the same place."""
    for field, tensor in vars(plain.buffer).items():
        if isinstance(tensor, Tensor):
            assert torch.equal(getattr(grouped.buffer, field), tensor), field
    assert torch.equal(grouped.collector.state(), plain.collector.state())
    assert torch.equal(grouped.action_generator.get_state(), plain.action_generator.get_state())
    assert grouped.batch.states() == plain.batch.states()
    assert grouped.collector.watch.states == plain.collector.watch.states


def at_rest(lanes: HostLanes) -> bool:
    """Everything was waited for."""
    return not any(lane.queued or lane.flights or lane.open for lane in lanes.lanes)
