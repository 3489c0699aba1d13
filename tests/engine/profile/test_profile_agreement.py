"""What must agree across keys."""

from __future__ import annotations

import dataclasses

import pytest
from profile_strategies import document, fault

from engine.profile import Profile, environments


@pytest.mark.parametrize(
    ("agents", "horizon", "minibatch", "allowed"),
    [
        (512, 64, 64, True),
        (512, 64, 32_768, True),
        (512, 64, 32_832, False),
        (512, 64, 32, False),
        (512, 64, 96, False),
        (1, 1, 1, True),
        (1, 1, 2, False),
        (3, 7, 21, True),
    ],
)
def test_a_minibatch_is_whole_segments_of_one_iteration(
    agents: int, horizon: int, minibatch: int, allowed: bool
) -> None:
    text = f"[env]\nname='maze'\nagents={agents}\n[train]\nhorizon={horizon}\nminibatch={minibatch}"
    if allowed:
        assert Profile.from_toml(text).train.minibatch == minibatch
    else:
        assert fault(lambda: Profile.from_toml(text, "p")).startswith("p.toml: train.minibatch = ")


def test_the_minibatch_that_is_suggested_is_allowed() -> None:
    for minibatch in (1, 31, 33, 100, 32_767):
        text = document("[train]", f"minibatch = {minibatch}")
        suggested = fault(lambda text=text: Profile.from_toml(text)).rpartition(" = ")[2]
        Profile.from_toml(document("[train]", f"minibatch = {suggested}"))


def test_agents_fill_whole_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    """An environment with several agents is stood in for: breakout and maze have one each."""
    real = environments.spec

    def crowded(name: str, config: dict[str, object]) -> object:
        spec = real(name, config)
        names = [each.name for each in dataclasses.fields(spec)]
        return type("Crowded", (), {**{each: getattr(spec, each) for each in names}, "agents_per_environment": 6})()

    monkeypatch.setattr(environments, "spec", crowded)
    assert fault(lambda: Profile.from_toml(document(), "p")) == (
        "p.toml: env.agents = 512 must be a multiple of 6, the agents in one breakout; write e.g. agents = 510"
    )
    assert Profile.from_toml('[env]\nname = "breakout"\nagents = 510').env.agents == 510


def test_the_warmup_ends_within_the_run() -> None:
    assert "longer than the run" in fault(
        lambda: Profile.from_toml(document("[train]", "total_steps = 10", "warmup = 11"))
    )
    assert Profile.from_toml(document("[train]", "total_steps = 10", "warmup = 10")).train.warmup == 10


def test_continuous_actions_are_refused_for_the_policy_has_discrete_ones() -> None:
    text = fault(lambda: Profile.from_toml(document("[env.config]", "continuous = true"), "p"))
    assert text == (
        "p.toml: env.config.continuous = true asks for continuous actions, which the policy does not have; "
        "write continuous = false"
    )


def test_what_only_the_environment_can_judge_is_told_in_its_words_with_the_key() -> None:
    """A maze has walls between cells: its size is odd."""
    maze = '[env]\nname = "maze"\n'
    text = fault(lambda: Profile.from_toml(maze + "[env.config]\nmap_size = 30", "p"))
    assert text.startswith("p.toml: env.config.map_size is 30; ")
    assert "odd" in text
    text = fault(lambda: Profile.from_toml(maze, "p", ["env.config.map_size=30"]))
    assert text.startswith("--set env.config.map_size is 30; ")
    text = fault(lambda: Profile.from_toml(maze + "[on.cuda.env.config]\nmap_size = 30", "p"))
    assert text.startswith("p.toml: on.cuda.env.config.map_size is 30; ")


def test_a_refusal_that_names_no_setting_of_the_variant_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str, config: dict[str, object]) -> dict[str, object]:
        if config.get("frame_skip") == 2:
            raise environments.ConfigError("breakout: max_steps is too short for this frame_skip")
        return {"frame_skip": 4}

    monkeypatch.setattr(environments, "resolved", refuse)
    text = document("[on.cuda.env.config]", "frame_skip = 2")
    assert fault(lambda: Profile.from_toml(text, "p")) == (
        "p.toml: on.cuda.env.config.max_steps is too short for this frame_skip"
    )
