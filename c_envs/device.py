"""The environments as a program for a GPU: its source text, its kernels' arguments. Needs neither torch nor a GPU.

The program is the environment's own header and the kernels of device.h, for the run-time compiler (NVRTC). It must be
compiled with `OPTIONS`: rounding a*b+c once, which is a GPU compiler's default, would give other numbers than the CPU
build, and then a game replayed on the CPU from its saved state would not be the game that was played.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources

from c_envs.info import check, spec

OPTIONS = ("--std=c++17", "--fmad=false", "--ftz=false", "--prec-div=true", "--prec-sqrt=true")
"""What the compiler must be told, so that the kernels give the bytes of the CPU build."""
THREADS = 32
"""Threads of a block, each of which plays one environment (DEVICE_THREADS in device.h)."""
KERNELS = ("device_reset", "device_observe", "device_step")
SUMS_BYTES = 32
"""Bytes of one environment's sums (EnvSums in env.h): an int64 and three doubles."""

_COMMON = ("env.h", "random.h", "play.h", "device.h")


class DeviceLayout(ctypes.Structure):
    """The struct of this name in device.h: addresses in the device's memory, and the number of environments."""

    _fields_ = (
        ("config", ctypes.c_void_p),
        ("states", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("observations", ctypes.c_void_p),
        ("actions", ctypes.c_void_p),
        ("rewards", ctypes.c_void_p),
        ("terminals", ctypes.c_void_p),
        ("truncations", ctypes.c_void_p),
        ("masks", ctypes.c_void_p),
        ("final_observations", ctypes.c_void_p),
        ("environments", ctypes.c_int64),
    )


@dataclass(frozen=True, slots=True)
class DeviceProgram:
    """What the compiler is given: `source`, and the text of each header that it includes by its name.

    What comes out has the `kernels`, whose blocks have `threads` threads; those in `shared` also have so many bytes of
    memory of their own. A GPU of less than compute capability `capability` lacks what they are made of.
    """

    name: str
    source: str
    headers: Mapping[str, str]
    options: tuple[str, ...] = OPTIONS
    kernels: tuple[str, ...] = KERNELS
    threads: int = THREADS
    shared: Mapping[str, int] = field(default_factory=dict)
    capability: tuple[int, int] = (0, 0)


def device_program(name: str, config: Mapping[str, object]) -> DeviceProgram:
    """The program that plays environment `name` under `config`; EnvironmentConfigError if the config will not do."""
    shapes = spec(name, check(name, config))
    kind = name.capitalize()
    source = f"""#include "{name}.h"
#define ENV {name}
#define ENV_CONFIG {kind}Config
#define ENV_STATE {kind}State
#define ENV_AGENTS {shapes.agents_per_environment}
#define ENV_FLOATS {shapes.observation_size}
#include "device.h"
static_assert(sizeof(ENV_STATE) == {shapes.state_bytes}, "a state has as many bytes as on the CPU");
static_assert(sizeof(EnvSums) == {SUMS_BYTES}, "sums have as many bytes as on the CPU");
static_assert(sizeof(DeviceLayout) == {ctypes.sizeof(DeviceLayout)}, "a batch has as many bytes as on the CPU");
static_assert(DEVICE_THREADS == {THREADS}, "blocks have as many threads as are launched");
"""
    folder = resources.files("c_envs")
    headers = {each: folder.joinpath(each).read_text("utf-8") for each in (f"{name}.h", *_COMMON)}
    return DeviceProgram(f"{name}.cu", source, headers)
