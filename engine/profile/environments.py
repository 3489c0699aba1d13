"""The one place where a profile asks the environments what they are."""

from __future__ import annotations

from collections.abc import Mapping

import c_envs

ConfigError = c_envs.EnvironmentConfigError


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
