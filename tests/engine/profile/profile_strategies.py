"""What the profile tests share: small profiles, faults as lines, and random valid profiles."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import tomli_w
from hypothesis import strategies as st

from engine.errors import ProfileError
from engine.profile.fields import FieldInfo, static_fields

SMALL = '[env]\nname = "breakout"\n'


def faults(action: Callable[[], object]) -> list[str]:
    """The problems of the ProfileError that `action` raises; each must be one short printable line."""
    with pytest.raises(ProfileError) as caught:
        action()
    problems = list(caught.value.problems)
    assert problems
    for problem in problems:
        assert problem.isprintable(), problem
        assert len(problem) < 500, problem
    return problems


def problems_of(action: Callable[[], object]) -> tuple[str, ...]:
    """The problems of the ProfileError that `action` raises, if it does; any other exception is the test's failure."""
    try:
        action()
    except ProfileError as error:
        return error.problems
    return ()


def fault(action: Callable[[], object]) -> str:
    """The one problem of the ProfileError that `action` raises."""
    problems = faults(action)
    assert len(problems) == 1, problems
    return problems[0]


def document(*lines: str, env: str = SMALL) -> str:
    """A profile of breakout with `lines` behind it."""
    return env + "\n".join(lines) + "\n"


def assigned(field: FieldInfo, value: object) -> str:
    """A profile that gives `field` this value, and the rest what it must have."""
    tree: dict[str, dict[str, Any]] = {"env": {"name": "breakout"}}
    tree.setdefault(field.section, {})[field.leaf] = value
    return tomli_w.dumps(tree)


def values(field: FieldInfo) -> st.SearchStrategy[Any]:
    """Every value that `field` allows."""
    if field.key == "train.device":
        return st.sampled_from(["auto", "cpu", "cuda", "cuda:1"])
    if field.key == "ui.theme":
        return st.from_regex(r"[a-z0-9][a-z0-9-]{0,39}", fullmatch=True)
    if field.choices:
        return st.sampled_from(field.choices)
    if field.type == "bool":
        return st.booleans()
    assert field.low is not None
    assert field.high is not None
    if field.type == "int":
        return st.integers(int(field.low), int(field.high))
    low = math.nextafter(field.low, math.inf) if field.low_open else field.low
    high = math.nextafter(field.high, -math.inf) if field.high_open else field.high
    return st.floats(low, high) | st.integers(math.ceil(low), math.floor(high))


@st.composite
def trees(draw: st.DrawFn) -> dict[str, Any]:
    """The tree of a valid profile: some keys with any value they allow, a variant for some devices."""
    tree: dict[str, dict[str, Any]] = {"env": {"name": draw(st.sampled_from(["breakout", "maze"]))}}
    fields = {field.key: field for field in static_fields()}
    tied = {
        "env.name",
        "env.agents",
        "train.horizon",
        "train.minibatch",
        "train.warmup",
        "train.precision",
        "env.device",
    }
    free = [field for key, field in fields.items() if key not in tied]
    for field in draw(st.lists(st.sampled_from(free), unique_by=lambda field: field.key, max_size=12)):
        tree.setdefault(field.section, {})[field.leaf] = draw(values(field))
    train = tree.setdefault("train", {})
    agents, horizon = draw(st.integers(1, 4096)), draw(st.integers(1, 512))
    tree["env"]["agents"] = agents
    train["horizon"] = horizon
    train["minibatch"] = horizon * draw(st.integers(1, agents))
    train["warmup"] = draw(st.integers(0, train.get("total_steps", 30_000_000)))
    if train.get("device", "auto").startswith("cuda"):
        train["precision"] = draw(st.sampled_from(["float32", "tf32", "bfloat16"]))
        tree["env"]["device"] = draw(st.sampled_from(["auto", "cpu", "cuda"]))
    variants = {}
    may_differ = [field for field in free if field.key not in {"train.device", "train.total_steps"}]
    for device in draw(st.sets(st.sampled_from(["cpu", "cuda"]))):
        variant: dict[str, dict[str, Any]] = {}
        for field in draw(st.lists(st.sampled_from(may_differ), unique_by=lambda field: field.key, max_size=4)):
            variant.setdefault(field.section, {})[field.leaf] = draw(values(field))
        variants[device] = variant
    return {**tree, "on": variants} if variants else tree
