"""What `perx-tui doctor` finds, on machines that are broken in one way each."""

from __future__ import annotations

import builtins
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from engine import Check, check_machine, health
from engine.durable import Disk, Space


def hide(monkeypatch: pytest.MonkeyPatch, name: str, error: Exception) -> None:
    """Has the import of a module fail."""
    real = builtins.__import__

    def fail(module: str, *rest: Any) -> Any:
        if module.partition(".")[0] == name:
            raise error
        return real(module, *rest)

    monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(builtins, "__import__", fail)


def test_this_machine_can_train(tmp_path: Path) -> None:
    checks = {check.name: check for check in check_machine(tmp_path / "runs")}
    assert {"python", "torch", "cores", "environments", "kernels", "driver", "gpu", "runs", "attach"} == set(checks)
    assert [check for check in checks.values() if check.status == "failure"] == []
    assert "2 of" in checks["cores"].text or "usable" in checks["cores"].text
    assert "will be made" in checks["runs"].text
    assert list(tmp_path.iterdir()) == [], "nothing is left behind"


def test_a_torch_that_cannot_be_imported_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "torch", OSError("libcudart.so.13: cannot open shared object file"))
    check = health.check_torch()
    assert check.status == "failure"
    assert "libcudart" in check.text
    assert "pip install" in check.advice
    assert health.check_gpu().status == "warning"


@pytest.mark.parametrize(("version", "status"), [("2.10.1", "warning"), ("2.13.0+cpu", "ok"), ("2.14.0", "warning")])
def test_a_torch_outside_the_range_is_a_warning(version: str, status: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch, "__version__", version)
    assert health.check_torch().status == status


def test_native_modules_that_do_not_load_are_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(name: str) -> None:
        raise ImportError(f"{name}: undefined symbol: PyBuffer_Release\nand more")

    monkeypatch.setattr(health.importlib, "import_module", fail)
    check = health.check_kernels()
    assert (check.status, "\n" in check.text) == ("failure", False)
    assert "undefined symbol" in check.text
    hide(monkeypatch, "c_envs", ImportError("no"))
    assert health.check_environments().status == "failure"


class Driver(SimpleNamespace):
    """An NVML that knows one card."""

    def __init__(self) -> None:
        super().__init__(
            nvmlInit=lambda: None,
            nvmlShutdown=lambda: None,
            nvmlSystemGetDriverVersion=lambda: b"580.1",
            nvmlDeviceGetCount=lambda: 1,
            nvmlDeviceGetHandleByIndex=lambda index: index,
            nvmlDeviceGetName=lambda handle: "NVIDIA H200",
            nvmlDeviceGetMemoryInfo=lambda handle: SimpleNamespace(used=3 << 30, total=140 << 30),
        )


def test_a_card_that_this_torch_cannot_use_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setitem(sys.modules, "pynvml", Driver())
    assert health.check_driver().text == "580.1; NVIDIA H200 (3.0 of 140.0 GiB used)"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    check = health.check_gpu()
    assert check.status == "warning"
    assert "CUDA build" in check.advice


def test_a_card_that_computes_wrongly_is_a_failure(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch, "ones", lambda *size, device: torch.zeros(size))
    assert health.check_gpu().status == "failure"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_a_failure(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    check = health.check_folder(tmp_path / "runs")
    tmp_path.chmod(0o700)
    assert check.status == "failure"
    assert "--runs" in check.advice


def test_a_file_in_the_place_of_the_folder_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("no folder")
    assert health.check_folder(tmp_path / "runs").status == "failure"
    assert health.check_folder(tmp_path / "runs" / "deeper").status == "failure"


def test_little_room_is_a_warning(tmp_path: Path) -> None:
    class Small(Disk):
        def space(self, path: Path) -> Space:
            return Space(1000, 10**9)

    assert health.check_folder(tmp_path, Small()).status == "warning"


def test_a_check_that_breaks_is_a_finding(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def check_cores() -> Check:
        raise RuntimeError("no /proc here\nat all")

    monkeypatch.setattr(health, "check_cores", check_cores)
    found = {check.name: check for check in check_machine(tmp_path)}
    assert found["cores"].status == "failure"
    assert found["cores"].text == "could not be checked: RuntimeError: no /proc here"


@pytest.mark.parametrize("check", [health.check_python, health.check_cores, health.check_driver])
def test_a_check_answers_in_one_line(check: Callable[[], Check]) -> None:
    found = check()
    assert len(found.text.splitlines()) == 1
    assert found.text.isprintable()
