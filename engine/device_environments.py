"""A batch of environments that lives where the network does: `c_envs.Batch` with tensors of a device.

Nothing here waits for the device but what hands bytes to the host: `state`, `states`, `statistics`, `save`. Everything
else is queued on the current stream, so that a CUDA graph can hold it. Who copies `take_sums` to the host together with
other things has `added` make of them what `statistics` gives.
"""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

import c_envs
from c_envs.device import SUMS_BYTES, THREADS, DeviceLayout


class Launcher(Protocol):
    """Runs kernels of a compiled `c_envs.device.DeviceProgram` on the current stream."""

    def launch(self, kernel: str, blocks: int, *arguments: ctypes.Structure | ctypes.c_int64 | ctypes.c_uint64) -> None:
        """`blocks` blocks of `c_envs.device.THREADS` threads; the arguments are passed as they are."""


class DeviceBatch:
    """The methods of `c_envs.Batch`, bytes and all, over tensors of `device`; `step` and `observe` return at once.

    What is saved here can be loaded by a `c_envs.Batch` of equal name, config, seed and size, and the other way round.
    """

    def __init__(
        self,
        name: str,
        environments: int,
        *,
        launcher: Launcher,
        device: torch.device,
        seed: int = 0,
        config: Mapping[str, object] | None = None,
        slots: int = 1,
    ) -> None:
        # Makes the levels, checks every state that comes in, and writes what is saved.
        self._host = c_envs.Batch(name, environments, seed=seed, config=config)
        self.name, self.config, self.spec, self.seed = name, self._host.config, self._host.spec, seed
        self.environments, self.rows, self.slots = environments, self._host.rows, slots
        self.device, self._launcher = device, launcher
        self._constants = self._upload(self._host.constants())
        self._states = torch.zeros(environments, self.spec.state_bytes, dtype=torch.uint8, device=device)
        self.sums = torch.zeros(environments, SUMS_BYTES, dtype=torch.uint8, device=device)
        """What the episodes of each environment that have ended since the last `statistics` add up to."""
        self._buffers: dict[str, Tensor] = {}
        self._layout = DeviceLayout()

    def _upload(self, data: bytes) -> Tensor:
        return torch.frombuffer(bytearray(data), dtype=torch.uint8).to(self.device)

    def bind(self, **buffers: Tensor) -> None:
        """Takes the tensors of T slots, N rows, D floats an observation, and holds them until the next bind or close.

        Names, types and shapes are those of `c_envs.Batch.bind`. ValueError for a tensor that will not do, and then
        those bound before stay bound.
        """
        slots, rows, size = self.slots, self.rows, self.spec.observation_size
        each, flags = (slots, rows), torch.uint8
        wanted: dict[str, tuple[tuple[int, ...], torch.dtype]] = {
            "observations": ((slots + 1, rows, size), torch.float32),
            "actions": (each, torch.float32 if self.spec.continuous else torch.int32),
            "rewards": (each, torch.float32),
            "terminals": (each, flags),
            "truncations": (each, flags),
            "masks": (each, flags),
            "final_observations": ((rows, size), torch.float32),
        }
        if buffers.keys() != wanted.keys():
            raise ValueError(f"bind takes {', '.join(wanted)}, not {', '.join(buffers) or 'nothing'}")
        for name, (shape, dtype) in wanted.items():
            tensor = buffers[name]
            if tensor.dtype != dtype or tuple(tensor.shape) != shape or tensor.device != self.device:
                raise ValueError(
                    f"{name} is {tensor.dtype} {list(tensor.shape)} on {tensor.device}; "
                    f"it must be {dtype} {list(shape)} on {self.device}"
                )
            if not tensor.is_contiguous():
                raise ValueError(f"{name} is not contiguous; pass a whole tensor or a copy")
        self._buffers = dict(buffers)
        self._layout = DeviceLayout(
            config=self._constants.data_ptr(),
            states=self._states.data_ptr(),
            sums=self.sums.data_ptr(),
            environments=self.environments,
            **{name: tensor.data_ptr() for name, tensor in buffers.items()},
        )

    def reset(self, episode_seed: int | None = None) -> None:
        """Every environment to the first episode of its own seed, statistics cleared; writes observations[0]."""
        self._check_bound()
        self._states.zero_()
        self.sums.zero_()
        seed = self.seed if episode_seed is None else episode_seed
        self._launch("device_reset", self.environments, ctypes.c_uint64(seed))
        self.observe(0)

    def step(self, t: int, first: int = 0, count: int | None = None) -> None:
        """Environments first .. first+count-1 (None: all from first on) play actions[t], see `c_envs.Batch.step`."""
        self._check_bound()
        last = self.environments if count is None else first + count
        if not 0 <= t < self.slots:
            raise ValueError(f"slot is {t}; it must be from 0 to {self.slots - 1}")
        if not 0 <= first <= last <= self.environments:
            raise ValueError(f"environments {first} to {last - 1} are not all among the {self.environments} there are")
        if first < last:
            slot, start, stop = ctypes.c_int64(t), ctypes.c_int64(first), ctypes.c_int64(last)
            self._launch("device_step", last - first, slot, start, stop)

    def observe(self, slot: int) -> None:
        """Writes the current observations of all environments into observations[slot], 0 .. T."""
        self._check_bound()
        if not 0 <= slot <= self.slots:
            raise ValueError(f"slot is {slot}; it must be from 0 to {self.slots}")
        self._launch("device_observe", self.environments, ctypes.c_int64(slot))

    def _launch(self, kernel: str, environments: int, *numbers: ctypes.c_int64 | ctypes.c_uint64) -> None:
        self._launcher.launch(kernel, -(-environments // THREADS), self._layout, *numbers)

    def _check_bound(self) -> None:
        if not self._buffers:
            raise RuntimeError("the batch has no buffers; call bind first")

    def statistics(self, first: int = 0, count: int | None = None) -> c_envs.Statistics:
        """Sums over the episodes of environments first .. first+count-1 (None: all from first on) that ended since the
        last call for them, in the order of environments; cleared by it."""
        sums = self.sums[first : None if count is None else first + count]
        found = added(sums.cpu())
        sums.zero_()
        return found

    def take_sums(self) -> Tensor:
        """A copy of `sums`, which begin at zero again."""
        taken = self.sums.clone()
        self.sums.zero_()
        return taken

    def state(self, environment: int) -> bytes:
        """Everything about one environment, its generator included."""
        return self._states[environment].cpu().numpy().tobytes()

    def states(self) -> bytes:
        """What `state` gives for every environment, one after another."""
        return self._states.cpu().numpy().tobytes()

    def copy_states(self, out: Tensor) -> None:
        """Queues a copy of all states into uint8 [environments, bytes], which may be pinned memory of the host."""
        out.copy_(self._states, non_blocking=True)

    def set_state(self, environment: int, state: bytes) -> None:
        """Puts an environment where `state` was taken; ValueError for bytes that are no state of this config."""
        self._host.set_state(environment, state)
        self._states[environment].copy_(self._upload(state))

    def save(self) -> bytes:
        """The states of all environments and the statistics not yet asked for, with a header and a checksum."""
        self._host.assign(self.sums.cpu().numpy().tobytes(), self.states())
        return self._host.save()

    def load(self, saved: bytes) -> None:
        """Goes on where `save` was called on a batch of equal name, config, seed and size; ValueError otherwise."""
        self._host.load(saved)
        states = self._host.states()
        sums = saved[len(saved) - len(states) - self.sums.nbytes : len(saved) - len(states)]
        self._states.copy_(self._upload(states).view_as(self._states))
        self.sums.copy_(self._upload(sums).view_as(self.sums))

    def close(self) -> None:
        """Lets go of all memory. May be called again."""
        self._buffers = {}
        self._constants = self._states = self.sums = torch.empty(0, dtype=torch.uint8)
        self._host.close()


def added(sums: Tensor) -> c_envs.Statistics:
    """The sums [E, bytes] of environments, on the host, in their order."""
    found = sums.numpy()
    # One after the other, as on the CPU: numpy's own sum adds in another order and rounds differently.
    episodes = int(np.ascontiguousarray(found[:, :8]).view(np.int64).sum())
    totals = (
        np.cumsum(np.ascontiguousarray(found[:, 8:]).view(np.float64), axis=0)[-1].tolist() if len(found) else [0.0] * 3
    )
    return c_envs.Statistics(episodes, *totals)
