"""Finds what a CUDA graph cannot hold, on a machine without a GPU."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


class HostTalk(TorchDispatchMode):
    """Notes every operation that on a GPU would wait for the device or copy a number to it: no graph can hold those."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self.seen = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        name = func.name()
        self.seen += 1
        numbers = [each for each in tree_leaves((args, kwargs)) if isinstance(each, torch.Tensor) and each.ndim == 0]
        asks = any(word in name for word in ("_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "item"))
        random = any(word in name for word in ("rand", "bernoulli", "multinomial"))
        if numbers or asks or random:
            self.found.append(name)
        return func(*args, **(kwargs or {}))
