"""Names and settings of the environments, and what is said of wrong ones."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import c_envs


def test_the_environments_and_their_settings_are_these() -> None:
    """A frozen list: one more setting is a decision."""
    settings = {name: [setting.name for setting in info.settings] for name, info in c_envs.ENVIRONMENTS.items()}
    assert settings == {
        "breakout": ["frame_skip", "continuous", "max_steps"],
        "maze": ["map_size", "max_size", "num_maps", "difficulty"],
        "bandit": ["arms", "pulls"],
        "memory": ["delay", "cues"],
        "password": ["length", "symbols"],
        "stochastic": ["share", "steps"],
        "squared": ["distance", "targets"],
        "spaces": ["side", "digits", "steps"],
        "multiagent": ["agents", "turns"],
    }


@pytest.mark.parametrize("name", c_envs.ENVIRONMENTS)
def test_every_setting_is_described_and_its_default_allowed(name: str) -> None:
    info = c_envs.ENVIRONMENTS[name]
    assert info.name == name
    assert info.summary
    assert "\n" not in info.summary
    for setting in info.settings:
        assert setting.help
        assert setting.low <= setting.default <= setting.high
        assert type(setting.default).__name__ == setting.kind
    assert c_envs.check(name, {}) == {setting.name: setting.default for setting in info.settings}


def test_check_fills_in_and_takes_an_int_for_a_float() -> None:
    config = c_envs.check("maze", {"difficulty": 1, "map_size": 9})
    assert config == {"map_size": 9, "max_size": 31, "num_maps": 1, "difficulty": 1.0}
    assert type(config["difficulty"]) is float


@pytest.mark.parametrize(
    ("name", "config", "text"),
    [
        ("brakout", {}, "there is no environment 'brakout'; did you mean 'breakout'?"),
        ("x", {}, "there is no environment 'x'; there are breakout, maze, bandit, memory, password,"),
        ("breakout", {"frameskip": 4}, "breakout has no setting 'frameskip'; did you mean 'frame_skip'?"),
        ("breakout", {"zzz": 4}, "breakout has no setting 'zzz'; there are frame_skip, continuous, max_steps"),
        ("breakout", {"frame_skip": 0}, "breakout.frame_skip is 0; it must be a whole number from 1 to 64"),
        ("breakout", {"frame_skip": 4.0}, "breakout.frame_skip is 4.0; it must be a whole number from 1 to 64"),
        ("breakout", {"frame_skip": True}, "breakout.frame_skip is true; it must be a whole number from 1 to 64"),
        ("breakout", {"frame_skip": "4"}, "breakout.frame_skip is '4'; it must be a whole number from 1 to 64"),
        ("breakout", {"frame_skip": 10**400}, "breakout.frame_skip is a huge number; it must be a whole number"),
        ("breakout", {"frame_skip": None}, "breakout.frame_skip is None; it must be"),
        ("breakout", {"continuous": 1}, "breakout.continuous is 1; it must be true or false"),
        ("maze", {"difficulty": float("nan")}, "maze.difficulty is nan; it must be a number from 0 to 1"),
        ("maze", {"difficulty": float("inf")}, "maze.difficulty is inf; it must be a number from 0 to 1"),
        ("maze", {"difficulty": 1.01}, "maze.difficulty is 1.01; it must be a number from 0 to 1"),
        ("maze", {"difficulty": False}, "maze.difficulty is false; it must be a number from 0 to 1"),
        ("maze", {"map_size": 30}, "maze: map_size is 30; it must be 0 or an odd number from 5 to 127"),
        ("maze", {"map_size": 3}, "maze: map_size is 3; it must be 0 or an odd number from 5 to 127"),
        ("maze", {"map_size": 0, "max_size": 30}, "maze: max_size is 30; it must be an odd number from 5 to 127"),
        ("maze", {"map_size": 127, "num_maps": 20000}, "maze: num_maps is 20000; mazes of size 127 then take 1502 MB"),
        ("bandit", {"arms": 1}, "bandit.arms is 1; it must be a whole number from 2 to 16"),
        ("memory", {"delay": 3.0}, "memory.delay is 3.0; it must be a whole number from 0 to 10000"),
        ("memory", {"cue": 2}, "memory has no setting 'cue'; did you mean 'cues'?"),
        ("password", {"length": 33}, "password.length is 33; it must be a whole number from 1 to 32"),
        ("stochastic", {"share": 1.0}, "stochastic.share is 1.0; it must be a number from 0.1 to 0.9"),
        (
            "squared",
            {"distance": 1, "targets": 9},
            "squared: targets is 9; a square with distance 1 has 8 border cells",
        ),
        ("spaces", {"side": 9}, "spaces.side is 9; it must be a whole number from 1 to 8"),
        ("multiagent", {"agents": 1}, "multiagent.agents is 1; it must be a whole number from 2 to 8"),
    ],
)
def test_a_wrong_config_is_one_clear_line(name: str, config: dict[str, object], text: str) -> None:
    for call in (
        lambda: c_envs.check(name, config),
        lambda: c_envs.spec(name, config),
        lambda: c_envs.Batch(name, 1, config=config),
        lambda: c_envs.Renderer(name, config),
    ):
        with pytest.raises(c_envs.EnvironmentConfigError) as caught:
            call()
        assert str(caught.value).startswith(text)
        assert "\n" not in str(caught.value)


def test_the_extension_checks_for_itself() -> None:
    """Numbers that never saw the Python check are refused in C, too."""
    from c_envs import _native

    for settings in ((), (4.0,), (4.0, 0.0, 0.0, 0.0), (4.5, 0.0, 0.0), (float("nan"), 0.0, 0.0), (65.0, 0.0, 0.0)):
        with pytest.raises(ValueError, match=r"breakout has 3 settings|frame_skip is"):
            _native.check("breakout", settings)
    with pytest.raises(ValueError, match="there is no environment called pong"):
        _native.spec("pong", ())
    with pytest.raises(TypeError):
        _native.check("breakout", ("4", 0.0, 0.0))  # type: ignore[arg-type]


def test_a_spec_says_what_a_batch_does() -> None:
    breakout = c_envs.spec("breakout", {})
    assert (breakout.observation_size, breakout.actions, breakout.continuous) == (118, 3, False)
    assert (breakout.agents_per_environment, breakout.render_scales) == (1, 4)
    maze = c_envs.spec("maze", {"map_size": 9})
    assert (maze.observation_size, maze.actions, maze.continuous) == (124, 5, False)
    many = c_envs.spec("multiagent", {"agents": 3})
    assert (many.observation_size, many.actions, many.agents_per_environment) == (8, 3, 3)
    for spec in (breakout, maze, many):
        assert spec.observation_low.dtype == spec.observation_high.dtype == np.float32
        assert (spec.observation_low < spec.observation_high).all()


def test_importing_the_environments_needs_no_torch() -> None:
    code = "import sys, c_envs, c_envs.bench; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
