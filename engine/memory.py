"""Memory of the process, the machine and the GPU, for the memory panel."""

from __future__ import annotations

import resource
import sys

import psutil
import torch

from engine.snapshot import Memory


class MemoryProbe:
    """Reads memory figures in about a millisecond; GPU figures are None on a CPU run."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._process = psutil.Process()
        self._name = torch.cuda.get_device_name(device) if device.type == "cuda" else None

    def read(self) -> Memory:
        """The present figures in bytes."""
        machine = psutil.virtual_memory()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
        process = self._process.memory_info().rss
        if self.device.type != "cuda":
            return Memory(
                process=process,
                process_peak=peak,
                machine_used=machine.total - machine.available,
                machine_total=machine.total,
            )
        free, total = torch.cuda.mem_get_info(self.device)
        return Memory(
            process=process,
            process_peak=peak,
            machine_used=machine.total - machine.available,
            machine_total=machine.total,
            gpu_name=self._name,
            gpu_allocated=torch.cuda.memory_allocated(self.device),
            gpu_reserved=torch.cuda.memory_reserved(self.device),
            gpu_peak=torch.cuda.max_memory_allocated(self.device),
            gpu_used=total - free,
            gpu_total=total,
        )
