"""What the app needs of a training session: the face of `engine.TrainingSession`, or of a viewer of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

from engine import Profile, Snapshot

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class Renderer(Protocol):
    """Draws states of an environment as small pictures of characters."""

    scales: int
    """Pictures come in scales 1 .. `scales`."""

    def size(self, scale: int) -> tuple[int, int]:
        """Rows and columns of a picture."""

    def render(self, state: bytes, scale: int) -> npt.NDArray[np.uint32]:
        """The picture [rows, columns, 3]: code point, foreground role, background role of every cell."""

    def caption(self, state: bytes) -> str:
        """One short line about a state, such as "score 123  balls 3"."""

    def action(self, action: int) -> str:
        """What an action is called, such as "left"."""


class Session(Protocol):
    """A run that trains somewhere else: in a thread of this process, or in another one. No method blocks."""

    @property
    def is_alive(self) -> bool:
        """Whether it has been started and has not ended."""

    @property
    def profile(self) -> Profile:
        """The settings in force."""

    def start(self) -> None:
        """Begin training."""

    def snapshot(self) -> Snapshot:
        """The newest state of the run."""

    def history(self, since: int = 0, limit: int | None = None) -> Sequence[Any]:
        """Metrics (mappings of key to number) of the iterations after `since`, oldest first: the first `limit`, or
        all."""

    def pause(self) -> None:
        """Hold the trainer after the present minibatch."""

    def resume(self) -> None:
        """Let a paused trainer go on."""

    def step_iteration(self) -> None:
        """Let a paused trainer do one iteration."""

    def checkpoint(self) -> None:
        """Ask for a checkpoint."""

    def watch(self, environment: int | str | None) -> None:
        """Choose the environment whose clips the snapshots carry, or the "best" or "newest" episode."""

    def set(self, key: str, value: object) -> None:
        """Change a live setting; ProfileError at once when the key or the value will not do."""

    def show_segment(self, by: str = "priority", index: int = 0) -> None:
        """Ask for a segment to look at: by "priority", "uses", "age", "random" or "index". It comes with a snapshot."""

    def inspect(self, wanted: bool) -> None:
        """Whether snapshots shall list every segment."""

    def spectate(self, wanted: bool) -> None:
        """Whether snapshots shall have the present policy at play."""

    def direct(self, act: str, value: float | None = None) -> None:
        """Change how that game is played: "pause", "resume", "step", "restart", "greedy", "sample" or "speed"."""

    def stop(self, checkpoint: bool = True) -> None:
        """End the run, by default with a checkpoint."""

    def renderer(self) -> Renderer:
        """The painter of this run's environment."""
