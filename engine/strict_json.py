"""JSON that is exactly JSON: no NaN or infinity, no silently changed keys or types, every fault one short reason."""

from __future__ import annotations

import json
import math
from typing import Any


class JsonFault(ValueError):
    """The text is not such JSON, or the value cannot be written as such. The message completes "... is"."""


def _refuse_constant(token: str) -> Any:
    raise JsonFault(f"not JSON: it holds {token}")


def _finite(token: str) -> float:
    value = float(token)
    if not math.isfinite(value):
        raise JsonFault("not JSON: it holds a number that is too large")
    return value


def loads(data: bytes) -> Any:
    """The value that `data` (UTF-8) describes. JsonFault when it is not strict JSON or nests too deeply."""
    try:
        return json.loads(data.decode("utf-8"), parse_constant=_refuse_constant, parse_float=_finite)
    except JsonFault:
        raise
    except UnicodeDecodeError:
        raise JsonFault("not UTF-8 text") from None
    except RecursionError:
        raise JsonFault("not usable: its brackets nest too deeply") from None
    except json.JSONDecodeError as error:
        raise JsonFault(f"not JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError:
        raise JsonFault("not JSON: it holds a number with too many digits") from None


def check(value: object, where: str = "") -> None:
    """JsonFault, naming the key, unless JSON gives `value` back unchanged (but for tuples: they come back as lists)."""
    name = where or "the value"
    if value is None or isinstance(value, str | bool | int):
        return
    if isinstance(value, float):
        if not math.isfinite(value):
            raise JsonFault(f"{name} is {value}, which JSON cannot hold")
    elif isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise JsonFault(f"{name} has the key {key!r}, which is not a string")
            check(item, f"{where}.{key}" if where else key)
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            check(item, f"{where}[{index}]")
    else:
        raise JsonFault(f"{name} is a {type(value).__name__}, which JSON cannot hold")


def dumps(value: object) -> bytes:
    """`value` as one line of ASCII. JsonFault where it would not come back unchanged."""
    try:
        check(value)
        return json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    except RecursionError:
        raise JsonFault("the value nests too deeply for JSON") from None
    except JsonFault:
        raise
    except ValueError as error:
        raise JsonFault(f"the value cannot be written as JSON: {error}") from None
