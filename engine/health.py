"""What this machine and this install can do: the checks behind `perx-tui doctor`.

Every check answers in a line and never raises; torch is imported by its own check, not with this module.
"""

from __future__ import annotations

import importlib
import os
import platform
import socket
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.durable import DISK, Disk, reason
from engine.errors import EngineError

Status = Literal["ok", "warning", "failure"]

OLDEST_PYTHON = (3, 11)
TORCH_RANGE = ((2, 11), (2, 14))
"""From the first up to, but not with, the second."""
LITTLE_SPACE = 1 << 30
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at: what there is, and how to mend it where that is needed."""

    name: str
    status: Status
    text: str
    advice: str = ""


def check_machine(runs: Path) -> list[Check]:
    """Python, torch, cores, native modules, GPU, and the folder `runs` that runs are kept in. Takes seconds: imports
    torch, and computes a little on the GPU where there is one."""
    checks: list[Callable[[], Check]] = [
        check_python,
        check_torch,
        check_cores,
        check_environments,
        check_kernels,
        check_driver,
        check_gpu,
        lambda: check_folder(runs),
        lambda: check_socket(runs),
    ]
    return [_guarded(each) for each in checks]


def _guarded(check: Callable[[], Check]) -> Check:
    """A check that fails in an unexpected way is a finding, not the end of the doctor."""
    try:
        return check()
    except Exception as error:
        name = getattr(check, "__name__", "check").removeprefix("check_")
        return Check(name, "failure", f"could not be checked: {type(error).__name__}: {_line(error)}")


def check_python() -> Check:
    """The interpreter."""
    text = f"{platform.python_implementation()} {platform.python_version()} on {platform.system()} {platform.machine()}"
    if sys.version_info < OLDEST_PYTHON:
        return Check("python", "failure", text, "perx-tui needs Python 3.11 or newer")
    return Check("python", "ok", text)


def check_torch() -> Check:
    """PyTorch: there, in the range that perx-tui is made for, and for which device."""
    try:
        import torch
    except Exception as error:  # A broken install raises whatever it likes.
        advice = 'install it: pip install "torch>=2.11,<2.14"'
        return Check("torch", "failure", f"cannot be imported: {type(error).__name__}: {_line(error)}", advice)
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "a CPU build"
    text = f"{torch.__version__}, {build}"
    version = tuple(int(part) for part in torch.__version__.partition("+")[0].split(".")[:2] if part.isdigit())
    if not TORCH_RANGE[0] <= version < TORCH_RANGE[1]:
        return Check("torch", "warning", text, "perx-tui is made for 2.11 to 2.13: others may work, or not")
    return Check("torch", "ok", text)


def check_cores() -> Check:
    """Cores that this process may use, and what others take of them."""
    import psutil

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    memory = psutil.virtual_memory()
    load = os.getloadavg()[0]
    text = (
        f"{usable} of {os.cpu_count()} usable, load {load:.1f}; "
        f"memory {memory.available / _GIB:.1f} of {memory.total / _GIB:.1f} GiB free"
    )
    if load > 1.5 * usable:
        return Check(
            "cores", "warning", text, "other programs keep the cores busy: training will be slower than it could"
        )
    return Check("cores", "ok", text)


def check_environments() -> Check:
    """The C environments: loaded, and one of them stepped."""
    try:
        import c_envs

        with c_envs.Batch("bandit", 2, seed=1, slots=1) as batch:
            batch.state(0)
    except Exception as error:
        return _broken("environments", error)
    return Check("environments", "ok", f"native module loads; {len(c_envs.ENVIRONMENTS)} environments")


def check_kernels() -> Check:
    """The fused CPU kernels."""
    try:
        importlib.import_module("engine._kernels")
    except Exception as error:
        return _broken("kernels", error)
    return Check("kernels", "ok", "native module of the fused CPU kernels loads")


def check_driver() -> Check:
    """NVIDIA's driver, asked through NVML."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception as error:
        return Check("driver", "ok", f"no NVIDIA driver answers ({_line(error)}): training uses the CPU")
    try:
        version = _text(pynvml.nvmlSystemGetDriverVersion())
        cards = []
        for index in range(pynvml.nvmlDeviceGetCount()):
            handle = pynvml.nvmlDeviceGetHandleByIndex(index)
            memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
            used, total = int(memory.used) / _GIB, int(memory.total) / _GIB
            cards.append(f"{_text(pynvml.nvmlDeviceGetName(handle))} ({used:.1f} of {total:.1f} GiB used)")
    finally:
        pynvml.nvmlShutdown()
    return Check("driver", "ok", f"{version}; {', '.join(cards) or 'no card'}")


def check_gpu() -> Check:
    """Whether torch can compute on a GPU, tried out."""
    try:
        import torch
    except Exception:
        return Check("gpu", "warning", "not checked: torch is missing")
    if not torch.cuda.is_available():
        if torch.version.cuda is None and check_driver().text.find("; ") > 0:
            advice = "install a CUDA build of torch to train on it"
            return Check("gpu", "warning", "this torch is a CPU build, though there is an NVIDIA card", advice)
        return Check("gpu", "ok", "none: training uses the CPU")
    names = []
    for index in range(torch.cuda.device_count()):
        square = torch.ones(64, 64, device=f"cuda:{index}")
        if float((square @ square).sum()) != 64.0**3:
            return Check("gpu", "failure", f"cuda:{index} computes wrong sums", "do not train on it")
        major, minor = torch.cuda.get_device_capability(index)
        names.append(f"cuda:{index} {torch.cuda.get_device_name(index)} (sm_{major}{minor})")
    return Check("gpu", "ok", ", ".join(names))


def check_folder(runs: Path, disk: Disk = DISK) -> Check:
    """Whether runs can be written where they are to be kept, durably, and how much room there is."""
    place = _nearest(runs)
    if not place.is_dir():
        return Check("runs", "failure", f"'{place}' is not a folder", "name another folder with --runs")
    try:
        with tempfile.TemporaryDirectory(prefix=".doctor-", dir=place) as name:
            path = Path(name) / "probe"
            with open(path, "wb") as file:
                file.write(b"perx")
                file.flush()
                os.fsync(file.fileno())
            os.replace(path, Path(name) / "renamed")
        space = disk.space(place)
    except OSError as error:
        advice = "mend its permissions, or name another folder with --runs"
        return Check("runs", "failure", f"cannot write in '{place}': {reason(error)}", advice)
    new = "" if place == runs else f" ('{runs}' will be made)"
    text = f"'{place}' can be written{new}; {space.free / _GIB:.1f} of {space.total / _GIB:.1f} GiB free"
    if space.free < LITTLE_SPACE:
        return Check("runs", "warning", text, "make room: checkpoints may fail")
    return Check("runs", "ok", text)


def check_socket(runs: Path) -> Check:
    """Whether `perx-tui attach` can reach runs there: not every file system holds sockets."""
    place = _nearest(runs)
    try:
        with tempfile.TemporaryDirectory(prefix=".d-", dir=place) as name, socket.socket(socket.AF_UNIX) as listener:
            folder = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
            try:
                # A name through the descriptor: paths of sockets are short, those of folders need not be.
                listener.bind(f"/proc/self/fd/{folder}/s" if os.path.isdir("/proc/self/fd") else f"{name}/s")
            finally:
                os.close(folder)
    except OSError as error:
        advice = "runs there train, but perx-tui attach cannot reach them: name another folder with --runs"
        return Check("attach", "warning", f"no socket can be made in '{place}': {reason(error)}", advice)
    return Check("attach", "ok", f"sockets can be made in '{place}'")


def _nearest(path: Path) -> Path:
    """`path`, or the folder it would be made in."""
    for place in (path, *path.absolute().parents):
        if place.exists():
            return place
    return Path("/")


def _broken(name: str, error: Exception) -> Check:
    text = f"native module does not work: {type(error).__name__}: {_line(error)}"
    return Check(
        name, "failure", text, "install perx-tui again for this Python: pip install --force-reinstall perx-tui"
    )


def _line(error: Exception) -> str:
    text = str(error) if not isinstance(error, EngineError) else error.args[0]
    return (text.splitlines() or [""])[0][:120]


def _text(value: str | bytes) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
