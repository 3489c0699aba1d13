"""The way from the device to the host. What is wanted at one time crosses in one copy: for each copy the host waits
until the device has done all that is queued, and then the device waits until the host has queued more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import partial
from typing import Any, TypeVar

import torch
from torch import Tensor

Value = TypeVar("Value", bound=Any)


def to_host(tensors: Sequence[Tensor]) -> list[Tensor]:
    """The tensors on the host, all of them in one copy. Those that are there already are given as they are."""
    found, wait = _on_their_way(tensors)
    wait()
    return found


def all_to_host(value: Value) -> Value:
    """A dataclass whose fields are tensors, or such dataclasses, with all of them on the host: in one copy."""
    crossed, wait = _on_their_way(list(_tensors(value)))
    # Filled before they have arrived: when the host has waited, the device waits for the host.
    filled = _filled(value, iter(crossed))
    wait()
    return filled


@torch.no_grad()
def _on_their_way(tensors: Sequence[Tensor]) -> tuple[list[Tensor], Callable[[], object]]:
    """The tensors on the host, and what waits until they have arrived there."""
    found = list(tensors)
    # Wide numbers come first, so that in the bytes of all each tensor begins where its kind of numbers may.
    there = sorted(
        (index for index, tensor in enumerate(tensors) if tensor.device.type != "cpu"),
        key=lambda index: -tensors[index].element_size(),
    )
    if not there:
        return found, lambda: None
    together = torch.cat([tensors[index].reshape(-1).view(torch.uint8) for index in there])
    here = torch.empty(together.shape, dtype=torch.uint8, pin_memory=together.is_cuda)
    for index, part in zip(there, torch.split(here, [tensors[index].nbytes for index in there]), strict=True):
        found[index] = part.view(tensors[index].dtype).view(tensors[index].shape)
    return found, partial(here.copy_, together)


class Crossing:
    """The way to the host of numbers that are told again and again: `send` queues them, `arrived` waits for them.

    In between the host may do something else. The memory that they arrive in is used again.
    """

    def __init__(self, device: torch.device) -> None:
        self._event = torch.cuda.Event() if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._here = torch.zeros(0)

    def send(self, numbers: Tensor) -> None:
        """Queues a copy; contiguous."""
        if self._here.shape != numbers.shape or self._here.dtype != numbers.dtype:
            self._here = torch.empty(numbers.shape, dtype=numbers.dtype, pin_memory=self._event is not None)
        self._here.copy_(numbers, non_blocking=True)
        if self._event is not None:
            self._event.record()

    def arrived(self) -> Tensor:
        """What was sent last, until something is sent again."""
        if self._event is not None:
            self._event.synchronize()
        return self._here


def _tensors(value: Value) -> Iterator[Tensor]:
    for field in fields(value):
        part = getattr(value, field.name)
        if is_dataclass(part):
            yield from _tensors(part)
        else:
            yield part


def _filled(value: Value, crossed: Iterator[Tensor]) -> Value:
    parts = {field.name: getattr(value, field.name) for field in fields(value)}
    return replace(
        value, **{name: _filled(part, crossed) if is_dataclass(part) else next(crossed) for name, part in parts.items()}
    )
