"""Pictures and captions of the sanity environments tell their states."""

from __future__ import annotations

import numpy as np
import pytest
from rollouts import Rollout
from test_sanity_rules import GAMES

import c_envs

ROLE = {name: number for number, name in enumerate(c_envs.ROLES)}


def words(picture: np.ndarray) -> list[str]:
    """What is written in it, row by row; colours alone count as spaces."""
    return ["".join(" " if glyph == 0x2580 else chr(glyph) for glyph in row).rstrip() for row in picture[:, :, 0]]


@pytest.mark.parametrize(("name", "config"), GAMES)
def test_every_scale_is_drawn_in_its_size_and_the_small_one_fits_a_terminal(
    name: str, config: dict[str, object]
) -> None:
    rollout = Rollout(name, environments=8, slots=40, config=config)
    renderer = c_envs.Renderer(name, config)
    for _ in range(3):
        for i in range(8):
            for scale in (1, 2):
                picture = renderer.render(rollout.batch.state(i), scale)
                assert picture.shape[:2] == renderer.size(scale)
                assert (picture[:, :, 1:] < len(c_envs.ROLES)).all()
                assert (picture[:, :, 0] >= 0x20).all()
            assert 5 < len(renderer.caption(rollout.batch.state(i))) < 63
        rollout.play(np.random.default_rng(0))
    rows, columns = renderer.size(1)
    assert rows <= 21
    assert columns <= 80
    if not config:
        assert rows <= 14
        assert columns <= 36


def played(name: str, *actions: int, config: dict[str, object] | None = None) -> tuple[c_envs.Renderer, bytes]:
    """A renderer, and the state of a first episode after these actions of every agent."""
    rollout = Rollout(name, environments=1, slots=1, config=config)
    for action in actions:
        rollout.actions[0] = action
        rollout.batch.step(0)
    return c_envs.Renderer(name, config), rollout.batch.state(0)


def test_a_bandit_has_a_bar_for_each_arm_and_marks_the_last_pull() -> None:
    renderer, state = played("bandit", 2)
    picture = renderer.render(state, 1)
    heights = [(picture[:8, 4 * arm + 1, 1] == ROLE[f"brick{arm + 1}"]).sum() for arm in range(4)]
    assert sorted(heights) == heights or len(set(heights)) == 4
    assert words(picture)[8] == " 1   2   3   4"
    assert words(picture)[9].index("best") == 4 * int(np.argmax(heights))
    marks = [picture[8, 4 * arm, 1] for arm in range(4)]
    assert marks[2] in (ROLE["agent"], ROLE["goal"])
    assert [marks[arm] for arm in (0, 1, 3)] == [ROLE["floor"]] * 3
    assert renderer.caption(state).startswith("pulls 1/8  best arm ")


def test_memory_shows_the_cue_then_nothing_then_asks() -> None:
    captions, tiles = [], []
    for steps in (0, 1, 6, 7):
        renderer, state = played("memory", *[0] * steps)
        captions.append(renderer.caption(state))
        picture = renderer.render(state, 1)
        tiles.append([picture[0, 4 * i, 1] for i in range(2)])
    cue = int("cue B" in captions[0])
    assert captions == [
        f"steps {i}/8  cue {'AB'[cue]}  {what}"
        for i, what in ((0, "shown"), (1, "hidden"), (6, "hidden"), (7, "asked for"))
    ]
    assert tiles[0] == [ROLE["brick3"] if i == cue else ROLE["floor"] for i in range(2)]
    assert tiles[1] == tiles[2] == [ROLE["floor"]] * 2
    assert tiles[3] == [ROLE["goal"]] * 2


def test_a_password_is_drawn_above_what_has_been_typed() -> None:
    renderer, state = played("password", 0, 1, 2)
    picture = renderer.render(state, 1)
    above, below = (line.split() for line in words(picture)[:2])
    assert below == ["A", "B", "C", "·", "·"]
    colours = [picture[1, 4 * i, 1] for i in range(5)]
    expected = [ROLE["goal"] if above[i] == below[i] else ROLE["brick1"] for i in range(3)]
    assert colours == [*expected, ROLE["floor"], ROLE["floor"]]
    assert renderer.caption(state) == f"typed 3/5  wrong {expected.count(ROLE['brick1'])}"


def test_stochastic_has_a_bar_for_what_is_wanted_and_one_for_what_was_done() -> None:
    renderer, state = played("stochastic", 1, 0)
    picture = renderer.render(state, 1)
    assert (picture[1, :, 1] == ROLE["goal"]).sum() == 24
    assert (picture[4, :, 1] == ROLE["agent"]).sum() == 16
    assert renderer.caption(state) == "steps 2/64  ones 1  wanted 1.5"


@pytest.mark.parametrize("scale", [1, 2])
def test_squared_is_drawn_as_the_agent_sees_it(scale: int) -> None:
    rollout = Rollout("squared", environments=8, slots=7, config={"distance": 3, "targets": 9})
    renderer = c_envs.Renderer("squared", {"distance": 3, "targets": 9})
    rollout.play(np.random.default_rng(0))
    for i in range(8):
        roles = renderer.render(rollout.batch.state(i), scale)[::scale, :: 2 * scale, 1]
        seen = rollout.observations[-1, i].reshape(7, 7)
        np.testing.assert_array_equal(roles == ROLE["goal"], seen == 1)
        np.testing.assert_array_equal(roles == ROLE["agent"], seen == -1)
        assert renderer.caption(rollout.batch.state(i)) == f"steps 7/36  targets {9 - (seen == 1).sum()}/9"


def test_spaces_writes_its_digits_and_the_answer() -> None:
    rollout = Rollout("spaces", environments=20, slots=1)
    renderer = c_envs.Renderer("spaces")
    for i in range(20):
        shades, digits = np.split(rollout.observations[0, i], [25])
        picture = renderer.render(rollout.batch.state(i), 1)
        lines = words(picture)
        assert lines[-2].split() == [str(int(digit)) for digit in digits]
        assert lines[-1].split() == ["bright" if shades.sum() > 0 else "dark", "high" if digits.sum() > 22 else "low"]
        drawn = picture[:5, :10:2, 1].ravel()
        np.testing.assert_array_equal(drawn == ROLE["text"], shades > 0.505)
        assert renderer.caption(rollout.batch.state(i)) == f"steps 0/8  right 0/0  answer {' '.join(lines[-1].split())}"


def test_multiagent_tells_turns_answers_and_the_dead() -> None:
    renderer, state = played("multiagent")
    lines, picture = words(renderer.render(state, 1)), renderer.render(state, 1)
    cue = int(lines[0].removeprefix("cue "))
    assert lines[2].split() == ["0", "1"]
    assert lines[3].split() == [str(cue), "·"]
    assert [picture[2, 4 * i, 1] for i in range(2)] == [ROLE["agent"], ROLE["floor"]]
    assert renderer.caption(state) == "steps 0/16  alive 2/2  right 0"
    renderer, state = played("multiagent", 1 - cue)
    lines, picture = words(renderer.render(state, 1)), renderer.render(state, 1)
    assert lines[2].split() == ["x", "1"]
    assert picture[2, 0, 1] == ROLE["brick1"]
    assert renderer.caption(state) == "steps 1/16  alive 1/2  right 0"
