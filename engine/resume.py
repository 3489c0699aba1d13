"""What a checkpoint holds of a trainer, and how a trainer takes it back: on a CPU the run goes on bit for bit."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import torch

from engine.checkpoint import Checkpoint, checkpoint_bytes
from engine.errors import CheckpointError, ProfileError
from engine.profile import Profile
from engine.segments import Segments
from engine.trainer import Trainer

FIXED = (
    "env.name",
    "env.agents",
    "env.config",
    "policy.core",
    "policy.hidden",
    "policy.layers",
    "train.horizon",
    "train.optimizer",
    "train.seed",
)
"""Keys whose change would make the saved state meaningless: a resumed run keeps them."""


def check_resumable(old: Profile, new: Profile) -> None:
    """ProfileError naming every fixed key that differs between a run's profile and the one to resume it with."""
    problems = [
        f"{key} = {after!r} cannot be changed on resume (the run has {before!r}); start a new run for it"
        for key, (before, after) in old.changes(new).items()
        if any(key == fixed or key.startswith(fixed + ".") for fixed in FIXED)
    ]
    if problems:
        raise ProfileError(problems)


def save_state(trainer: Trainer, extra: dict[str, Any]) -> Checkpoint:
    """Everything the next iteration depends on; call it between iterations. `extra` goes into the manifest."""
    environments = np.frombuffer(trainer.batch.save(), dtype=np.uint8).copy()
    return Checkpoint(
        tensors={
            "policy": {name: tensor.detach() for name, tensor in trainer.policy.state_dict().items()},
            "optimizer": trainer.optimizer.state_tensors(),
            "state": {
                "recurrent": trainer.collector.state(),
                "environments": torch.from_numpy(environments),
                "generator.actions": trainer.action_generator.get_state(),
                "generator.draws": trainer.draw_generator.get_state(),
                **archive_tensors(trainer.archive),
            },
        },
        manifest={
            "step": trainer.step,
            "iteration": trainer.iteration,
            "owed_segments": trainer.owed_segments,
            "device": trainer.device.type,
            "profile": trainer.profile.to_toml(),
            **extra,
        },
    )


def largest_checkpoint(trainer: Trainer) -> int:
    """Bytes that a checkpoint of this trainer takes at most, with every segment that replay may keep."""
    agents, buffer, spec = trainer.buffer.agents, trainer.buffer, trainer.batch.spec
    archived = 0 if trainer.archive is None else len(trainer.archive)
    more = max(0, int(trainer.profile.replay.factor * agents) - archived)
    fresh = buffer.segments(0)
    values: list[torch.Tensor | None] = [getattr(fresh, field.name) for field in fields(fresh)]
    segments = sum(value.nbytes for value in values if value is not None and value is not fresh.environments)
    # Masks are kept where agents sit steps out; each kept segment brings the state of its environment.
    masks = buffer.live.nbytes * torch.float32.itemsize if spec.agents_per_environment > 1 else 0
    each = -(-(segments + masks) // agents) + spec.state_bytes
    manifest = 1024 + (320 * len(values) if more and not archived else 0)  # longer numbers, the segments' names
    return checkpoint_bytes(save_state(trainer, {})) + more * each + manifest


def archive_tensors(archive: Segments | None) -> dict[str, torch.Tensor]:
    """The kept segments' tensors under archive.*; none where nothing is kept."""
    if archive is None:
        return {}
    values = {field.name: getattr(archive, field.name) for field in fields(archive)}
    return {f"archive.{name}": value for name, value in values.items() if value is not None}


def archive_from(state: dict[str, torch.Tensor], device: torch.device) -> Segments | None:
    """The kept segments of a checkpoint, environments' states on the host; KeyError names what is missing."""
    if "archive.bootstrap" not in state:
        return None
    found: dict[str, torch.Tensor | None] = {}
    for field in fields(Segments):
        name = f"archive.{field.name}"
        value = state.get(name) if field.name == "masks" else state[name]
        on_host = value is None or field.name in ("environments", "environment")
        found[field.name] = value if on_host or value is None else value.to(device)
    return Segments(**found)  # type: ignore[arg-type]


def load_state(trainer: Trainer, checkpoint: Checkpoint) -> None:
    """Puts a trainer where the checkpoint's trainer stood. CheckpointError where it does not fit this profile."""
    manifest, tensors = checkpoint.manifest, checkpoint.tensors
    try:
        trainer.policy.load_state_dict(tensors["policy"])
        trainer.optimizer.load_tensors(tensors["optimizer"])
        state = tensors["state"]
        trainer.collector.set_state(state["recurrent"])
        trainer.batch.load(state["environments"].numpy().tobytes())
        trainer.collector.resume_observations()
        if manifest["device"] == trainer.device.type:
            trainer.action_generator.set_state(state["generator.actions"])
            trainer.draw_generator.set_state(state["generator.draws"])
        trainer.archive = archive_from(state, trainer.device)
        trainer.step = int(manifest["step"])
        trainer.iteration = int(manifest["iteration"])
        trainer.owed_segments = float(manifest["owed_segments"])
    except (KeyError, RuntimeError, ValueError, TypeError) as error:
        text = str(error).splitlines()[0]
        raise CheckpointError(f"the checkpoint does not fit this profile: {text}") from error
