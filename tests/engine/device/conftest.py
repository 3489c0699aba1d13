"""Trainers whose environments play in groups on lanes of a device that is not there, and plain ones beside them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from engine.collector import Collector
from engine.grouped_collector import GroupedCollector
from engine.trainer import Trainer
from tests.engine.device.grouped import Make, MakeGrouped, value_more
from tests.engine.device.host_lanes import CheckedBatch, HostLanes, Schedule


@pytest.fixture
def rows_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A matrix product whose rows do not depend on how many there are: groups are then equal to the whole by the bit.

    Products of another size may round otherwise, on a CPU as on a GPU, which would hide a true difference.
    """

    def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        product = (inputs.unsqueeze(-2) * weight).sum(-1)
        return product if bias is None else product + bias

    monkeypatch.setattr(torch.nn.functional, "linear", linear)


@pytest.fixture
def make_plain(make_trainer: Make, rows_alone: None) -> Make:
    """Trainers with the plain collector."""

    def make(*sets: str, **options: Any) -> Trainer:
        trainer = make_trainer(*sets, **options)
        trainer.collector = Collector(trainer.batch, trainer.policy, trainer.buffer, trainer.action_generator)
        return value_more(trainer)

    return make


@pytest.fixture
def make_grouped(make_trainer: Make, rows_alone: None) -> MakeGrouped:
    """Trainers whose environments play in groups, on lanes of a device that is not there."""

    def make(
        *sets: str, groups: int = 2, schedule: Schedule = "late", threads: int = 1, **options: Any
    ) -> tuple[Trainer, HostLanes]:
        trainer, lanes = make_trainer(*sets, **options), HostLanes(schedule)
        old = trainer.batch
        old.close()
        trainer.batch = CheckedBatch(
            old.name, old.environments, seed=old.seed, threads=threads, config=old.config, slots=old.slots
        )
        trainer.batch.lanes = lanes
        trainer.collector = GroupedCollector(
            trainer.batch, trainer.policy, trainer.buffer, trainer.action_generator, lanes, groups
        )
        return value_more(trainer), lanes

    return make
