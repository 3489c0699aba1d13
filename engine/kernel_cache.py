"""Machine code for a GPU, kept on disk: compiling a run's kernels takes seconds, and most runs want the same ones.

A file is named after all that its code comes from, so that none is ever out of date. What cannot be read or written is
compiled, as without a cache.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

from c_envs.device import DeviceProgram

KEPT = 64
"""Files that are kept; of more those go that were used longest ago."""


def cache_folder() -> Path:
    """Where the files are: perx-tui/kernels in the user's folder for caches."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "perx-tui" / "kernels"


def cached_file(program: DeviceProgram, architecture: str, compiler: str) -> Path:
    """The file for what `compiler`, by its version, makes of a program for an architecture."""
    made_of = (architecture, compiler, program.source, program.options, sorted(program.headers.items()))
    name = hashlib.sha256(repr(made_of).encode()).hexdigest()
    return cache_folder() / f"{program.name.partition('.')[0]}-{name}.cubin"


def read_code(path: Path) -> bytes | None:
    """The machine code in a file; None where there is none."""
    try:
        code = path.read_bytes()
        os.utime(path)
    except (OSError, RuntimeError):  # without a home there is no folder either
        return None
    return code or None


def write_code(path: Path, code: bytes) -> None:
    """Keeps machine code, as a whole or not at all."""
    with contextlib.suppress(OSError, RuntimeError):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, delete=False) as file:
            try:
                file.write(code)
                file.flush()
                os.replace(file.name, path)
            except OSError:
                os.unlink(file.name)
                raise
        files = sorted(path.parent.glob("*.cubin"), key=lambda each: each.stat().st_mtime)
        for old in files[:-KEPT]:
            old.unlink()


def forget_code(path: Path) -> None:
    """Removes a file whose code will not do."""
    with contextlib.suppress(OSError):
        path.unlink()
