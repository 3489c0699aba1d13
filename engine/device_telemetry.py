"""What the driver says of the GPU that a run trains on, asked by a thread of its own.

NVML answers in milliseconds, sometimes in seconds, and asking often costs the GPU speed: so the trainer never asks, and
the thread asks once a second. Whatever a card or a driver does not tell is None, and `note` says why where nothing is.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import torch

from engine.snapshot import Card

SECONDS = 1.0
"""Time between two questions."""

_T = TypeVar("_T")


class CardProbe:
    """`newest` is what is known of the card behind a CUDA device, until `close`; an empty Card before the first answer.

    `nvml` is the module pynvml. `start` begins to ask.
    """

    def __init__(self, device: torch.device, nvml: Any = None, seconds: float = SECONDS) -> None:
        self._nvml, self._seconds = nvml or importlib.import_module("pynvml"), seconds
        index, count = device.index or 0, torch.cuda.device_count()
        self._uuid = str(getattr(torch.cuda.get_device_properties(index), "uuid", ""))
        self._known = Card(index=index, count=count)
        self._newest = self._known
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask_until_closed, name="gpu figures", daemon=True)

    @property
    def newest(self) -> Card:
        """The newest figures; never waits."""
        return self._newest

    def start(self) -> None:
        """Begins to ask, in a thread of its own."""
        self._thread.start()

    def close(self, timeout: float = 2.0) -> None:
        """Asks no more. A driver that does not answer is not waited for longer than `timeout` seconds."""
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def _ask_until_closed(self) -> None:
        nvml = self._nvml
        try:
            nvml.nvmlInit()
        except nvml.NVMLError as error:
            self._newest = Card(index=self._known.index, count=self._known.count, note=_reason(error))
            return
        try:
            handle, slice_of_card = self._find()
            while not self._ended.is_set():
                self._newest = self._read(handle, slice_of_card)
                self._ended.wait(self._seconds)
        except nvml.NVMLError as error:
            self._newest = Card(index=self._known.index, count=self._known.count, note=_reason(error))
        finally:
            self._try(nvml.nvmlShutdown)

    def _find(self) -> tuple[Any, bool]:
        """NVML's handle of the card, and whether the run has only a slice of it (MIG).

        By UUID: NVML numbers the cards in another order than CUDA, and knows nothing of CUDA_VISIBLE_DEVICES.
        """
        nvml = self._nvml
        card = self._try(lambda: nvml.nvmlDeviceGetHandleByUUID(f"GPU-{self._uuid}"))
        if card is not None:
            return card, bool(self._try(lambda: nvml.nvmlDeviceGetMigMode(card)[0]))
        part = self._try(lambda: nvml.nvmlDeviceGetHandleByUUID(f"MIG-{self._uuid}"))
        if part is not None:
            return nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(part), True
        card = nvml.nvmlDeviceGetHandleByIndex(0 if nvml.nvmlDeviceGetCount() == 1 else self._known.index)
        return card, bool(self._try(lambda: nvml.nvmlDeviceGetMigMode(card)[0]))

    def _read(self, handle: Any, slice_of_card: bool) -> Card:
        nvml, ask = self._nvml, self._try
        utilization = None if slice_of_card else ask(lambda: int(nvml.nvmlDeviceGetUtilizationRates(handle).gpu))
        power = ask(lambda: nvml.nvmlDeviceGetPowerUsage(handle) / 1000)
        limit = ask(lambda: nvml.nvmlDeviceGetEnforcedPowerLimit(handle) / 1000)
        return Card(
            index=self._known.index,
            count=self._known.count,
            mig=slice_of_card,
            others=None if slice_of_card else self._others(handle),
            utilization=None if utilization is None else utilization / 100,
            temperature=ask(lambda: int(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU))),
            power=power,
            power_limit=limit,
            clock=ask(lambda: int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM))),
            clock_limit=ask(lambda: int(nvml.nvmlDeviceGetMaxClockInfo(handle, nvml.NVML_CLOCK_SM))),
            memory_clock=ask(lambda: int(nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_MEM))),
            note="a MIG slice: the driver tells neither its load nor its neighbours" if slice_of_card else "",
        )

    def _others(self, handle: Any) -> int | None:
        """Bytes of the card that other processes use; None where the driver does not say which are this one's."""
        processes = self._try(lambda: list(self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)))
        used = self._try(lambda: int(self._nvml.nvmlDeviceGetMemoryInfo(handle).used))
        # In a container the processes have other numbers inside than outside.
        mine = [each.usedGpuMemory for each in processes or () if each.pid == os.getpid()]
        if used is None or not mine or mine[0] is None:
            return None
        return max(0, used - int(mine[0]))

    def _try(self, ask: Callable[[], _T]) -> _T | None:
        """The answer, or None where this card or driver has none."""
        try:
            return ask()
        except self._nvml.NVMLError:
            return None


def _reason(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return f"no figures of the card: {text}"
