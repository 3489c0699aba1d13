"""A checkpoint comes back bit for bit, and any damage to it is one typed, clear line."""

from __future__ import annotations

import hashlib
import json
import math
import os
import re
import shutil
import stat
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.checkpoint import (
    MANIFEST,
    Checkpoint,
    Manifest,
    checkpoint_bytes,
    read_checkpoint,
    read_manifest,
    write_checkpoint,
)
from engine.errors import CheckpointError


def small() -> Checkpoint:
    return Checkpoint(
        tensors={
            "policy": {"w": torch.arange(4, dtype=torch.float32)},
            "optimizer": {"w": torch.ones(2)},
            "state": {"rng": torch.arange(5, dtype=torch.uint8)},
        },
        manifest={"iteration": 3, "text": "é"},
    )


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    path = tmp_path / "step-000000000007"
    write_checkpoint(path, small(), step=7, score=1.5)
    return path


def resign(path: Path, change: dict[str, Any]) -> None:
    """Give a manifest other fields and a signature that fits, as someone with ill intent would."""
    raw = json.loads((path / MANIFEST).read_bytes()) | change | {"manifest_sha256": "0" * 64}
    data = json.dumps(raw).encode()
    signature = hashlib.sha256(data).hexdigest()
    (path / MANIFEST).write_bytes(data.replace(b"0" * 64, signature.encode(), 1))


def error_of(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        read_checkpoint(path)
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 500
    return text


# --- what is saved comes back ---


def test_every_dtype_and_shape_comes_back_bit_for_bit(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(1)
    base = torch.randn(6, 4, generator=generator)
    tensors = {
        "scalar": torch.tensor(3.25),
        "empty": torch.zeros(0, 3),
        "view": base[1:3],
        "transposed": base.T,
        "strided": base[::2, ::3],
        "same": base,
        "nan": torch.tensor([math.nan, -math.inf, -0.0]),
        **{
            str(dtype).removeprefix("torch."): (base * 9).abs().to(dtype)
            for dtype in (
                torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
                torch.uint8, torch.uint16, torch.uint32, torch.uint64, torch.bool,
            )
        },
    }  # fmt: skip
    write_checkpoint(tmp_path / "c", Checkpoint({"state": tensors, "policy": {}}), step=0)
    back = read_checkpoint(tmp_path / "c").tensors
    assert list(back["state"]) == list(tensors)
    assert back["policy"] == {}
    for name, tensor in tensors.items():
        assert back["state"][name].dtype == tensor.dtype
        assert back["state"][name].shape == tensor.shape
        want, got = tensor.contiguous().flatten(), back["state"][name].flatten()
        assert torch.equal(want.view(torch.uint8), got.view(torch.uint8)), name


def test_tensors_that_are_read_share_no_memory(tmp_path: Path) -> None:
    tied = torch.zeros(3)
    write_checkpoint(tmp_path / "c", Checkpoint({"policy": {"a": tied, "b": tied}}), step=0)
    policy = read_checkpoint(tmp_path / "c").tensors["policy"]
    policy["a"][0] = 1.0
    assert policy["b"][0] == 0.0


def test_the_manifest_comes_back_with_tuples_as_lists(tmp_path: Path) -> None:
    content = {"rng": (3, [2**70, -1], None), "float": 0.1, "flags": {"a": True}, "text": "\x1b[31m \ud800 ü"}
    write_checkpoint(tmp_path / "c", Checkpoint({}, content), step=5)
    assert read_checkpoint(tmp_path / "c").manifest == content | {"rng": [3, [2**70, -1], None]}


def test_the_files_are_plain_safetensors_and_private(saved: Path) -> None:
    assert torch.equal(safetensors.torch.load_file(saved / "policy.safetensors")["w"], torch.arange(4.0))
    assert sorted(os.listdir(saved)) == ["manifest.json"] + [
        f"{g}.safetensors" for g in ("optimizer", "policy", "state")
    ]
    assert {stat.S_IMODE(os.stat(saved / name).st_mode) for name in os.listdir(saved)} == {0o600}


def test_one_group_is_read_without_the_others(saved: Path) -> None:
    (saved / "state.safetensors").write_bytes(b"junk")
    assert set(read_checkpoint(saved, ["policy"]).tensors) == {"policy"}


def test_the_manifest_alone_tells_step_score_and_shapes(saved: Path) -> None:
    manifest = read_manifest(saved)
    assert (manifest.step, manifest.score) == (7, 1.5)
    assert manifest.groups["policy"].tensors["w"].shape == (4,)
    assert manifest.groups["policy"].tensors["w"].dtype == "F32"
    assert manifest.groups["policy"].bytes == (saved / "policy.safetensors").stat().st_size


@pytest.mark.parametrize("score", [None, math.nan, math.inf])
def test_a_score_that_is_no_number_is_no_score(tmp_path: Path, score: float | None) -> None:
    write_checkpoint(tmp_path / "c", small(), step=1, score=score)
    assert read_manifest(tmp_path / "c").score is None


@pytest.mark.parametrize("tensors", [1, 300])
def test_the_size_on_disk_is_told_before_anything_is_written(tmp_path: Path, tensors: int) -> None:
    """Never less than what the file system hands out, and not much more."""
    checkpoint = small()
    checkpoint.tensors["state"] |= {f'name "{index}" \u00e9': torch.rand(index, 7) for index in range(tensors)}
    checkpoint.manifest["profile"] = "key = 1\n" * 3000
    told = checkpoint_bytes(checkpoint)
    write_checkpoint(tmp_path / "c", checkpoint, step=10**12, score=1 / 3)
    taken = sum(path.stat().st_blocks * 512 for path in [tmp_path / "c", *(tmp_path / "c").iterdir()])
    written = sum(path.stat().st_size for path in (tmp_path / "c").iterdir())
    assert taken <= told
    assert told < written + 5 * 8192 + 300 * (tensors + 2)


# --- what may not be saved ---


@pytest.mark.parametrize("group", ["policy", "optimizer"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_weights_that_are_not_finite_are_refused_by_name(tmp_path: Path, group: str, bad: float) -> None:
    checkpoint = small()
    checkpoint.tensors[group]["encoder.weight"] = torch.tensor([1.0, bad, 2.0])
    with pytest.raises(CheckpointError, match=rf"1 of 3 numbers of {group}/encoder\.weight are NaN or infinite"):
        write_checkpoint(tmp_path / "c", checkpoint, step=1)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"a": {"b": [1, math.nan]}}, r"a\.b\[1\] is nan"),
        ({"a": {3: 4}}, "a has the key 3"),
        ({"a": b"x"}, "a is a bytes"),
        ({"a": torch.tensor(1)}, "a is a Tensor"),
    ],
)
def test_a_manifest_that_json_would_change_is_refused_by_key(
    tmp_path: Path, content: dict[str, Any], said: str
) -> None:
    with pytest.raises(CheckpointError, match=said):
        write_checkpoint(tmp_path / "c", Checkpoint({}, content), step=1)
    assert os.listdir(tmp_path) == []


def test_a_manifest_that_nests_without_end_is_refused(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content["self"] = content
    with pytest.raises(CheckpointError, match="nests too deeply"):
        write_checkpoint(tmp_path / "c", Checkpoint({}, content), step=1)


@pytest.mark.parametrize("group", ["", "Policy", "../policy", "a b", "x" * 40])
def test_a_group_that_is_no_plain_file_name_is_refused(tmp_path: Path, group: str) -> None:
    with pytest.raises(CheckpointError, match="needs a name"):
        write_checkpoint(tmp_path / "c", Checkpoint({group: {}}), step=1)


def test_a_dtype_that_safetensors_lacks_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"policy/z has dtype torch\.complex64"):
        write_checkpoint(tmp_path / "c", Checkpoint({"policy": {"z": torch.zeros(1, dtype=torch.complex64)}}), step=1)


# --- damage ---


def test_every_flipped_byte_is_found(saved: Path) -> None:
    """No byte of a checkpoint is outside a checksum: what reads without an error is what was written."""
    flipped = 0
    for name in os.listdir(saved):
        data = (saved / name).read_bytes()
        for index in range(len(data)):
            for mask in (0xFF, 1 << (index % 8)):
                damaged = bytearray(data)
                damaged[index] ^= mask
                (saved / name).write_bytes(damaged)
                with pytest.raises(CheckpointError):
                    read_checkpoint(saved)
                flipped += 1
        (saved / name).write_bytes(data)
    read_checkpoint(saved)
    assert flipped > 1000


def test_every_truncation_is_found(saved: Path) -> None:
    for name in os.listdir(saved):
        data = (saved / name).read_bytes()
        for length in range(len(data)):
            (saved / name).write_bytes(data[:length])
            with pytest.raises(CheckpointError):
                read_checkpoint(saved)
        (saved / name).write_bytes(data + b"\0")
        with pytest.raises(CheckpointError):
            read_checkpoint(saved)
        (saved / name).write_bytes(data)


def test_each_damage_says_what_it_is(saved: Path) -> None:
    policy = saved / "policy.safetensors"
    data = policy.read_bytes()
    policy.write_bytes(data[:-1])
    assert f"policy.safetensors has {len(data) - 1} bytes, the manifest says {len(data)}" in error_of(saved)
    policy.write_bytes(data[:-1] + b"\xff")
    assert "policy.safetensors does not match its checksum" in error_of(saved)
    policy.unlink()
    assert "policy.safetensors is missing" in error_of(saved)
    policy.mkdir()
    assert "policy.safetensors" in error_of(saved)
    (saved / MANIFEST).unlink()
    assert "manifest.json is missing" in error_of(saved)
    assert "no checkpoint folder" in error_of(saved / "absent")


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        (b"", "not JSON"),
        (b"junk", "not JSON"),
        (b"\xff\xfe", "not UTF-8"),
        (b"[" * 100_000, "nest too deeply"),
        (b'{"a":' * 100_000, "nest too deeply"),
        (b'{"schema": 1, "a": NaN}', "NaN"),
        (b'{"schema": 1, "a": -Infinity}', "-Infinity"),
        (b'{"schema": 1, "a": 1e999}', "too large"),
        (b'{"schema": ' + b"1" * 5000 + b"}", "too many digits"),
        (b"[1]", "not a JSON object"),
        (b"{}", "schema None"),
        (b'{"schema": 2}', "schema 2, this program reads 1"),
        (b'{"schema": true}', "schema True"),
        (b'{"schema": {"x": 1}}', "schema dict"),
        (b'{"schema": 1}', "checksum"),
        (b'{"schema": 1, "manifest_sha256": ""}', "checksum"),
        (b'{"schema": 1, "manifest_sha256": "\\ud800"}', "checksum"),
    ],
)
def test_junk_for_a_manifest_is_one_clear_line(saved: Path, manifest: bytes, said: str) -> None:
    (saved / MANIFEST).write_bytes(manifest)
    assert said in error_of(saved)


def test_a_manifest_that_is_too_large_is_not_read(saved: Path) -> None:
    os.truncate(saved / MANIFEST, 1 << 40)  # sparse: takes no room
    assert "at most" in error_of(saved)


def test_a_pipe_in_the_place_of_a_file_does_not_block(saved: Path) -> None:
    (saved / MANIFEST).unlink()
    os.mkfifo(saved / MANIFEST)
    assert "is not a file" in error_of(saved)


# --- ill intent: a manifest that signs itself ---


def group_entry(saved: Path, **change: Any) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads((saved / MANIFEST).read_bytes())["groups"]["policy"]
    return entry | change


def test_a_shape_larger_than_the_file_is_refused_before_it_is_allocated(saved: Path) -> None:
    huge = {"w": {"dtype": "F32", "shape": [1 << 40, 1 << 20]}}
    resign(saved, {"groups": {"policy": group_entry(saved, tensors=huge)}})
    assert "larger than its file" in error_of(saved)
    resign(saved, {"groups": {"policy": group_entry(saved, tensors=huge, bytes=1 << 70)}})
    assert "the manifest says" in error_of(saved)


def test_a_file_with_a_hole_of_ten_terabytes_is_not_read(saved: Path) -> None:
    """The sizes agree, and the file takes no room on the disk: it is the memory that would be full."""
    size = 10 * 10**12
    os.truncate(saved / "policy.safetensors", size)
    shape = [(size - 1000) // 4]
    resign(
        saved, {"groups": {"policy": group_entry(saved, bytes=size, tensors={"w": {"dtype": "F32", "shape": shape}})}}
    )
    tracemalloc.start()
    said = error_of(saved)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "takes 10000.0 GB (10,000,000,000,000 bytes) of memory" in said
    assert peak < 1 << 20


@pytest.mark.parametrize(
    "tensor",
    [
        {"dtype": "F32", "shape": [2]},
        {"dtype": "I32", "shape": [4]},
        {"dtype": "F32", "shape": [2, 2]},
    ],
)
def test_a_manifest_and_a_file_that_disagree_are_refused(saved: Path, tensor: dict[str, Any]) -> None:
    resign(saved, {"groups": {"policy": group_entry(saved, tensors={"w": tensor})}})
    assert "are not those that the manifest names" in error_of(saved)


@pytest.mark.parametrize("group", ["../../etc/passwd", "/etc/passwd", "x\x1b[31m", ".", ""])
def test_a_group_cannot_lead_out_of_the_folder(saved: Path, group: str) -> None:
    resign(saved, {"groups": {group: group_entry(saved)}})
    assert re.search("bad group", error_of(saved))
    assert "\x1b" not in error_of(saved)


def test_a_safetensors_header_that_lies_is_refused(saved: Path) -> None:
    """The file's checksum fits, but its header claims more than there is, or nothing sensible."""
    for header in (b'{"w":{"dtype":"F32","shape":[4],"data_offsets":[0,4000]}}', b"[" * 5000, b"{}", b"[]", b'{"w":3}'):
        for length in (len(header), 1 << 62):
            data = length.to_bytes(8, "little") + header + bytes(16)
            (saved / "policy.safetensors").write_bytes(data)
            digest = hashlib.sha256(data).hexdigest()
            resign(saved, {"groups": {"policy": group_entry(saved, bytes=len(data), sha256=digest)}})
            error_of(saved)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    change=st.dictionaries(
        st.sampled_from(["step", "score", "written", "content", "groups"]), json_values | st.just(10**400), max_size=3
    ),
    entry=st.dictionaries(st.sampled_from(["bytes", "sha256", "tensors"]), json_values | st.just(10**400), max_size=2),
    tensor=st.dictionaries(st.sampled_from(["dtype", "shape"]), json_values, max_size=2),
    level=st.integers(0, 2),
)
def test_a_signed_manifest_with_odd_fields_reads_or_is_refused(
    saved: Path, change: dict[str, Any], entry: dict[str, Any], tensor: dict[str, Any], level: int
) -> None:
    """Whatever a manifest holds, reading gives a Manifest or a CheckpointError and nothing else."""
    path = saved.parent / "odd"
    shutil.copytree(saved, path, dirs_exist_ok=True)
    base: dict[str, Any] = {"dtype": "F32", "shape": [4]}
    if level == 0:
        resign(path, change)
    elif level == 1:
        resign(path, {"groups": {"policy": group_entry(saved, **entry)}})
    else:
        resign(path, {"groups": {"policy": group_entry(saved, tensors={"w": base | tensor})}})
    try:
        assert isinstance(read_manifest(path), Manifest)
        read_checkpoint(path)
    except CheckpointError as error:
        assert "\n" not in str(error)  # noqa: PT017
