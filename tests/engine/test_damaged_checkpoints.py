"""A damaged checkpoint is passed over for the one before it, on every way that leads to a checkpoint."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from engine import CheckpointError, Player, Profile, TrainingSession
from engine.checkpoint import Checkpoint, read_checkpoint, read_manifest
from engine.run_folder import RunFolder
from tests.engine.conftest import figures, lines

Make = Callable[..., TrainingSession]


def small(value: int) -> Checkpoint:
    tensors = {group: {"w": torch.full((3,), float(value))} for group in ("policy", "optimizer", "state")}
    return Checkpoint(tensors, {"value": value})


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with small checkpoints at steps 100 and 200."""
    with RunFolder.create(tmp_path, "run", "p", "a = 1\n", {}) as folder:
        for step in (100, 200):
            folder.save_checkpoint(step, small(step))
        return folder.path


def newest_files(run: Path) -> list[Path]:
    return sorted((run / "checkpoints" / "step-000000000200").iterdir())


def assert_falls_back(run: Path) -> None:
    path, found, skipped = RunFolder.read(run).newest_good()
    assert path.name == "step-000000000100"
    assert found.manifest == {"value": 100}
    assert len(skipped) == 1
    assert "step-000000000200" in skipped[0]
    assert "\n" not in skipped[0]


def test_every_flipped_byte_falls_back_to_the_checkpoint_before(run: Path) -> None:
    flipped = 0
    for file in newest_files(run):
        data = file.read_bytes()
        for index in range(len(data)):
            file.write_bytes(data[:index] + bytes([data[index] ^ (1 << index % 8)]) + data[index + 1 :])
            assert_falls_back(run)
            flipped += 1
        file.write_bytes(data)
    assert flipped == sum(file.stat().st_size for file in newest_files(run)) > 800
    assert RunFolder.read(run).newest_good()[2] == []


def test_every_truncation_and_every_missing_file_falls_back_to_the_checkpoint_before(run: Path) -> None:
    cut = 0
    for file in newest_files(run):
        data = file.read_bytes()
        for length in range(0, len(data), 64):
            file.write_bytes(data[:length])
            assert_falls_back(run)
            cut += 1
        file.unlink()
        assert_falls_back(run)
        file.write_bytes(data)
    assert cut == sum(-(-file.stat().st_size // 64) for file in newest_files(run)) >= 16


def test_where_both_are_damaged_the_error_is_typed_and_names_both(run: Path) -> None:
    for path in RunFolder.read(run).checkpoints.paths():
        (path / "state.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"step-000000000200.*step-000000000100") as caught:
        RunFolder.read(run).newest_good()
    assert "\n" not in str(caught.value)


# --- the same for a run that trains ---

SETS = (
    "replay.factor=0.5",
    "train.schedule=constant",
    "replay.beta0=1",
    "run.checkpoint_every=4",
    "run.keep_checkpoints=5",
)


def finish(session: TrainingSession) -> Path:
    session.start()
    assert session.join(120)
    assert session.snapshot().state == "finished", session.snapshot().error
    assert session.folder is not None
    return session.folder


def flip(path: Path, share: float) -> None:
    data = bytearray(path.read_bytes())
    data[int(share * (len(data) - 1))] ^= 0x10
    path.write_bytes(data)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "a flipped weight": lambda folder: flip(folder / "policy.safetensors", 0.7),
    "a flipped header": lambda folder: flip(folder / "state.safetensors", 0.001),
    "a flipped manifest": lambda folder: flip(folder / "manifest.json", 0.5),
    "a cut file": lambda folder: os.truncate(folder / "optimizer.safetensors", 100),
    "an empty manifest": lambda folder: os.truncate(folder / "manifest.json", 0),
    "a lost file": lambda folder: (folder / "state.safetensors").unlink(),
    "an empty folder": lambda folder: [file.unlink() for file in folder.iterdir()] and None,
}


@pytest.fixture
def trained(make_session: Make) -> tuple[Path, Path]:
    """A run over 16 iterations, and one that stopped after 10: checkpoints at 4, 8 and 10."""
    whole = finish(make_session(*SETS, "train.total_steps=2048", name="whole"))
    parted = finish(make_session(*SETS, "train.total_steps=1280", name="parted"))
    assert [path.name for path in RunFolder.read(parted).checkpoints.paths()] == [
        f"step-{128 * iteration:012d}" for iteration in (4, 8, 10)
    ]
    return whole, parted


def test_a_run_resumed_behind_a_damaged_checkpoint_is_the_run_that_never_stopped(
    make_session: Make, trained: tuple[Path, Path], tmp_path: Path
) -> None:
    """It says what it passed over, does the iterations since the older one again, and ends bit for bit the same."""
    whole, parted = trained
    for number, (what, damage) in enumerate(DAMAGES.items()):
        copy = tmp_path / f"copy-{number}"
        shutil.copytree(parted, copy)
        damage(copy / "checkpoints" / "step-000000001280")
        session = make_session(*SETS, "train.total_steps=2048", resume=copy)
        folder = finish(session)
        snapshot = session.snapshot()
        assert snapshot.resumed_iteration == 8, what
        warnings = [line.text for line in snapshot.log if line.level == "warning"]
        assert len(warnings) == 1, what
        assert "step-000000001280" in warnings[0], what
        assert list(map(figures, lines(folder / "metrics.jsonl"))) == list(
            map(figures, lines(whole / "metrics.jsonl"))
        ), what
        one, two = (read_checkpoint(each / "checkpoints" / "step-000000002048") for each in (whole, folder))
        for group, tensors in one.tensors.items():
            assert all(torch.equal(tensor, two.tensors[group][name]) for name, tensor in tensors.items()), what
        scores = [read_manifest(each / "checkpoints" / "step-000000002048").score for each in (whole, folder)]
        assert scores[0] == scores[1] is not None, f"{what}: the mean over the last episodes, also earlier ones"
        assert Player(folder).checkpoint == "step-000000002048"


def test_a_run_whose_checkpoints_are_all_damaged_says_so_and_is_left_as_it_is(
    make_session: Make, trained: tuple[Path, Path]
) -> None:
    _, parted = trained
    for path in RunFolder.read(parted).checkpoints.paths():
        flip(path / "manifest.json", 0.3)
    before = (parted / "metrics.jsonl").read_bytes()
    session = make_session(*SETS, "train.total_steps=2048", resume=parted)
    session.start()
    assert session.join(60)
    assert isinstance(session.exception, CheckpointError)
    assert "can be read" in str(session.snapshot().error)
    assert (parted / "metrics.jsonl").read_bytes() == before
    assert RunFolder.read(parted).record["state"] == "finished"


def test_the_time_and_the_edits_go_on_over_a_resume(make_session: Make) -> None:
    first = make_session(*SETS, "train.total_steps=1280")
    first.start()
    first.set("train.entropy_coef", 0.03)
    assert first.join(60)
    assert first.folder is not None
    toml = (first.folder / "profile.toml").read_text("utf-8")
    assert "entropy_coef = 0.03" in toml
    second = TrainingSession(Profile.from_toml(toml, sets=["train.total_steps=1408"]), resume=first.folder)
    finish(second)
    assert second.snapshot().elapsed > first.snapshot().elapsed
    assert second.profile.train.entropy_coef == 0.03
    assert [row["iteration"] for row in second.history()] == list(range(1, 12))
