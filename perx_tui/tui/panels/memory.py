"""Memory of the GPU, or of the process and the machine where there is none."""

from __future__ import annotations

from perx_tui import format as fmt
from perx_tui.tui import marks
from perx_tui.tui.lines import Line, clean, shorten
from perx_tui.tui.panel import Panel


class MemoryPanel(Panel):
    """Figures with bars on one scale: the card, or the machine."""

    number = 7
    title = "memory"

    def heading(self) -> str:
        """Names the card, or says that there is none."""
        memory = self.view.snapshot.memory
        if memory.gpu_name:
            return f"memory · {shorten(clean(memory.gpu_name), 22)}"
        if memory.process is not None:
            return "memory · no GPU"
        return self.title

    def body(self, width: int, height: int) -> list[Line]:
        """A line a figure, the most telling first: low panels show as many as fit."""
        memory = self.view.snapshot.memory
        if memory.gpu_name:
            total = memory.gpu_total
            rows = [
                self._row("allocated", memory.gpu_allocated, total, width, "blue"),
                self._row("reserved", memory.gpu_reserved, total, width, "blue"),
                self._row("peak", memory.gpu_peak, total, width, "blue"),
                self._row("card used", memory.gpu_used, total, width, "orange"),
                self._row("process", memory.process, memory.machine_total, width, "purple"),
            ]
            last = self._total("card total", total, width)
        else:
            total = memory.machine_total
            rows = [
                self._row("process", memory.process, total, width, "blue"),
                self._row("peak", memory.process_peak, total, width, "blue"),
                self._row("machine", memory.machine_used, total, width, "orange"),
            ]
            last = self._total("total", total, width)
        return [*rows[: height - 1], last]

    def _row(self, label: str, value: int | None, total: int | None, width: int, hue: str) -> Line:
        figure = fmt.bytes_(value).rjust(8)
        head = label.ljust(9) + " "
        share = value / total if value is not None and total else 0.0
        bar = marks.gauge(share, width - len(head) - len(figure) - 1, hue)
        return ((head, "dim"), *bar, (" " + figure, "strong"))

    def _total(self, label: str, value: int | None, width: int) -> Line:
        return ((label.ljust(width - 8), "dim"), (fmt.bytes_(value).rjust(8), ""))
