"""Memory and load of the GPU, or the memory of the process and the machine where there is none."""

from __future__ import annotations

from collections.abc import Sequence

from perx_tui import format as fmt
from perx_tui.tui import marks
from perx_tui.tui.lines import Line
from perx_tui.tui.panel import Panel
from perx_tui.tui.panels import gpu


class MemoryPanel(Panel):
    """Figures with bars on one scale: the card, or the machine."""

    number = 7
    title = "memory"

    def heading(self) -> str:
        """Names the card, or says that there is none."""
        memory = self.view.snapshot.memory
        if memory.gpu_name:
            return gpu.title(memory)
        if memory.process is not None:
            return "memory · no GPU"
        return self.title

    def summary(self) -> Sequence[Line]:
        """The card's load, temperature and power."""
        return gpu.summary(self.view.snapshot.memory.card)

    def body(self, width: int, height: int) -> list[Line]:
        """A line a figure, the most telling first: low panels show as many as fit."""
        memory = self.view.snapshot.memory
        if memory.gpu_name:
            return gpu.body(memory, width, height)
        total = memory.machine_total
        rows = [
            self._row("process", memory.process, total, width, "blue"),
            self._row("peak", memory.process_peak, total, width, "blue"),
            self._row("machine", memory.machine_used, total, width, "orange"),
        ]
        return [*rows[: height - 1], self._total(total, width)]

    def _row(self, label: str, value: int | None, total: int | None, width: int, hue: str) -> Line:
        figure = fmt.bytes_(value).rjust(8)
        head = label.ljust(9) + " "
        share = value / total if value is not None and total else 0.0
        return ((head, "dim"), *marks.gauge(share, width - len(head) - len(figure) - 1, hue), (" " + figure, "strong"))

    def _total(self, value: int | None, width: int) -> Line:
        return (("total".ljust(width - 8), "dim"), (fmt.bytes_(value).rjust(8), ""))
