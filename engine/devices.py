"""Where to compute: what a profile's `train.device` means on this machine."""

from __future__ import annotations

import torch

from c_envs import MOST_THREADS, cores
from engine.errors import DeviceError
from engine.parallel import LEAST_ROWS


def resolve_device(wanted: str) -> torch.device:
    """The device for "auto" (a GPU when torch has one), "cpu", "cuda" or "cuda:N"; DeviceError says what there is."""
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if wanted == "cpu" or (wanted == "auto" and not count):
        return torch.device("cpu")
    if not count:
        build = "is a CPU build" if torch.version.cuda is None else "finds no GPU (driver missing or no device visible)"
        raise DeviceError(f'device "{wanted}": torch {torch.__version__} {build}; use --device cpu or auto')
    index = int(wanted.partition(":")[2] or 0) if wanted != "auto" else 0
    if index >= count:
        raise DeviceError(f'device "{wanted}": this machine has {count} GPU(s), cuda:0 to cuda:{count - 1}')
    return torch.device("cuda", index)


def use_precision(precision: str) -> None:
    """Sets how this process's GPU multiplies float32 matrices: in "float32", or else with factors rounded to TF32.

    Under "bfloat16", too: products that stay in float32 there need not be finer than those that do not.
    """
    torch.backends.cuda.matmul.allow_tf32 = precision != "float32"


def worker_count(wanted: int, agents: int) -> int:
    """Threads that share the agents on a CPU: `wanted`, or as many as there are cores (0), each with enough to do."""
    return max(1, min(wanted or cores(), MOST_THREADS, agents // LEAST_ROWS or 1))
