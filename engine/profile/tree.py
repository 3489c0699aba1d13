"""Nested tables as TOML gives them: {"train": {"gamma": 0.99}}. Depth is bounded here, so that no file can overflow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Tree = Mapping[str, Any]
Path = tuple[str, ...]


def merged(under: Tree, over: Tree, depth: int = 3) -> dict[str, Any]:
    """`under` with the values of `over` put in; tables are merged down to `depth` levels."""
    result = dict(under)
    for key, value in over.items():
        old = result.get(key)
        both_tables = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merged(old, value, depth - 1) if both_tables and depth > 1 else value  # type: ignore[arg-type]
    return result


def without(tree: Tree, taken: Tree) -> dict[str, Any]:
    """`tree` less every key that `taken` holds, and less tables that are empty then."""
    result: dict[str, Any] = {}
    for key, value in tree.items():
        if key not in taken:
            result[key] = value
        elif isinstance(value, Mapping) and isinstance(taken[key], Mapping) and (rest := without(value, taken[key])):
            result[key] = rest
    return result


def holds(tree: object, path: Path) -> bool:
    """`path` leads to something that stands in `tree`."""
    for key in path:
        if not isinstance(tree, Mapping) or key not in tree:
            return False
        tree = tree[key]
    return True


def nested(path: Path, value: object) -> dict[str, Any]:
    """The tree that holds `value` at `path` and nothing else."""
    for key in reversed(path):
        value = {key: value}
    assert isinstance(value, dict)
    return value


def picked(values: Tree, shape: Tree) -> dict[str, Any]:
    """The part of `values` at the places that `shape` names, without empty tables."""
    result: dict[str, Any] = {}
    for key, inner in shape.items():
        if not isinstance(inner, Mapping):
            result[key] = values[key]
        elif rest := picked(values[key], inner):
            result[key] = rest
    return result
