"""A device for tests on machines without one: the kernels' own text, compiled for the host, a block after the other."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
import torch

from c_envs.device import device_program
from engine.device_environments import DeviceBatch

COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
HOST = torch.device("cpu")


class HostLauncher:
    """Runs the kernels of one environment's program on the CPU. `launched` counts them by name."""

    def __init__(self, name: str, config: Mapping[str, object], folder: Path) -> None:
        if COMPILER is None:
            pytest.skip("no C++ compiler here to build the device's kernels for the host")
        program = device_program(name, config)
        folder.mkdir(parents=True, exist_ok=True)
        for header, text in program.headers.items():
            (folder / header).write_text(text)
        source, library = folder / f"{name}.cpp", folder / f"{name}.so"
        source.write_text(program.source)
        shim = Path(__file__).with_name("host_device.h")
        flags = ["-std=c++17", "-O2", "-ffp-contract=off", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC"]
        command = [COMPILER, *flags, f"-I{folder}", "-include", str(shim), str(source), "-o", str(library)]
        built = subprocess.run(command, capture_output=True, text=True, check=False)
        assert built.returncode == 0, built.stderr
        self._library = ctypes.CDLL(str(library))
        self._block = ctypes.c_uint.in_dll(self._library, "host_block")
        self.launched: dict[str, int] = {}

    def launch(self, kernel: str, blocks: int, *arguments: ctypes.Structure | ctypes.c_int64 | ctypes.c_uint64) -> None:
        self.launched[kernel] = self.launched.get(kernel, 0) + 1
        for block in range(blocks):
            self._block.value = block
            getattr(self._library, kernel)(*arguments)


def device_buffers(batch: DeviceBatch) -> dict[str, torch.Tensor]:
    """Fresh tensors of the shapes that `bind` asks for."""
    slots, rows, size, device = batch.slots, batch.rows, batch.spec.observation_size, batch.device
    actions = torch.float32 if batch.spec.continuous else torch.int32
    flags = {
        name: torch.zeros(slots, rows, dtype=torch.uint8, device=device)
        for name in ("terminals", "truncations", "masks")
    }
    return {
        "observations": torch.zeros(slots + 1, rows, size, device=device),
        "actions": torch.zeros(slots, rows, dtype=actions, device=device),
        "rewards": torch.zeros(slots, rows, device=device),
        "final_observations": torch.zeros(rows, size, device=device),
        **flags,
    }
