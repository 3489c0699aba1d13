"""What a checkpoint holds of a trainer, and how a trainer takes it back: on a CPU the run goes on bit for bit."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import torch

from engine.checkpoint import Checkpoint, checkpoint_bytes
from engine.errors import CheckpointError, ProfileError
from engine.profile import Profile
from engine.segments import Segments, concatenated
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
    names = [field.name for field in fields(fresh)]
    values: list[torch.Tensor | None] = [getattr(fresh, name) for name in names if name != "environments"]
    segments = sum(value.nbytes for value in values if value is not None)
    # Masks are kept where agents sit steps out; each kept segment brings the state of its environment.
    masks = buffer.live.nbytes * torch.float32.itemsize if spec.agents_per_environment > 1 else 0
    each = -(-(segments + masks) // agents) + spec.state_bytes
    manifest = 1024 + (320 * len(names) if more and not archived else 0)  # longer numbers, the segments' names
    return checkpoint_bytes(save_state(trainer, {})) + more * each + manifest


def archive_tensors(archive: Segments | None) -> dict[str, torch.Tensor]:
    """The kept segments' tensors under archive.*; none where nothing is kept.

    Without the advantages: they are computed from the others before they are looked at.
    """
    if archive is None:
        return {}
    values = {field.name: getattr(archive, field.name) for field in fields(archive) if field.name != "advantages"}
    values["environments"] = concatenated(archive.environments)
    return {f"archive.{name}": value for name, value in values.items() if value is not None}


def archive_from(state: dict[str, torch.Tensor], trainer: Trainer) -> Segments | None:
    """The kept segments of a checkpoint, environments' states on the host.

    KeyError names what is missing, ValueError what is not as this trainer's segments are.
    """
    if "archive.bootstrap" not in state:
        return None
    environments = (state["archive.environments"],)
    found: dict[str, torch.Tensor | None] = {"advantages": torch.zeros_like(state["archive.rewards"])}
    for field in fields(Segments):
        name = f"archive.{field.name}"
        if field.name not in (*found, "environments"):
            found[field.name] = state.get(name) if field.name == "masks" else state[name]
    _check_archive(Segments(**found, environments=environments), trainer)  # type: ignore[arg-type]
    for name, value in found.items():
        if value is not None and name != "environment":
            found[name] = value.to(trainer.device)
    return Segments(**found, environments=environments)  # type: ignore[arg-type]


def _check_archive(archive: Segments, trainer: Trainer) -> None:
    """ValueError where an index or a shape would lead training astray, or out of bounds."""
    buffer, spec, segments = trainer.buffer, trainer.batch.spec, len(archive)
    fresh, (environments,) = buffer.segments(0), archive.environments
    for field in fields(Segments):
        value, like = getattr(archive, field.name), getattr(fresh, field.name)
        if field.name == "environments":
            value, like, shape = environments, buffer.environments, (len(environments), spec.state_bytes)
        elif field.name == "masks":
            like, shape = buffer.rewards, (buffer.horizon, segments)
        else:
            # Of all shapes only the number of segments is another one than the buffer's.
            dimension = {1: 0, 4: 2}.get(like.ndim, 1)
            shape = (*like.shape[:dimension], segments, *like.shape[dimension + 1 :])
        if value is not None and (value.dtype != like.dtype or value.shape != shape):
            raise ValueError(
                f"archive.{field.name} is {value.dtype} {list(value.shape)}, not {like.dtype} {list(shape)}"
            )
    for name, value, last in (
        ("actions", archive.actions, spec.actions - 1),
        ("agent", archive.agent, buffer.agents - 1),
        ("environment", archive.environment, len(environments) - 1),
        ("iteration", archive.iteration, trainer.iteration),
    ):
        if segments and not 0 <= int(value.min()) <= int(value.max()) <= last:
            raise ValueError(f"archive.{name} has values outside 0 to {last}")


def load_state(trainer: Trainer, checkpoint: Checkpoint) -> None:
    """Puts a trainer where the checkpoint's trainer stood. CheckpointError where it does not fit this profile."""
    manifest, tensors = checkpoint.manifest, checkpoint.tensors
    try:
        trainer.policy.load_state_dict(tensors["policy"])
        trainer.optimizer.load_tensors(tensors["optimizer"])
        state = tensors["state"]
        recurrent = trainer.collector.state()
        if state["recurrent"].shape != recurrent.shape or state["recurrent"].dtype != recurrent.dtype:
            raise ValueError(f"recurrent has the shape {list(state['recurrent'].shape)}, not {list(recurrent.shape)}")
        trainer.collector.set_state(state["recurrent"])
        trainer.batch.load(state["environments"].numpy().tobytes())
        trainer.collector.resume_observations()
        if manifest["device"] == trainer.device.type:
            trainer.action_generator.set_state(state["generator.actions"])
            trainer.draw_generator.set_state(state["generator.draws"])
        trainer.step = int(manifest["step"])
        trainer.iteration = int(manifest["iteration"])
        trainer.archive = archive_from(state, trainer)
        trainer.owed_segments = float(manifest["owed_segments"])
    except (KeyError, RuntimeError, ValueError, TypeError, OverflowError) as error:
        text = str(error).splitlines()[0]
        raise CheckpointError(f"the checkpoint does not fit this profile: {text}") from error
