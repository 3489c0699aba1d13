"""What is shown in place of the panels when training has failed."""

from __future__ import annotations

import shlex
from pathlib import Path

from perx_tui import format as fmt
from perx_tui.tui.lines import EMPTY, Line, clean, wrap
from perx_tui.tui.panel import Panel
from perx_tui.tui.panels.log import log_line


class Failure(Panel):
    """The error, what can be done about it, and the end of the log."""

    title = "training failed"
    number = 0

    def body(self, width: int, height: int) -> list[Line]:
        """Error first, advice next; the log takes the rest of the height."""
        snapshot = self.view.snapshot
        lines: list[Line] = [EMPTY]
        error = clean_lines(snapshot.error or "The trainer ended without saying why.")
        lines.extend(((text, "red+"),) for text in wrap(error, width))
        lines.append(EMPTY)
        lines.append((("what to do", "strong"),))
        for advice in self._advice():
            first, *rest = wrap(advice, max(8, width - 4))
            lines.append((("  - ", "dim"), (first, "")))
            lines.extend((("    ", ""), (text, "")) for text in rest)
        lines.append(EMPTY)
        room = height - len(lines) - 1
        if snapshot.log and room > 0:
            lines.append((("the end of the log", "strong"),))
            lines.extend(log_line(line, width) for line in snapshot.log[-room:])
        return lines

    def _advice(self) -> list[str]:
        snapshot = self.view.snapshot
        advice = []
        if snapshot.checkpoint and snapshot.run:
            step = fmt.count(snapshot.checkpoint_step)
            advice.append(f"continue from the newest checkpoint ({step} steps): perx-tui --resume {self._run()}")
        elif snapshot.run:
            advice.append("mend the cause and start again: the run has no checkpoint yet")
        if snapshot.folder:
            advice.append(f"the whole log of the run is in {clean(snapshot.folder)}")
        advice.append("esc shows the panels as they were, q leaves")
        return advice

    def _run(self) -> str:
        """What --resume needs to find the run: its name in ./runs, elsewhere the path of its folder."""
        snapshot = self.view.snapshot
        usual = not snapshot.folder or Path(snapshot.folder).parent == Path("runs")
        return shlex.quote(clean(snapshot.run if usual else snapshot.folder))


def clean_lines(text: str) -> str:
    """`clean` that keeps line breaks."""
    return "\n".join(clean(line) for line in text.splitlines())
