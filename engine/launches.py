"""What the host asks a GPU to do, counted: kernels, whole graphs, copies and fills."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable

import torch

KINDS = {
    "cudaLaunchKernel": "kernels",
    "cudaLaunchKernelExC": "kernels",
    "cudaLaunchCooperativeKernel": "kernels",
    "cuLaunchKernel": "kernels",
    "cuLaunchKernelEx": "kernels",
    "cudaGraphLaunch": "graphs",
    "cuGraphLaunch": "graphs",
    "cudaMemcpy": "copies",
    "cudaMemcpyAsync": "copies",
    "cudaMemsetAsync": "fills",
}
"""Calls of the CUDA runtime and of the driver that queue work, and what they are counted as."""

_LIBRARY = {"KINETO_LOG_LEVEL": "99", "DISABLE_CUPTI_LAZY_REINIT": "1", "TEARDOWN_CUPTI": "0"}
"""What the profiler's library is told: no lines of its own on standard error, and to stay ready when it has been used,
because where there are CUDA graphs it crashes when it is begun anew (with CUDA below 12.6)."""

_VARIANT = re.compile(r"(_ptsz|_v\d+)+$")


def count_launches(
    work: Callable[[], object], device: torch.device, tell: Callable[[str], None] = lambda text: None
) -> dict[str, int] | None:
    """How often `work` has the host queue something on the GPU, by kind, from torch's profiler. What lies inside a
    graph is not counted: it is one launch.

    None where nothing can be counted: on a CPU, or where the profiler cannot listen, and then `tell` hears why. The
    profiler stays in the way of what the process does afterwards: count last, when no more times are taken.
    """
    if device.type != "cuda":
        return None
    for name, value in _LIBRARY.items():
        os.environ.setdefault(name, value)
    try:
        profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
        profiler.start()
    except (RuntimeError, AssertionError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        tell(f"launches cannot be counted: {reason}")
        return None
    try:
        work()
        torch.cuda.synchronize(device)
    finally:
        profiler.stop()
    counts = counted(event.name for event in profiler.events() or ())  # type: ignore[no-untyped-call]
    if not counts:
        tell("launches cannot be counted: torch's profiler saw no call of the CUDA runtime")
        return None
    return counts


def counted(calls: Iterable[str]) -> dict[str, int]:
    """How many of the calls queue work, by kind; a call may carry the suffix of a version."""
    kinds = (KINDS.get(_VARIANT.sub("", call)) for call in calls)
    return dict(Counter(kind for kind in kinds if kind is not None))
