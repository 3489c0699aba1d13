"""What the environments' actions are called, for those who watch."""

from __future__ import annotations

from collections.abc import Mapping

_NAMES: Mapping[str, tuple[str, ...]] = {
    "breakout": ("stay", "left", "right"),
    "maze": ("stay", "forward", "left", "right", "back"),
    "squared": ("stay", "up", "down", "left", "right"),
    "spaces": ("dark low", "dark high", "bright low", "bright high"),
}
"""One name an action, in the order of the numbers that the environment's step takes."""

_NUMBERED: Mapping[str, str] = {"bandit": "arm", "memory": "cue", "password": "symbol"}
"""Actions that only choose among alike things: the thing, and its number behind it."""


def action_name(environment: str, action: int) -> str:
    """A short name such as "left"; "action 3" where an environment's actions have none."""
    names = _NAMES.get(environment, ())
    if 0 <= action < len(names):
        return names[action]
    return f"{_NUMBERED.get(environment, 'action')} {action}"
