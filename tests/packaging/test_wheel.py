"""What a user installs: the wheel that the package's own build makes."""

from __future__ import annotations

import configparser
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import c_envs
from c_envs.device import device_program

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("c_envs", "engine", "perx_tui", "profiles")
GPU_KERNELS = {path.name for path in (ROOT / "engine" / "kernels").glob("*.h")} - {"kernels.h"}
"""All but those of the CPU's, which is compiled into a module."""
BUILD_FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "MANIFEST.in")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the sources that no earlier build has touched."""
    source = tmp_path_factory.mktemp("source")
    leftovers = shutil.ignore_patterns("__pycache__", "*.so", "*.o", "build")
    for package in PACKAGES:
        shutil.copytree(ROOT / package, source / package, ignore=leftovers)
    shutil.copytree(ROOT / "tests" / "packaging", source / "tests" / "packaging", ignore=leftovers)
    for name in BUILD_FILES:
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source / name)
    target = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(target), str(source)],
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (built,) = target.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def test_one_wheel_serves_every_python_from_3_11(wheel: Path, names: list[str]) -> None:
    assert "-cp311-abi3-" in wheel.name
    extensions = [name for name in names if name.endswith(".so")]
    assert extensions
    assert all(name.endswith(".abi3.so") for name in extensions), extensions


def test_of_the_c_sources_the_wheel_holds_what_a_gpu_compiles_at_run_time(names: list[str]) -> None:
    headers = {header for environment in c_envs.ENVIRONMENTS for header in device_program(environment, {}).headers}
    assert {name for name in names if name.endswith((".c", ".h"))} == {
        *(f"engine/kernels/{header}" for header in GPU_KERNELS),
        *(f"c_envs/{header}" for header in headers),
    }


def test_the_wheel_holds_every_module(names: list[str]) -> None:
    modules = {str(path.relative_to(ROOT)) for package in PACKAGES for path in (ROOT / package).rglob("*.py")}
    assert modules - set(names) == set()


def test_the_profiles_ship_and_the_packages_are_typed(names: list[str]) -> None:
    assert {f"profiles/{path.name}" for path in (ROOT / "profiles").glob("*.toml")} <= set(names)
    assert {"profiles/breakout.toml", "profiles/maze.toml"} <= set(names)
    assert {f"{package}/py.typed" for package in ("c_envs", "engine", "perx_tui")} <= set(names)


def test_the_wheel_holds_neither_tests_nor_litter(names: list[str]) -> None:
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.startswith("perx_tui-")} == set(PACKAGES)
    assert [name for name in names if name.endswith((".o", ".pyc")) or "test" in name] == []


def test_the_console_script_is_the_command_line(wheel: Path, names: list[str]) -> None:
    (entry_points,) = (name for name in names if name.endswith(".dist-info/entry_points.txt"))
    parser = configparser.ConfigParser()
    with zipfile.ZipFile(wheel) as archive:
        parser.read_string(archive.read(entry_points).decode())
    assert dict(parser["console_scripts"]) == {"perx-tui": "perx_tui.cli:main"}
