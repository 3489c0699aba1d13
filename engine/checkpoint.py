"""A checkpoint: groups of tensors, each in a safetensors file of its own, and a manifest that vouches for every byte.

    step-000001234567/
      policy.safetensors  optimizer.safetensors  state.safetensors
      manifest.json      schema version, size and SHA-256 of every file, shape and dtype of every tensor, the content

The manifest carries a SHA-256 of itself too (taken with zeros in its place), so that a changed byte anywhere is found.
Nothing is unpickled, and no tensor is made before the files' sizes agree with the shapes the manifest claims.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import stat
import struct
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

from engine import strict_json
from engine.disk_space import size_text
from engine.durable import DISK, Disk, new_folder, reason, write_file
from engine.errors import CheckpointError, RunError

if TYPE_CHECKING:
    import torch

SCHEMA = 1
MANIFEST = "manifest.json"
MANIFEST_BYTES = 32 << 20
"""Largest manifest that is written or read. Bulk, such as environment states, belongs into a uint8 tensor."""

FINITE_GROUPS = ("policy", "optimizer")
"""Groups whose floats must be finite: a run never goes on from, or plays with, weights that are NaN."""

_BLOCK_BYTES = 4096
"""What a file system hands out at a time, mostly."""
_ENTRY_BYTES = 240
"""Room for dtype, shape and offsets of a tensor, in its file's header and in the manifest."""
_GROUP_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
_UNSIGNED = "0" * 64
_ITEM_BYTES = {
    "F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1,
    "U64": 8, "U32": 4, "U16": 2, "U8": 1, "BOOL": 1,
}  # fmt: skip
_DTYPE_NAMES = {
    "torch.float64": "F64", "torch.float32": "F32", "torch.float16": "F16", "torch.bfloat16": "BF16",
    "torch.int64": "I64", "torch.int32": "I32", "torch.int16": "I16", "torch.int8": "I8",
    "torch.uint64": "U64", "torch.uint32": "U32", "torch.uint16": "U16", "torch.uint8": "U8", "torch.bool": "BOOL",
}  # fmt: skip


@dataclass(slots=True)
class Checkpoint:
    """What a run needs to go on, or a policy to play.

    `tensors` maps a group ("policy", "optimizer", "state") to its tensors by name. `manifest` is what JSON can hold:
    counters, generator states, the profile's text. Tensors that are read are on the CPU.
    """

    tensors: dict[str, dict[str, torch.Tensor]] = field(default_factory=dict)
    manifest: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Dtype, by its safetensors name ("F32"), and shape of a stored tensor."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def bytes(self) -> int:
        return math.prod(self.shape) * _ITEM_BYTES[self.dtype]


@dataclass(frozen=True, slots=True)
class GroupSpec:
    """The file of one group: its size in bytes, its SHA-256 in hexadecimal and the tensors in it."""

    bytes: int
    sha256: str
    tensors: Mapping[str, TensorSpec]


@dataclass(frozen=True, slots=True)
class Manifest:
    """A checkpoint without its tensors.

    `score` is what the best checkpoint is chosen by, `written` is in seconds since the epoch.
    """

    step: int
    score: float | None
    written: float
    groups: Mapping[str, GroupSpec]
    content: dict[str, Any]


def checkpoint_bytes(checkpoint: Checkpoint) -> int:
    """Bytes that `checkpoint` takes on disk at most: tensors, headers, manifest, and the last block of every file.

    It is less than 8 kB a file and 300 bytes a tensor above the truth. CheckpointError for a manifest that JSON cannot
    hold.
    """
    entries = [(name, tensor) for group in checkpoint.tensors.values() for name, tensor in group.items()]
    described = sum(_ENTRY_BYTES + 2 * len(json.dumps(name)) for name, _ in entries)
    content = len(_json(checkpoint.manifest))
    files = (len(checkpoint.tensors) + 2) * _BLOCK_BYTES  # the manifest and the folder, besides the groups
    return sum(tensor.nbytes for _, tensor in entries) + described + content + files


def write_checkpoint(
    path: Path, checkpoint: Checkpoint, step: int, score: float | None = None, disk: Disk = DISK
) -> None:
    """Write `checkpoint` as the new folder `path`: after a crash at any moment it is there complete, or not at all.

    CheckpointError when the content may not be saved (non-finite weights, what JSON or safetensors cannot hold),
    RunError when the disk refuses; in both cases nothing is left of it.
    """
    encoded = {group: _encode_group(group, tensors) for group, tensors in checkpoint.tensors.items()}
    manifest = _encode_manifest(
        {
            "schema": SCHEMA,
            "manifest_sha256": _UNSIGNED,
            "step": step,
            "score": score if score is not None and math.isfinite(score) else None,
            "written": time.time(),
            "groups": {group: spec for group, (_, spec) in encoded.items()},
            "content": checkpoint.manifest,
        }
    )
    try:
        with new_folder(disk, path) as folder:
            for group, (data, _) in encoded.items():
                write_file(disk, folder / f"{group}.safetensors", data)
            write_file(disk, folder / MANIFEST, manifest)
    except OSError as error:
        size = len(manifest) + sum(len(data) for data, _ in encoded.values())
        raise RunError(
            f"cannot save checkpoint {path.name} ({size / 1e6:.1f} MB) in {str(path.parent)!r}: {reason(error)}; "
            "the checkpoints already there are untouched"
        ) from error


def read_manifest(path: Path) -> Manifest:
    """What the checkpoint folder `path` claims to hold, checked for itself; the tensors' files are not opened."""
    if not path.is_dir():
        raise CheckpointError(f"there is no checkpoint folder {str(path)!r}")
    data = _read_regular(path, MANIFEST, MANIFEST_BYTES)
    try:
        raw = strict_json.loads(data)
    except strict_json.JsonFault as fault:
        raise _damaged(path, f"{MANIFEST} is {fault}") from None
    if not isinstance(raw, dict):
        raise _damaged(path, f"{MANIFEST} is not a JSON object")
    schema = raw.get("schema")
    if type(schema) is not int or schema != SCHEMA:
        shown = str(schema)[:20] if isinstance(schema, int | float | None) else type(schema).__name__
        raise CheckpointError(
            f"checkpoint {path.name!r} has schema {shown}, this program reads {SCHEMA}: "
            "use the version of perx-tui that wrote it (see run.json)"
        )
    signature = raw.get("manifest_sha256")
    if not isinstance(signature, str) or signature != _signature(data, signature):
        raise _damaged(path, f"{MANIFEST} does not match its checksum")
    return _manifest(path, raw)


def read_checkpoint(path: Path, groups: Iterable[str] | None = None) -> Checkpoint:
    """Read a checkpoint folder: all of it, or the `groups` asked for. CheckpointError, one line, for any damage.

    Every file is checked for presence, size and checksum, and its header against the manifest, before a tensor is made.
    """
    manifest = read_manifest(path)
    wanted = tuple(manifest.groups) if groups is None else tuple(groups)
    missing = [group for group in wanted if group not in manifest.groups]
    if missing:
        raise _damaged(path, f"it has no group {missing[0]!r}, only {', '.join(manifest.groups) or 'none'}")
    for group in wanted:
        _check_size(path, group, manifest.groups[group])
    _check_memory(path, sum(manifest.groups[group].bytes for group in wanted))
    return Checkpoint(
        tensors={group: _read_group(path, group, manifest.groups[group]) for group in wanted},
        manifest=manifest.content,
    )


def _damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError(f"checkpoint {path.name!r} cannot be used: {why}")


# --- writing ---


def _encode_group(group: str, tensors: Mapping[str, torch.Tensor]) -> tuple[bytes, dict[str, Any]]:
    """The safetensors file of one group and its entry in the manifest."""
    import safetensors.torch

    if not _GROUP_NAME.fullmatch(group):
        raise CheckpointError(f"the checkpoint group {group!r} needs a name of small letters, digits and _")
    plain: dict[str, torch.Tensor] = {}
    storages: set[int] = set()
    for name, tensor in tensors.items():
        plain[name] = _plain_tensor(group, name, tensor, storages)
    data: bytes = safetensors.torch.save(plain)
    specs = {name: {"dtype": _DTYPE_NAMES[str(t.dtype)], "shape": list(t.shape)} for name, t in plain.items()}
    return data, {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "tensors": specs}


def _plain_tensor(group: str, name: str, tensor: torch.Tensor, storages: set[int]) -> torch.Tensor:
    """`tensor` on the CPU, contiguous and alone in its storage, as safetensors wants it."""
    import torch

    if name == "__metadata__":  # safetensors keeps this name for itself
        raise CheckpointError(f"a tensor of the checkpoint group {group!r} may not be called __metadata__")
    if str(tensor.dtype) not in _DTYPE_NAMES:
        raise CheckpointError(f"the tensor {group}/{name} has dtype {tensor.dtype}, which a checkpoint cannot hold")
    plain = tensor.detach().to("cpu").contiguous()
    if group in FINITE_GROUPS and plain.is_floating_point() and not bool(torch.isfinite(plain).all()):
        bad = int((~torch.isfinite(plain)).sum())
        raise CheckpointError(
            f"{bad} of {plain.numel()} numbers of {group}/{name} are NaN or infinite; such weights are not saved"
        )
    storage = plain.untyped_storage()
    if storage.data_ptr() in storages or storage.nbytes() != plain.nbytes:
        plain = plain.clone()
    storages.add(plain.untyped_storage().data_ptr())
    return plain


def _json(value: dict[str, Any]) -> bytes:
    try:
        return strict_json.dumps(value)
    except strict_json.JsonFault as fault:
        raise CheckpointError(f"the checkpoint's manifest cannot be written: {fault}") from None


def _encode_manifest(raw: dict[str, Any]) -> bytes:
    data = _json(raw)
    if len(data) > MANIFEST_BYTES:
        raise CheckpointError(
            f"the checkpoint's manifest has {len(data)} bytes, at most {MANIFEST_BYTES} are allowed: "
            "bulk belongs into a tensor"
        )
    # The first occurrence is the field itself: only "schema", a small number, stands before it.
    return data.replace(_UNSIGNED.encode(), _signature(data, _UNSIGNED).encode(), 1)


def _signature(data: bytes, signature: str) -> str:
    """SHA-256 of a manifest whose own signature is taken for zeros."""
    return hashlib.sha256(data.replace(signature.encode("utf-8", "replace"), _UNSIGNED.encode(), 1)).hexdigest()


# --- reading ---


def _read_regular(path: Path, name: str, limit: int) -> bytes:
    """The file `name` of a checkpoint, at most `limit` bytes."""
    try:
        status = os.stat(path / name)
        # A pipe or a device in a file's place would block or never end.
        if not stat.S_ISREG(status.st_mode):
            raise _damaged(path, f"{name} is not a file")
        if status.st_size > limit:
            raise _damaged(path, f"{name} has {status.st_size} bytes, at most {limit} are expected")
        with open(path / name, "rb") as file:
            return file.read(status.st_size)
    except FileNotFoundError:
        raise _damaged(path, f"{name} is missing") from None
    except MemoryError:
        raise _damaged(path, f"{name} does not fit into memory") from None
    except OSError as error:
        raise _damaged(path, f"{name}: {reason(error)}") from error


def _manifest(path: Path, raw: dict[str, Any]) -> Manifest:
    """The fields of a manifest, each of the type that the rest of the program counts on."""
    score, groups = raw.get("score"), raw.get("groups")
    content, step, written = raw.get("content"), raw.get("step"), raw.get("written")
    if (
        type(step) is not int
        or not _is_number(written)
        or not (score is None or _is_number(score))
        or not isinstance(content, dict)
        or not isinstance(groups, dict)
    ):
        raise _damaged(path, f"{MANIFEST} lacks a field or has one of a wrong type")
    return Manifest(
        step=step,
        score=None if score is None else float(score),
        written=float(written),
        groups={group: _group_spec(path, group, entry) for group, entry in groups.items()},
        content=content,
    )


def _is_number(value: object) -> TypeGuard[float]:
    """A number that a float can hold."""
    return isinstance(value, float) or (type(value) is int and abs(value) < 2**63)


def _group_spec(path: Path, group: str, raw: object) -> GroupSpec:
    """One group's entry, whose tensors add up to no more than the file it claims."""
    # The group's name becomes a file name: nothing but what is written may pass.
    if not _GROUP_NAME.fullmatch(group) or not isinstance(raw, dict):
        raise _damaged(path, f"{MANIFEST} has a bad group {group[:40]!r}")
    size, sha256, tensors = raw.get("bytes"), raw.get("sha256"), raw.get("tensors")
    if type(size) is not int or size < 8 or not isinstance(sha256, str) or not isinstance(tensors, dict):
        raise _damaged(path, f"{MANIFEST} has a bad entry for the group {group!r}")
    specs: dict[str, TensorSpec] = {}
    for name, entry in tensors.items():
        dtype = entry.get("dtype") if isinstance(entry, dict) else None
        shape = entry.get("shape") if isinstance(entry, dict) else None
        sound = isinstance(shape, list) and len(shape) <= 64 and all(type(n) is int and 0 <= n < 2**63 for n in shape)
        if not isinstance(dtype, str) or dtype not in _ITEM_BYTES or not isinstance(shape, list) or not sound:
            raise _damaged(path, f"{MANIFEST} has a bad entry for the tensor {name[:80]!r} of the group {group!r}")
        specs[name] = TensorSpec(dtype, tuple(shape))
    if sum(spec.bytes for spec in specs.values()) > size - 8:
        raise _damaged(path, f"the tensors of the group {group!r} are larger than its file")
    return GroupSpec(size, sha256, specs)


def _check_size(path: Path, group: str, spec: GroupSpec) -> None:
    name = f"{group}.safetensors"
    try:
        size = os.stat(path / name).st_size
    except FileNotFoundError:
        raise _damaged(path, f"{name} is missing") from None
    except OSError as error:
        raise _damaged(path, f"{name}: {reason(error)}") from error
    if size != spec.bytes:
        raise _damaged(path, f"{name} has {size} bytes, the manifest says {spec.bytes}")


def _check_memory(path: Path, size: int) -> None:
    """A file may be as large as its manifest says and hold nothing but a hole: that is no reason to fill the memory."""
    import psutil

    available = psutil.virtual_memory().available
    if size > available:
        raise CheckpointError(
            f"checkpoint {path.name!r} cannot be used: reading it takes {size_text(size)} of memory, "
            f"{size_text(available)} are available"
        )


def _read_group(path: Path, group: str, spec: GroupSpec) -> dict[str, torch.Tensor]:
    import safetensors
    import safetensors.torch

    name = f"{group}.safetensors"
    data = _read_regular(path, name, spec.bytes)
    if len(data) != spec.bytes:
        raise _damaged(path, f"{name} has {len(data)} bytes, the manifest says {spec.bytes}")
    if hashlib.sha256(data).hexdigest() != spec.sha256:
        raise _damaged(path, f"{name} does not match its checksum")
    if _header_tensors(path, name, data) != dict(spec.tensors):
        raise _damaged(path, f"the tensors in {name} are not those that the manifest names")
    try:
        tensors: dict[str, torch.Tensor] = safetensors.torch.load(data)
    except (safetensors.SafetensorError, ValueError, KeyError, RuntimeError, MemoryError) as error:
        raise _damaged(path, f"{name}: {' '.join(str(error).split())[:200] or type(error).__name__}") from None
    return {tensor: tensors[tensor] for tensor in spec.tensors}  # in the order they were saved


def _header_tensors(path: Path, name: str, data: bytes) -> dict[str, TensorSpec]:
    """Dtypes and shapes as the safetensors header tells them (8 bytes of length, then JSON)."""
    (length,) = struct.unpack_from("<Q", data)
    if length > min(len(data) - 8, MANIFEST_BYTES):
        raise _damaged(path, f"the header of {name} is longer than the file, or than {MANIFEST_BYTES} bytes")
    try:
        header = strict_json.loads(data[8 : 8 + length])
        return {
            tensor: TensorSpec(entry["dtype"], tuple(entry["shape"]))
            for tensor, entry in header.items()
            if tensor != "__metadata__"
        }
    except (strict_json.JsonFault, AttributeError, KeyError, TypeError):
        raise _damaged(path, f"the header of {name} cannot be read") from None
