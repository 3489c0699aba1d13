"""Pictures of environment states, as grids of character cells."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from c_envs import _native
from c_envs.actions import action_name
from c_envs.info import check, settings_tuple, spec

ROLES: tuple[str, ...] = _native.roles()
"""Colour role names by role number."""


class Renderer:
    """Draws states of one environment without a batch; `config` and `seed` as in the batch the states come from."""

    def __init__(self, name: str, config: Mapping[str, object] | None = None, seed: int = 0) -> None:
        """EnvironmentConfigError for a bad name or config."""
        self._name = name
        settings = check(name, config or {})
        self.scales = spec(name, settings).render_scales
        """Pictures come in scales 1 .. `scales`."""
        self._native = _native.Renderer(name, settings_tuple(settings), seed)

    def size(self, scale: int) -> tuple[int, int]:
        """Rows and columns of the pictures of a scale, 1 .. `scales`."""
        return self._native.size(scale)

    def render(self, state: bytes, scale: int) -> npt.NDArray[np.uint32]:
        """The picture of a state, [rows, columns, 3]: glyph code point, foreground role, background role. Read-only.

        Nearly every glyph is an upper half block: its foreground is the upper of two pixels, its background the lower.
        """
        rows, columns = self._native.size(scale)
        cells = np.frombuffer(self._native.render(state, scale), dtype=np.uint32)
        return cells.reshape(rows, columns, 3)

    def caption(self, state: bytes) -> str:
        """One short line about a state, such as "score 123  balls 3"."""
        return self._native.caption(state)

    def action(self, action: int) -> str:
        """What an action is called, such as "left"."""
        return action_name(self._name, action)
