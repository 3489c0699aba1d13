"""Memory of the process, the machine and the GPU, for the memory panel."""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator

import psutil
import torch
from torch import Tensor, nn

from engine.device_graph import recorded_graphs
from engine.device_telemetry import CardProbe
from engine.snapshot import Memory
from engine.trainer import Trainer


class MemoryProbe:
    """Reads memory figures in about a millisecond; GPU figures are None on a CPU run. `close` ends its thread."""

    def __init__(self, trainer: Trainer) -> None:
        self.trainer, self.device = trainer, trainer.device
        self._process = psutil.Process()
        self._name: str | None = None
        self._card: CardProbe | None = None
        if self.device.type == "cuda":
            self._name = torch.cuda.get_device_name(self.device)
            self._card = CardProbe(self.device)
            self._card.start()

    def read(self) -> Memory:
        """The present figures in bytes."""
        machine = psutil.virtual_memory()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        process = self._process.memory_info().rss
        if self._card is None:
            return Memory(
                process=process,
                process_peak=peak,
                machine_used=machine.total - machine.available,
                machine_total=machine.total,
            )
        free, total = torch.cuda.mem_get_info(self.device)
        allocated, reserved = torch.cuda.memory_allocated(self.device), torch.cuda.memory_reserved(self.device)
        return Memory(
            process=process,
            process_peak=peak,
            machine_used=machine.total - machine.available,
            machine_total=machine.total,
            gpu_name=self._name,
            gpu_allocated=allocated,
            gpu_reserved=reserved,
            gpu_peak=torch.cuda.max_memory_allocated(self.device),
            gpu_used=total - free,
            gpu_total=total,
            gpu_parts=memory_parts(self.trainer, allocated, reserved),
            card=self._card.newest,
        )

    def close(self) -> None:
        """Asks the driver no more."""
        if self._card is not None:
            self._card.close()


def memory_parts(trainer: Trainer, allocated: int, reserved: int) -> dict[str, int]:
    """What torch's memory on the trainer's device is for, in bytes; the parts add up to `reserved`.

    "graphs" is what CUDA graphs keep for themselves, all that there are, "other" what is allocated for anything else,
    such as activations, and "free" what torch keeps for the next allocation.
    """
    seen: set[int] = set()
    named = {
        "rollout": _bytes(trainer.device, seen, trainer.buffer, trainer.collector),
        "environments": _bytes(trainer.device, seen, trainer.batch),
        "parameters": _bytes(trainer.device, seen, list(trainer.policy.parameters())),
        "optimizer": _bytes(
            trainer.device,
            seen,
            trainer.optimizer,
            *(getattr(trainer.learner, name, None) for name in ("undo", "fused")),
        ),
        "replay": _bytes(trainer.device, seen, trainer.archive, trainer.experience.stores),
    }
    # What was freed outside while a graph was recorded counted as its memory, and may have been given away since.
    graphs = min(sum(call.bytes for call in recorded_graphs(trainer.device)), reserved - allocated)
    other = allocated - sum(named.values())
    return {**named, "graphs": graphs, "other": other, "free": reserved - allocated - graphs}


def _bytes(device: torch.device, seen: set[int], *things: object) -> int:
    """Memory on `device` of the tensors that `things` hold and that is not among those `seen`."""
    total = 0
    for tensor in _tensors(things):
        storage = tensor.untyped_storage()
        if tensor.device == device and storage.data_ptr() not in seen:
            seen.add(storage.data_ptr())
            total += storage.nbytes()
    return total


def _tensors(thing: object) -> Iterator[Tensor]:
    """The tensors of a thing: those it is made of, and those in its attributes, but not in the attributes of these."""
    if isinstance(thing, Tensor):
        yield thing
    elif isinstance(thing, list | tuple):
        for each in thing:
            yield from _tensors(each)
    elif isinstance(thing, dict):
        yield from _tensors(list(thing.values()))
    elif not isinstance(thing, nn.Module):
        slots = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
        values = [*getattr(thing, "__dict__", {}).values(), *(getattr(thing, name, None) for name in slots)]
        yield from _tensors([value for value in values if isinstance(value, Tensor | list | tuple | dict)])
