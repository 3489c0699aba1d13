"""The states of a run as people see them."""

from __future__ import annotations

STATES: dict[str, tuple[str, str]] = {
    "starting": ("○ starting", "blue"),
    "running": ("► running", "green"),
    "paused": ("▌▌paused", "yellow"),
    "saving": ("● saving", "blue"),
    "finished": ("✓ finished", "green"),
    "failed": ("✗ failed", "red"),
    "stopped": ("■ stopped", "yellow"),
    "disconnected": ("? no answer", "red"),
}
"""Every state as a symbol with a word, told apart without colour, and its hue."""

STATE_HINTS = {
    "paused": "space goes on, s trains one iteration",
    "saving": "writing a checkpoint",
    "finished": "all steps are done; q leaves",
    "failed": "q leaves, esc shows the panels",
    "stopped": "training has been stopped; q leaves",
    "disconnected": "trying to reach the run again",
}
"""What to know in a state, where the trainer itself says nothing."""
