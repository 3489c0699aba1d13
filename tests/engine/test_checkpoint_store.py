"""Which checkpoints stay, which one is resumed from, which one is the best."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from engine.checkpoint import Checkpoint, read_checkpoint
from engine.checkpoint_store import CheckpointStore, checkpoint_name
from engine.durable import Disk, Space
from engine.errors import CheckpointError, RunError


class Hasty(Disk):
    """Does not wait for the medium: these tests lose no power."""

    def sync(self, descriptor: int) -> None: ...

    def sync_folder(self, path: Path) -> None: ...


def checkpoint(value: float = 0.0) -> Checkpoint:
    return Checkpoint({"policy": {"w": torch.full((3,), value)}}, {"value": value})


@pytest.fixture
def store(tmp_path: Path) -> CheckpointStore:
    return CheckpointStore(tmp_path, Hasty())


def steps(store: CheckpointStore) -> list[int]:
    return [int(path.name[5:17]) for path in store.paths()]


def damage(path: Path) -> None:
    (path / "policy.safetensors").write_bytes(b"junk")


def test_the_newest_checkpoints_stay(store: CheckpointStore) -> None:
    for step in range(10, 60, 10):
        store.save(step, checkpoint(), None, keep=3)
    assert steps(store) == [30, 40, 50]


def test_the_best_by_score_stays_too_until_a_better_one_comes(store: CheckpointStore) -> None:
    for step, score in ((10, 5.0), (20, 9.0), (30, 1.0), (40, 2.0), (50, None)):
        store.save(step, checkpoint(), score, keep=2)
    assert steps(store) == [20, 40, 50]
    assert store.best() == store.folder / checkpoint_name(20)
    store.save(60, checkpoint(), 9.0, keep=2)  # equal: the newer one is the best
    assert steps(store) == [50, 60]
    assert store.best() == store.folder / checkpoint_name(60)


def test_at_least_two_stay_whatever_is_asked(store: CheckpointStore) -> None:
    for step in (10, 20, 30):
        store.save(step, checkpoint(), None, keep=0)
    assert steps(store) == [20, 30]


def test_without_scores_there_is_no_best(store: CheckpointStore) -> None:
    assert store.best() is None
    store.save(10, checkpoint(), None, keep=2)
    store.save(20, checkpoint(), float("nan"), keep=2)
    assert store.best() is None


def test_a_second_checkpoint_at_one_step_takes_the_place_of_the_first(store: CheckpointStore) -> None:
    """Paused, edited, saved again: never is there a moment without a checkpoint of that step."""
    store.save(10, checkpoint(1.0), None, keep=3)
    path = store.save(10, checkpoint(2.0), None, keep=3)
    assert path.name == "step-000000000010-2"
    assert store.paths() == [path]
    third = store.save(10, checkpoint(3.0), None, keep=3)
    assert store.paths() == [third]
    assert store.newest_good()[1].manifest == {"value": 3.0}


def test_steps_sort_as_numbers(store: CheckpointStore) -> None:
    for step in (5, 10**12 + 5, 10**11):
        store.save(step, checkpoint(), None, keep=9)
    assert [path.name for path in store.paths()] == [
        "step-000000000005",
        "step-100000000000",
        "step-1000000000005",
    ]


def test_the_newest_good_checkpoint_is_found_behind_damaged_ones(store: CheckpointStore) -> None:
    for step in (10, 20, 30):
        store.save(step, checkpoint(float(step)), None, keep=3)
    damage(store.folder / checkpoint_name(30))
    (store.folder / checkpoint_name(20) / "manifest.json").unlink()
    path, found, skipped = store.newest_good()
    assert path.name == checkpoint_name(10)
    assert found.manifest == {"value": 10.0}
    assert len(skipped) == 2
    assert checkpoint_name(30) in skipped[0]
    assert "manifest.json is missing" in skipped[1]


def test_where_every_checkpoint_is_damaged_each_reason_is_told(store: CheckpointStore) -> None:
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* yet"):
        store.newest_good()
    for step in (10, 20):
        damage(store.save(step, checkpoint(), None, keep=3))
    with pytest.raises(CheckpointError, match=r"can be read: .*step-0+20.*; .*step-0+10"):
        store.newest_good()


def test_damaged_checkpoints_do_not_crowd_out_what_training_saves_after_them(store: CheckpointStore) -> None:
    """A run resumed from step 10 saves 15 and 18; the damaged 20 and 30 ahead of it count for nothing."""
    for step in (10, 20, 30):
        store.save(step, checkpoint(), None, keep=3)
    damage(store.folder / checkpoint_name(20))
    damage(store.folder / checkpoint_name(30))
    assert store.newest_good()[0].name == checkpoint_name(10)
    store.save(15, checkpoint(), None, keep=3)
    assert steps(store) == [10, 15, 20, 30]
    store.save(18, checkpoint(), None, keep=3)
    assert steps(store) == [10, 15, 18]


def test_a_damaged_checkpoint_is_not_the_best(store: CheckpointStore) -> None:
    store.save(10, checkpoint(), 1.0, keep=3)
    (store.save(20, checkpoint(), 9.0, keep=3) / "manifest.json").write_text("{}")
    assert store.best() == store.folder / checkpoint_name(10)


def test_foreign_and_unfinished_names_are_no_checkpoints(store: CheckpointStore) -> None:
    for name in (".tmp-step-000000000010", "step-10", "step-00000000001x", "step-000000000010-", "notes"):
        (store.folder / name).mkdir()
    assert store.paths() == []
    store.clear_temporaries()
    assert not (store.folder / ".tmp-step-000000000010").exists()
    assert (store.folder / "notes").exists()


def test_a_reader_that_is_overtaken_by_pruning_looks_again(
    store: CheckpointStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`play` lists two checkpoints; before it opens them the trainer has saved two more and removed those."""
    store.save(10, checkpoint(), None, keep=2)
    store.save(20, checkpoint(), None, keep=2)
    reader = CheckpointStore(store.folder)
    listed = reader.paths()
    answers = [listed]
    store.save(30, checkpoint(), None, keep=2)
    store.save(40, checkpoint(4.0), None, keep=2)
    paths = reader.paths
    monkeypatch.setattr(reader, "paths", lambda: answers.pop() if answers else paths())
    path, found, _ = reader.newest_good()
    assert path.name == checkpoint_name(40)
    assert found.manifest == {"value": 4.0}


def test_what_plainly_does_not_fit_is_refused_before_a_byte_is_written(tmp_path: Path) -> None:
    class Full(Hasty):
        def space(self, path: Path) -> Space:
            return Space(free=11, total=100)

        def make_folder(self, path: Path) -> None:
            raise AssertionError("nothing may be written")

    with pytest.raises(RunError, match=r"it needs .* bytes\), 11 bytes are free; make room"):
        CheckpointStore(tmp_path, Full()).save(1, checkpoint(), None, keep=2)


def test_a_checkpoint_that_cannot_be_removed_is_no_error(tmp_path: Path) -> None:
    class Clinging(Hasty):
        def remove_tree(self, path: Path) -> None:
            raise PermissionError(13, "no")

    store = CheckpointStore(tmp_path, Clinging())
    for step in (10, 20, 30):
        path = store.save(step, checkpoint(), None, keep=2)
    assert read_checkpoint(path).manifest == {"value": 0.0}
    assert steps(store) == [20, 30]


def test_weights_that_are_not_finite_leave_the_old_checkpoints(store: CheckpointStore) -> None:
    store.save(10, checkpoint(), None, keep=2)
    with pytest.raises(CheckpointError, match="NaN"):
        store.save(20, Checkpoint({"policy": {"w": torch.full((3,), float("nan"))}}), None, keep=2)
    assert steps(store) == [10]
