"""What environments there are, their settings, and the shapes that follow from a config."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, TypeAlias, cast

import numpy as np
import numpy.typing as npt

from c_envs import _native

SettingKind: TypeAlias = Literal["int", "float", "bool"]
Config: TypeAlias = dict[str, int | float | bool]


class EnvironmentConfigError(ValueError):
    """A config names no environment or setting, or gives one a value it cannot have. One clear line."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of an environment. `low` and `high` are both allowed."""

    name: str
    kind: SettingKind
    default: int | float | bool
    low: float
    high: float
    unit: str
    help: str


@dataclass(frozen=True, slots=True)
class EnvironmentInfo:
    """An environment as users see it; `summary` is one line."""

    name: str
    summary: str
    settings: tuple[Setting, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Spec:
    """The shapes an environment has under one config.

    Every observation lies between `observation_low` and `observation_high` (read-only float32[observation_size]). An
    action is an int32 in 0 .. `actions` - 1 or, when `continuous`, one float32 in [-1, 1] (then `actions` is 1).
    Pictures come in scales 1 .. `render_scales`. `truncation_steps` is the length of the shortest episode that a time
    limit cuts; 0 where there is no limit.
    """

    observation_size: int
    observation_low: npt.NDArray[np.float32]
    observation_high: npt.NDArray[np.float32]
    actions: int
    continuous: bool
    agents_per_environment: int
    state_bytes: int
    render_scales: int
    truncation_steps: int


def _typed(kind: str, value: float) -> int | float | bool:
    return bool(value) if kind == "bool" else int(value) if kind == "int" else float(value)


def _setting(name: str, kind: str, default: float, low: float, high: float, unit: str, text: str) -> Setting:
    return Setting(name, cast(SettingKind, kind), _typed(kind, default), low, high, unit, text)


ENVIRONMENTS: Mapping[str, EnvironmentInfo] = MappingProxyType(
    {
        name: EnvironmentInfo(name, summary, tuple(_setting(*row) for row in settings))
        for name, summary, settings in _native.environments()
    }
)
"""Every environment by its name."""


def info(name: str) -> EnvironmentInfo:
    """The environment called `name`; EnvironmentConfigError when there is none."""
    found = ENVIRONMENTS.get(name)
    if found is None:
        raise EnvironmentConfigError(f"there is no environment {name!r}{_suggest(name, ENVIRONMENTS)}")
    return found


def _suggest(name: str, known: Mapping[str, object]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(known)}"


def _value(environment: str, setting: Setting, value: object) -> int | float | bool:
    """`value` as the setting's type, or EnvironmentConfigError: no silent coercion but int to float."""
    wrong = f"{environment}.{setting.name} is {_shown(value)}; it must be "
    if setting.kind == "bool":
        if isinstance(value, bool):
            return value
        raise EnvironmentConfigError(wrong + "true or false")
    noun = "a whole number" if setting.kind == "int" else "a number"
    allowed = f"{wrong}{noun} from {setting.low:.12g} to {setting.high:.12g}"
    if isinstance(value, bool) or not isinstance(value, int if setting.kind == "int" else (int, float)):
        raise EnvironmentConfigError(allowed)
    # Compared before a conversion, which an int beyond the floats would not survive.
    if (isinstance(value, float) and not math.isfinite(value)) or not setting.low <= value <= setting.high:
        raise EnvironmentConfigError(allowed)
    return value if setting.kind == "int" else float(value)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and abs(value) >= 10**20:
        return "a huge number"
    text = repr(value)
    return text if len(text) <= 40 else text[:37] + "..."


def check(name: str, config: Mapping[str, object]) -> Config:
    """The full config of environment `name`, defaults filled in; EnvironmentConfigError when it will not do."""
    environment = info(name)
    known = {setting.name: setting for setting in environment.settings}
    for key in config:
        if key not in known:
            raise EnvironmentConfigError(f"{name} has no setting {key!r}{_suggest(str(key), known)}")
    resolved = {
        key: _value(name, setting, config[key]) if key in config else setting.default for key, setting in known.items()
    }
    try:
        _native.check(name, settings_tuple(resolved))
    except ValueError as error:
        raise EnvironmentConfigError(f"{name}: {error}") from None
    return resolved


def settings_tuple(resolved: Mapping[str, int | float | bool]) -> tuple[float, ...]:
    """A config that `check` returned, as the extension takes it: numbers in the settings' order."""
    return tuple(float(value) for value in resolved.values())


def spec(name: str, config: Mapping[str, object]) -> Spec:
    """The shapes of environment `name` under `config`; EnvironmentConfigError if the config will not do."""
    size, low, high, actions, continuous, agents, state_bytes, scales, truncation_steps = _native.spec(
        name, settings_tuple(check(name, config))
    )
    return Spec(
        observation_size=size,
        observation_low=np.frombuffer(low, dtype=np.float32),
        observation_high=np.frombuffer(high, dtype=np.float32),
        actions=actions,
        continuous=bool(continuous),
        agents_per_environment=agents,
        state_bytes=state_bytes,
        render_scales=scales,
        truncation_steps=truncation_steps,
    )
