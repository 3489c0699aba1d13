"""What to turn when a run does not fit into memory, with the values that it has now."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator

import torch

from engine.errors import EngineError
from engine.profile import Profile

_CPU_SIGNS = ("DefaultCPUAllocator", "not enough memory: you tried to allocate")
_GPU_SIGNS = ("CUDA error: out of memory", "CUDA out of memory", "ALLOC_FAILED", "cudaErrorMemoryAllocation")
_WANTED = re.compile(r"(?:tried to allocate|Unable to allocate) ([\d.]+) ?(bytes|[KMGT]?i?B)", re.IGNORECASE)
_HAS = re.compile(r"total capacity of ([\d.]+ [KMGT]iB) of which ([\d.]+ [KMGT]iB) is free", re.IGNORECASE)


class OutOfMemory(EngineError):
    """A run does not fit into the memory of the GPU or of this machine."""


def is_out_of_memory(error: BaseException) -> bool:
    """Whether `error` says that memory ran out: torch has three ways to say so, Python and numpy a fourth."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in _CPU_SIGNS + _GPU_SIGNS)


@contextlib.contextmanager
def advise(profile: Callable[[], Profile], where: Callable[[], str | None]) -> Iterator[None]:
    """Makes an error that says that memory ran out an `OutOfMemory` with advice.

    `where` tells how far the run is and what there is to resume; None while it starts.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        raise OutOfMemory(_advice(error, profile(), where())) from error


def _advice(error: BaseException, profile: Profile, where: str | None) -> str:
    text = str(error)
    on_gpu = isinstance(error, torch.OutOfMemoryError) or any(sign in text for sign in _GPU_SIGNS)
    wanted, has = _WANTED.search(text), _HAS.search(text)
    facts = [f"{_size(*wanted.groups())} more were asked for"] if wanted else []
    facts += [f"{has[2]} of {has[1]} are free"] if has else []
    memory = "the GPU's memory" if on_gpu else "this machine's memory"
    said = f"{memory} does not suffice" + (f" ({', '.join(facts)})" if facts else "")
    live, fixed = _knobs(profile, on_gpu)
    if where is None:
        return f"{said}; lower one of {', '.join([*fixed, *live])}"
    return f"{said} {where} with a lower {' or '.join(live)}; a new run may also lower {', '.join(fixed)}"


def _knobs(profile: Profile, on_gpu: bool) -> tuple[list[str], list[str]]:
    """What a resumed run may change, and what only a new one may, each with its present value."""
    train, replay = profile.train, profile.replay
    live = [f"train.minibatch (now {train.minibatch})"]
    if replay.factor > 0:
        live.append(f"replay.factor (now {replay.factor:g})")
    if on_gpu:
        better = '"bfloat16" halves the activations' if train.precision != "bfloat16" else "the smaller one already"
        live.append(f'train.precision (now "{train.precision}", {better})')
    fixed = [
        f"env.agents (now {profile.env.agents})",
        f"train.horizon (now {train.horizon})",
        f"policy.hidden (now {profile.policy.hidden})",
    ]
    return live, fixed


def _size(number: str, unit: str) -> str:
    return f"{float(number) / 2**30:.2f} GiB" if unit == "bytes" else f"{number} {unit}"
