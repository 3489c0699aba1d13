"""The one place where a profile asks the environments what they are."""

from __future__ import annotations

from collections.abc import Mapping

import c_envs


def names() -> tuple[str, ...]:
    """Every environment there is."""
    return tuple(c_envs.ENVIRONMENTS)


def settings(environment: str) -> tuple[c_envs.Setting, ...]:
    """The settings that `environment` declares; empty for an unknown one."""
    info = c_envs.ENVIRONMENTS.get(environment)
    return info.settings if info else ()


def resolved(environment: str, config: Mapping[str, object]) -> Mapping[str, int | float | bool]:
    """`config` with every setting. Raises ConfigError with one clear line."""
    return c_envs.check(environment, config)


def spec(environment: str, config: Mapping[str, object]) -> c_envs.Spec:
    """Shapes of `environment` under a checked `config`."""
    return c_envs.spec(environment, config)


ConfigError: type[ValueError] = getattr(c_envs, "EnvironmentConfigError", ValueError)

if not hasattr(c_envs, "ENVIRONMENTS"):  # stand-in while the environments are being built; goes with their first commit
    from types import SimpleNamespace

    def _setting(name: str, kind: str, default: object, low: float, high: float) -> SimpleNamespace:
        return SimpleNamespace(name=name, kind=kind, default=default, low=low, high=high, unit="", help=name)

    _STAND_IN = {
        "breakout": SimpleNamespace(settings=(_setting("frame_skip", "int", 4, 1, 16),)),
        "maze": SimpleNamespace(
            settings=(_setting("map_size", "int", 31, 5, 63), _setting("num_maps", "int", 1, 1, 65536))
        ),
    }
    c_envs.ENVIRONMENTS = _STAND_IN  # type: ignore[attr-defined]
    c_envs.check = lambda name, config: {s.name: s.default for s in _STAND_IN[name].settings} | dict(config)  # type: ignore[attr-defined]
    c_envs.spec = lambda name, config: SimpleNamespace(continuous=False, agents_per_environment=1)  # type: ignore[attr-defined]
