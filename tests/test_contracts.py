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
FORBIDDEN_MODULES = {
    "pickle", "_pickle", "cPickle", "pickletools", "copyreg", "dill", "cloudpickle", "marshal", "shelve", "dbm",
    "joblib", "yaml", "code", "codeop", "runpy", "xmlrpc",
}  # fmt: skip
FORBIDDEN_NAMES = {"eval", "exec", "compile", "__import__", "execfile"}
"""Called or passed on: neither is needed for anything here."""
FORBIDDEN_ATTRIBUTES = {
    "torch": {"load", "save", "jit", "package", "hub"},
    "numpy": {"load", "save", "savez", "fromregex"},
    "np": {"load", "save", "savez", "fromregex"},
    "os": {"system", "popen"},
    "builtins": {"eval", "exec", "compile", "__import__"},
    "subprocess": {"getoutput", "getstatusoutput"},
}
UNSAFE_KEYWORDS = {"allow_pickle", "weights_only", "shell"}
"""Arguments that only what loads code, or a command line, has."""


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


def dangers(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and name of all in a module that could run code from data."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] in FORBIDDEN_MODULES or alias.name == "builtins":
                    yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            root = (node.module or "").split(".")[0]
            bad = FORBIDDEN_ATTRIBUTES.get(root, set())
            if root in FORBIDDEN_MODULES:
                yield node.lineno, root
            yield from ((node.lineno, f"{root}.{alias.name}") for alias in node.names if alias.name in bad)
            if any(part in bad for part in (node.module or "").split(".")[1:]):
                yield node.lineno, str(node.module)
        elif isinstance(node, ast.Name) and node.id in FORBIDDEN_NAMES | {"__builtins__"}:
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.attr in FORBIDDEN_ATTRIBUTES.get(node.value.id, set()):
                yield node.lineno, f"{node.value.id}.{node.attr}"
        elif isinstance(node, ast.Call):
            yield from ((node.lineno, f"{key.arg}=") for key in node.keywords if key.arg in UNSAFE_KEYWORDS)
            called = node.func
            written = node.args and isinstance(node.args[0], ast.Constant | ast.JoinedStr)
            if isinstance(called, ast.Attribute) and called.attr == "import_module" and not written:
                yield node.lineno, "import_module of a name that is not written here"


def every_source() -> list[Path]:
    """The packages, their tests, and what builds them."""
    return [path for package in (*PACKAGES, "tests") for path in sources(package)] + sorted(ROOT.glob("*.py"))


def test_nothing_is_unpickled_or_evaluated() -> None:
    """Neither a run folder nor a profile from a stranger can run code: there is nothing here that could run it."""
    files = every_source()
    assert ROOT / "setup.py" in files
    found = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in files
        for line, name in dangers(tree(path))
        # A test may put another import in the place of Python's own, to see what is missing without a package.
        if not (name.startswith("builtins") and (ROOT / "tests") in path.parents)
    ]
    assert found == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from pickle import loads", "import marshal as m", "import shelve", "eval('1')", "exec('1')",
        "f = eval", "map(exec, x)", "import torch; torch.load('x')", "from torch import load", "torch.jit",
        "np.load('x', allow_pickle=True)", "f(allow_pickle=False)", "from numpy import load", "os.system('x')",
        "subprocess.run('x', shell=True)", "import builtins", "__builtins__['eval']", "__import__('pickle')",
        "importlib.import_module(name)", "getattr(torch, 'x'); f(weights_only=False)", "from torch.package import x",
    ],
)  # fmt: skip
def test_what_could_run_code_is_found(source: str) -> None:
    assert list(dangers(ast.parse(source)))


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
