"""A device for tests on machines without one: the kernels' own text, compiled for the host, a block after the other."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from c_envs.device import DeviceProgram, device_program
from engine.device_environments import DeviceBatch
from engine.device_program import CudaLauncher

COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")
HOST = torch.device("cpu")
HOST_STREAM = 0x7F00_1234_5678
"""An address, as wide as a stream's."""


def host_launcher(name: str, config: Mapping[str, object], folder: Path) -> CudaLauncher:
    """The launcher that a GPU gets for an environment, over a library that runs the kernels on the CPU."""
    return host_program(device_program(name, config), "host_environments.h", folder)


def host_program(program: DeviceProgram, table: str, folder: Path) -> CudaLauncher:
    """The launcher of a program over a library that has the driver's calls and runs the kernels that `table` lists.

    `host_launches` and `host_stream` of its driver tell how often it was called and on which stream last.
    """
    library = build(program, [table, "host_driver.h"], ["-O2", "-shared", "-fPIC"], folder)
    driver = ctypes.CDLL(str(library))
    return CudaLauncher(driver, b"machine code", lambda: HOST_STREAM, program.kernels, program.threads, program.shared)


def build(program: DeviceProgram, after: Sequence[str], flags: Sequence[str], folder: Path) -> Path:
    """The program with the headers `after` it, built in `folder` by a compiler of the host that knows its macros.

    Kernels that share a block's memory get threads that wait for each other (host_block.cpp).
    """
    if COMPILER is None:
        pytest.skip("no C++ compiler here to build the device's kernels for the host")
    folder.mkdir(parents=True, exist_ok=True)
    for header, text in program.headers.items():
        (folder / header).write_text(text)
    name = program.name.partition(".")[0]
    source, built, here = folder / f"{name}.cpp", folder / f"{name}.so", Path(__file__).parent
    source.write_text(program.source + "".join(f'#include "{header}"\n' for header in after))
    strict = ["-Wall", "-Wextra", "-Werror", "-Wno-unknown-pragmas"]
    # A device's compiler does not take words and numbers of one memory for different ones.
    compiler = [COMPILER, "-std=c++17", "-ffp-contract=off", "-fno-strict-aliasing", *strict, *flags]
    places = [f"-I{folder}", f"-I{here}", "-include", str(here / "host_device.h")]
    given = [str(source)]
    if program.shared:
        threads = folder / "host_block.o"
        _run([*compiler, "-c", str(here / "host_block.cpp"), "-o", str(threads)])
        places += ["-include", str(here / "host_block.h")]
        given.append(str(threads))
    _run([*compiler, *places, *given, "-o", str(built)])
    return built


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


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
