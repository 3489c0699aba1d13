"""Partial updates of the screen in fewer bytes.

Textual writes a changed stretch of a row from the left edge of its widget on. Most of what changes here stands at the
right end of a row (a figure, a ball), so cropping at both ends leaves about a quarter of the bytes.
"""

from __future__ import annotations

from rich.console import Console, RenderableType
from rich.control import Control
from textual._compositor import ChopsUpdate


class CroppedUpdate(ChopsUpdate):
    """Writes exactly the spans that changed."""

    def render_segments(self, console: Console) -> str:
        """Cursor moves and text of every span."""
        move_to = Control.move_to
        written: list[str] = []
        for y, first, end in self.spans:
            for chop_end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                start, stop = max(x, first), min(chop_end, end)
                if strip is None or start >= stop:
                    continue
                if start > x or stop < chop_end:
                    strip = strip.crop(start - x, stop - x)
                written.append(move_to(start, y).segment.text)
                written.append(strip.render(console))
        return "".join(written)


def cropped(update: RenderableType | None) -> RenderableType | None:
    """`update` in fewer bytes where it is a partial one; anything else as it is."""
    if type(update) is ChopsUpdate:
        return CroppedUpdate(update.chops, update.spans, update.chop_ends)
    return update
