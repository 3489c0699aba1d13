"""Rules that hold for the source as a whole, checked on its syntax trees and on what an import loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("c_envs", "engine", "perx_tui", "profiles")
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
FORBIDDEN_CALLS = {"eval", "exec", "compile", "__import__"}
UNSAFE_LOADERS = {("torch", "load"), ("numpy", "load"), ("np", "load"), ("torch", "save")}


def sources(package: str) -> list[Path]:
    return sorted((ROOT / package).rglob("*.py"))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[tuple[str, int]]:
    """Every module that a file imports, at any depth, with its line."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            yield node.module or "", node.lineno


def offences(package: str, forbidden: set[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{line}: {module}"
        for path in sources(package)
        for module, line in imports(path)
        if module.split(".")[0] in forbidden
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_has_sources(package: str) -> None:
    """The other tests of this file would pass on nothing."""
    assert sources(package)


def test_the_engine_knows_no_front_end() -> None:
    assert offences("engine", {"perx_tui", "textual", "rich"}) == []


def test_the_environments_know_neither_engine_nor_front_end_nor_torch() -> None:
    assert offences("c_envs", {"perx_tui", "engine", "textual", "rich", "torch"}) == []


def test_the_front_end_uses_only_the_face_of_the_engine() -> None:
    """`from engine import Name`, where `engine.__all__` has the name: no module behind it, and nothing below it."""
    import engine

    wrong = []
    for path in sources("perx_tui"):
        for node in ast.walk(tree(path)):
            where = f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 0)}"
            if isinstance(node, ast.Import):
                wrong += [f"{where}: {a.name}" for a in node.names if a.name.split(".")[0] in ("engine", "c_envs")]
            elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in ("engine", "c_envs"):
                if node.module != "engine":
                    wrong.append(f"{where}: {node.module}")
                wrong += [f"{where}: {alias.name}" for alias in node.names if alias.name not in engine.__all__]
    assert wrong == []


def test_nothing_is_unpickled_or_evaluated() -> None:
    """Neither a run folder nor a profile from a stranger can run code: there is nothing here that could run it."""
    wrong = [offence for package in PACKAGES for offence in offences(package, FORBIDDEN_MODULES)]
    for package in PACKAGES:
        for path in sources(package):
            for node in ast.walk(tree(path)):
                if not isinstance(node, ast.Call):
                    continue
                called = node.func
                where = f"{path.relative_to(ROOT)}:{node.lineno}"
                if isinstance(called, ast.Name) and called.id in FORBIDDEN_CALLS:
                    wrong.append(f"{where}: {called.id}()")
                if (
                    isinstance(called, ast.Attribute)
                    and isinstance(called.value, ast.Name)
                    and (called.value.id, called.attr) in UNSAFE_LOADERS
                ):
                    wrong.append(f"{where}: {called.value.id}.{called.attr}()")
    assert wrong == []


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("c_envs", ["torch", "textual", "rich", "engine", "perx_tui"]),
        ("engine", ["torch", "textual", "rich", "perx_tui"]),
        ("perx_tui.cli", ["torch", "textual", "rich", "engine"]),
        ("perx_tui.commands.train", ["torch", "textual", "rich", "engine"]),
        ("perx_tui.headless", ["torch", "textual", "rich"]),
        ("perx_tui.tui", ["torch"]),
    ],
)
def test_an_import_loads_no_more_than_it_should(module: str, unwanted: list[str]) -> None:
    program = (
        f"import sys, {module}\n"
        f"loaded = sorted(set({unwanted!r}) & set(sys.modules))\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
