"""KEY=VALUE over a profile, and edits of a profile that is loaded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profile_strategies import SMALL, document, fault, faults, problems_of

from engine.profile import Profile


def with_sets(*sets: str, text: str = SMALL) -> Profile:
    return Profile.from_toml(text, "p", sets)


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("train.learning_rate=0.01", "train.learning_rate", 0.01),
        (" train.learning_rate = 1e-2 ", "train.learning_rate", 0.01),
        ("train.total_steps=1_000", "train.total_steps", 1000),
        ("train.schedule=linear", "train.schedule", "linear"),
        ("train.schedule='linear'", "train.schedule", "linear"),
        ('train.schedule="linear"', "train.schedule", "linear"),
        ("train.device=cuda:1", "train.device", "cuda:1"),
        ("ui.theme=textual-light", "ui.theme", "textual-light"),
        ("replay.replacement=false", "replay.replacement", False),
        ("env.config.frame_skip=2", "env.config.frame_skip", 2),
        ("env.config={frame_skip=2}", "env.config.frame_skip", 2),
    ],
)
def test_a_set_value_holds(text: str, key: str, value: object) -> None:
    assert with_sets(text).info(key).value == value


def test_a_later_set_wins() -> None:
    assert with_sets("train.seed=1", "train.seed=2").train.seed == 2


def test_a_set_can_give_what_the_file_leaves_out() -> None:
    assert with_sets("env.name=maze", text="").env.name == "maze"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("train.seed", "--set train.seed: has no =; write KEY=VALUE, e.g. --set train.learning_rate=0.01"),
        ("=1", "--set =1: has no key before the =; write e.g. --set train.learning_rate=0.01"),
        ("train.=1", "--set train.=1: has no key before the =; write e.g. --set train.learning_rate=0.01"),
        ("train.seed=", "--set train.seed=: has no value after the =; write e.g. --set train.seed=VALUE"),
        ("train.seed=[1", "--set train.seed=[1: [1 is not a TOML value; "),
        ("train.seed=two words", "--set train.seed=two words: two words is not a TOML value; "),
        ("train.seed=1\nx=2", "--set train.seed=1\\nx=2: 1\\nx=2 is not a TOML value; "),
        ("train.seed=" + "[" * 10_000, "--set train.seed=["),
        ("train.seed=" + "9" * 10_000, "--set train.seed=9"),
        ("train.seed=fast", '--set train.seed="fast" must be a whole number in ['),
        ("train.seed=True", '--set train.seed="True" must be a whole number in ['),
        ("train.total_steps=1e6", "--set train.total_steps=1000000.0 must be a whole number in ["),
        ("train.gamma=nan", "--set train.gamma=nan must be a number in [0, 1]"),
        ("train.lr=1", "--set train.lr is not a key; did you mean train.learning_rate?"),
        ("learning_rate=1", "--set learning_rate is not a section; did you mean train.learning_rate?"),
        ("train.gamma.x=1", "--set train.gamma={...} must be a number in [0, 1]"),
        ("train=1", "--set train=1 must be a table; "),
        ("on.cuda.env.agents=1", "--set on: what is set holds on every device; "),
        (
            "env.name=breakot",
            '--set env.name="breakot" must be "breakout", "maze", "bandit", "memory", "password", "stochastic", '
            '"squared", "spaces" or "multiagent"; did you mean "breakout"?',
        ),
        ("env.config.frame_skp=2", "--set env.config.frame_skp is not a setting of breakout; did you mean frame_skip?"),
        ("env.config=2", "--set env.config=2 must be a table; "),
        ("\x1b[31m=1", "--set \\x1b[31m is not a section; "),
        (".".join("abcdefgh") + "=1", "--set a is not a section; "),
    ],
)
def test_a_wrong_set_is_told_as_such(text: str, expected: str) -> None:
    assert fault(lambda: with_sets(text)).startswith(expected)


def test_faults_of_the_file_and_of_sets_are_told_together() -> None:
    problems = faults(lambda: with_sets("train.gamma=3", "x", text=document("[train]", "clip = 0")))
    assert [each.split()[0] for each in problems] == ["--set", "--set", "p.toml:"]


def test_a_set_mends_a_value_of_the_file() -> None:
    assert with_sets("train.clip=0.1", text=document("[train]", "clip = 0")).train.clip == 0.1


@given(st.lists(st.text(max_size=40) | st.from_regex(r"[a-z.]{1,20}=.{0,20}"), max_size=3))
def test_no_text_after_set_raises_anything_else(sets: list[str]) -> None:
    assert all(problem.isprintable() for problem in problems_of(lambda: with_sets(*sets)))


def test_an_edit_gives_a_new_profile() -> None:
    profile = with_sets()
    edited = profile.with_value("train.learning_rate", 1)
    assert edited.train.learning_rate == 1.0
    assert edited.name == profile.name
    assert profile.train.learning_rate == 0.015
    assert profile.with_value("env.config.frame_skip", 2).env.config["frame_skip"] == 2


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("train.learning_rate", "fast", 'train.learning_rate = "fast" must be a number in (0, 10]; write e.g. '),
        ("train.learning_rate", None, "train.learning_rate = None must be a number in (0, 10]; "),
        ("train.learning_rate", object, "train.learning_rate = <class 'object'> must be a number in (0, 10]; "),
        ("replay.alpha", True, "replay.alpha = true must be a number in [0, 4]; "),
        ("train.lr", 1, "train.lr is not a key; did you mean train.learning_rate?"),
        ("gamma", 1, "gamma is not a section; did you mean train.gamma?"),
        ("env.config", {}, "env.config is not a key; "),
        ("", 1, " is not a section; "),
        ("train.minibatch", 4095, "train.minibatch = 4095 must be a multiple of train.horizon = 64; write e.g. "),
    ],
)
def test_a_wrong_edit_is_one_line(key: str, value: object, expected: str) -> None:
    assert fault(lambda: with_sets().with_value(key, value)).startswith(expected)


def test_the_metadata_of_an_unknown_key_is_a_fault() -> None:
    assert fault(lambda: with_sets().info("train.gama")) == "train.gama is not a key; did you mean train.gamma?"


def test_changes_are_the_keys_that_differ() -> None:
    profile = with_sets()
    assert profile.changes(profile) == {}
    other = profile.with_value("train.gamma", 0.5).with_value("env.config.frame_skip", 2)
    assert profile.changes(other) == {
        "env.config.frame_skip": (profile.env.config["frame_skip"], 2),
        "train.gamma": (0.99, 0.5),
    }
    maze = with_sets("env.name=maze")
    assert profile.changes(maze)["env.config.map_size"] == (None, maze.env.config["map_size"])
