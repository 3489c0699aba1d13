"""Where the environments are stepped, and how a horizon is collected from there: what a profile says about it beside
the device the network is on."""

from __future__ import annotations

from collections.abc import Callable

import torch

import c_envs
from engine.collector import Collector, FusedCollector
from engine.device_collector import DeviceCollector
from engine.device_environments import DeviceBatch
from engine.device_program import cuda_launcher
from engine.errors import DeviceError
from engine.grouped_collector import GroupedCollector
from engine.lanes import CudaLanes
from engine.parallel import Workers
from engine.policy import Policy
from engine.profile import Profile
from engine.rollout import RolloutBuffer


def make_batch(
    profile: Profile, device: torch.device, warn: Callable[[str], None] = lambda text: None
) -> c_envs.Batch | DeviceBatch:
    """The profile's environments for a network on `device`.

    "cuda": on the network's GPU, DeviceError where they cannot be. "auto": there where they can, else on the CPU, and
    `warn` hears why. "cpu": on the CPU.
    """
    env, train = profile.env, profile.train
    environments = env.agents // c_envs.spec(env.name, env.config).agents_per_environment
    if device.type == "cuda" and env.device != "cpu":
        try:
            return DeviceBatch(
                env.name,
                environments,
                launcher=cuda_launcher(env.name, env.config, device),
                device=device,
                seed=train.seed,
                config=env.config,
                slots=train.horizon,
            )
        except DeviceError as error:
            if env.device == "cuda":
                raise DeviceError(f'{error}; write env.device = "cpu" to step the environments on the CPU') from None
            warn(f"the environments are stepped on the CPU, which is slower: {error}")
    elif env.device == "cuda":
        raise DeviceError(f'env.device = "cuda", but the network is on the {device.type}; write "auto" or "cpu"')
    return c_envs.Batch(
        env.name,
        environments,
        seed=train.seed,
        threads=1 if device.type == "cpu" and train.fused else env.threads,
        config=env.config,
        slots=train.horizon,
    )


def make_collector(
    profile: Profile,
    batch: c_envs.Batch | DeviceBatch,
    policy: Policy,
    buffer: RolloutBuffer,
    generator: torch.Generator,
    workers: Workers,
    warn: Callable[[str], None] = lambda text: None,
) -> Collector:
    """The collector for the profile's environments, where `make_batch` put them, and the network on the buffer's
    device; all do what `Collector` does."""
    env, train, device = profile.env, profile.train, buffer.observations.device
    if isinstance(batch, DeviceBatch):
        return DeviceCollector(batch, policy, buffer, generator, warn, graphs=train.graphs)
    if device.type == "cpu" and train.fused:
        return FusedCollector(batch, policy, buffer, generator, workers)
    if device.type == "cpu" or env.groups == 1:
        return Collector(batch, policy, buffer, generator)
    lanes = CudaLanes(device, train.graphs, warn)
    return GroupedCollector(batch, policy, buffer, generator, lanes, env.groups)
