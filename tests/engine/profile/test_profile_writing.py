"""A profile that is written and read again is the same profile."""

from __future__ import annotations

from typing import Any

import tomli
import tomli_w
from hypothesis import HealthCheck, given, settings
from profile_strategies import document, trees

from engine.profile import Profile


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(trees())
def test_any_profile_reads_back_equal(tree: dict[str, Any]) -> None:
    profile = Profile.from_toml(tomli_w.dumps(tree))
    text = profile.to_toml()
    again = Profile.from_toml(text)
    assert again == profile
    assert again.to_toml() == text
    for device in ("cpu", "cuda"):
        # What only a GPU can do is refused for the other device, see test_profile_variants.
        if profile.train.precision == "float32" and (device == "cuda" or profile.env.device != "cuda"):
            resolved = profile.for_device(device)
            assert Profile.from_toml(resolved.to_toml()) == resolved


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(trees())
def test_what_the_file_says_is_what_the_profile_holds(tree: dict[str, Any]) -> None:
    profile = Profile.from_toml(tomli_w.dumps(tree))
    for section in ("env", "train", "replay", "run", "ui", "policy"):
        for key, value in tree.get(section, {}).items():
            assert profile.info(f"{section}.{key}").value == value


def test_every_key_is_written_with_its_help() -> None:
    profile = Profile.from_toml(document("[on.cuda.env]", "agents = 4096"))
    text = profile.to_toml()
    written = tomli.loads(text)
    assert written["on"] == {"cuda": {"env": {"agents": 4096}}}
    for field in profile.fields():
        value: Any = written
        for part in field.key.split("."):
            value = value[part]
        assert value == field.value
        assert f"# {field.help}" in text


def test_edited_keys_leave_the_variants_that_are_written() -> None:
    """Otherwise the variant would win when the file is read again."""
    profile = Profile.from_toml(document("[on.cuda.env]", "agents = 4096"), sets=["env.agents=64"])
    assert Profile.from_toml(profile.to_toml()).for_device("cuda").env.agents == 64


def test_profiles_are_equal_by_value_not_by_name() -> None:
    assert Profile.from_toml(document(), "a") == Profile.from_toml(document("[train]", "gamma = 0.99"), "b")
    assert Profile.from_toml(document(), "a") != Profile.from_toml(document("[train]", "gamma = 0.98"), "a")
    assert Profile.from_toml(document("[on.cpu.train]")) == Profile.from_toml(document())
