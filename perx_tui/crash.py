"""What happens to an exception nobody expected: one line for the user, the traceback in a file."""

from __future__ import annotations

import tempfile
import traceback
from pathlib import Path

from perx_tui.output import say


def report_crash(error: BaseException, folder: Path | None = None) -> None:
    """Write the traceback to crash.log in the run's `folder` (or a fresh temporary one) and say where it is."""
    text = "".join(traceback.format_exception(error))
    first = next(iter(str(error).splitlines()), "")
    what = f"{type(error).__name__}: {first}" if first else type(error).__name__
    try:
        path = (folder or Path(tempfile.mkdtemp(prefix="perx-tui-"))) / "crash.log"
        with path.open("a", encoding="utf-8") as file:
            file.write(text)
    except OSError as problem:
        say(f"unexpected error: {what} (its traceback could not be saved: {problem})")
        return
    say(f"unexpected error: {what}; traceback written to {path}")
