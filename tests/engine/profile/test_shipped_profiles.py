"""The profiles that ship."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.profile import Profile, shipped_profiles


@pytest.mark.parametrize("name", list(shipped_profiles()))
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_it_is_valid_on_every_device_and_survives_being_saved(name: str, device: str) -> None:
    resolved = Profile.load(name).for_device(device)
    assert Profile.from_toml(resolved.to_toml()) == resolved


@pytest.mark.parametrize("file", list(shipped_profiles().values()), ids=lambda file: file.name)
def test_its_first_line_says_what_it_is(file: Path) -> None:
    """`perx-tui profiles` shows it."""
    first = file.read_text().splitlines()[0]
    assert first.startswith("# ")
    assert len(first) <= 120


def test_the_standard_is_what_throughput_is_quoted_for() -> None:
    profile = Profile.load("breakout-standard.toml").for_device("cpu")
    assert (profile.env.agents, profile.train.horizon, profile.train.minibatch) == (2048, 64, 32_768)
    assert profile.train.update_epochs == 1
    assert (profile.policy.core, profile.policy.hidden, profile.policy.layers) == ("lstm", 128, 1)
    assert profile.env.config["frame_skip"] == 4


def test_mazes_go_up_to_31_by_31_cells_and_are_many() -> None:
    config = Profile.load("maze.toml").env.config
    assert (config["map_size"], config["max_size"]) == (0, 31)
    assert config["num_maps"] >= 4096
