"""What `control.sock` carries: one JSON object a line, each line bounded, everything checked before it is used.

A viewer asks, the run answers, in order:

    {"id": 7, "do": "snapshot", "since": 41}
    {"id": 7, "ok": true, "since": 41, "snapshot": {"sequence": 44, "stage": "collect", ...}, "profile": null}
    {"id": 8, "ok": false, "error": "refused", "text": "train.learning_rate must be ..."}

Snapshots, metrics and clips are written field by field under their own names: bytes in base64, a number that is not
finite as the text "nan", "inf" or "-inf". What is read is checked against the types that the classes declare.
"""

from __future__ import annotations

import base64
import binascii
import dataclasses
import json
import math
import types
import typing
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType
from typing import Any, Literal, TypeVar, cast

from engine import strict_json
from engine.errors import EngineError
from engine.run_listing import plain_text
from engine.snapshot import Clip, Snapshot

VERSION = 2
"""Both ends must speak the same one."""
MAX_REQUEST = 64 << 10
"""Bytes of a request's line."""
MAX_ANSWER = 16 << 20
"""Bytes of an answer's line."""
CLIP_FRAMES = 512
"""Frames of a clip that are sent at most: half a minute at the speed at which they are watched."""
CLIP_BYTES = 4 << 20
"""A clip that is longer than this when written is not sent."""

_NOT_FINITE = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}
_LARGEST = 2**63
_T = TypeVar("_T")


class WireError(EngineError):
    """A message that will not do. `kind` is one of "malformed", "oversize", "refused", "busy" and "failed"."""

    def __init__(self, text: str, kind: str = "malformed") -> None:
        super().__init__(text)
        self.kind = kind


@dataclass(frozen=True, slots=True)
class Request:
    """What a viewer asks. `arguments` has every argument of `do`, each of the right type."""

    id: int
    do: str
    arguments: Mapping[str, Any]


_Scalar = str | bool | int | float
_SINCE = int | None
REQUESTS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "hello": {},
        "snapshot": {"since": _SINCE},
        "history": {"since": int},
        "profile": {},
        "pause": {},
        "resume": {},
        "step_iteration": {},
        "checkpoint": {},
        "set": {"key": str, "value": _Scalar},
        "watch": {"environment": int | str | None},
        "inspect": {"wanted": bool},
        "show_segment": {"by": str, "index": int},
        "spectate": {"wanted": bool},
        "direct": {"act": str, "value": float | None},
        "stop": {"checkpoint": bool},
    }
)
"""Every request and the type of each of its arguments; one that may be null may be left out."""


def line(message: Mapping[str, Any]) -> bytes:
    """`message` as one line. WireError where JSON cannot hold it."""
    try:
        return strict_json.dumps(message) + b"\n"
    except strict_json.JsonFault as fault:
        raise WireError(f"a message cannot be written: {fault}") from None


def read_object(data: bytes) -> dict[str, Any]:
    """The JSON object in a line. WireError when there is none."""
    try:
        value = strict_json.loads(data)
    except strict_json.JsonFault as fault:
        raise WireError(f"the line is {fault}") from None
    if not isinstance(value, dict):
        raise WireError("the line is not a JSON object")
    return value


def read_request(data: bytes) -> Request:
    """The request in a line. WireError that says what is wrong with it."""
    message = read_object(data)
    number = message.pop("id", 0)
    if type(number) is not int or not 0 <= number < _LARGEST:
        raise WireError("id must be a whole number from 0 to 2**63 - 1")
    name = message.pop("do", None)
    if not isinstance(name, str) or name not in REQUESTS:
        raise WireError(f"do must be one of {', '.join(REQUESTS)}")
    expected = REQUESTS[name]
    for key in message:
        if key not in expected:
            raise WireError(f"{name} takes no argument '{plain_text(key, 40)}'")
    return Request(number, name, {key: decode(hint, message.get(key), key) for key, hint in expected.items()})


def encode(value: object) -> Any:
    """`value`, a number, text, bytes, mapping, tuple or dataclass of such, as JSON can hold it."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [encode(item) for item in value]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {name: encode(getattr(value, name)) for name in _hints(type(value))}
    raise WireError(f"a {type(value).__name__} cannot be sent")


def decode(hint: Any, value: Any, where: str) -> Any:
    """What `encode` made of a value that is declared as `hint`. WireError, naming `where`, when it is none."""
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return _decode_union(hint, value, where)
    if origin is Literal:
        if value in typing.get_args(hint) and isinstance(value, str):
            return value
        raise _wrong(where, f"one of {', '.join(typing.get_args(hint))}")
    if origin is tuple:
        return _decode_tuple(typing.get_args(hint), value, where)
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, dict):
            raise _wrong(where, "an object")
        kind = typing.get_args(hint)[1]
        return MappingProxyType({key: decode(kind, item, where) for key, item in value.items()})
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return decode_object(hint, value, where)
    return _decode_plain(hint, value, where)


def decode_object(kind: type[_T], value: Any, where: str) -> _T:
    """The instance of the dataclass `kind` that `encode` made an object of."""
    hints = _hints(cast("Hashable", kind))
    if not isinstance(value, dict) or value.keys() != hints.keys():
        raise _wrong(where, f"an object with the keys {', '.join(hints)}")
    return kind(**{name: decode(hint, value[name], f"{where}.{name}") for name, hint in hints.items()})


def decode_fields(value: Any) -> dict[str, Any]:
    """Some fields of a Snapshot."""
    hints = _hints(Snapshot)
    if not isinstance(value, dict) or not value.keys() <= hints.keys():
        raise _wrong("snapshot", "an object with fields of a snapshot only: is the run's perx-tui another version?")
    return {name: decode(hints[name], item, name) for name, item in value.items()}


def decode_rows(value: Any) -> list[Mapping[str, float]]:
    """Metrics of iterations, oldest first."""
    if not isinstance(value, list):
        raise _wrong("rows", "a list")
    rows = [decode(Mapping[str, float], row, "a row") for row in value]
    if not all(isinstance(row.get("iteration"), int | float) for row in rows):
        raise _wrong("iteration", "a number")
    return rows


class SnapshotWriter:
    """Writes snapshots for several viewers: what was written once for one of them is not written again for another."""

    def __init__(self) -> None:
        self._written: dict[str, tuple[object, str]] = {}

    def write(self, snapshot: Snapshot, known: Snapshot | None) -> str:
        """The fields of `snapshot` that differ from those of `known` (all without one) as a JSON object."""
        parts = []
        for name in _hints(Snapshot):
            value = getattr(snapshot, name)
            if known is not None:
                before = getattr(known, name)
                if value is before or value == before:
                    continue
            parts.append(f'"{name}":{self._text(name, value)}')
        return "{" + ",".join(parts) + "}"

    def _text(self, name: str, value: object) -> str:
        kept = self._written.get(name)
        if kept is not None and kept[0] is value:
            return kept[1]
        sent = value
        if isinstance(value, Clip) and len(value.frames) > CLIP_FRAMES:
            sent = dataclasses.replace(value, frames=value.frames[:CLIP_FRAMES])
        text = json.dumps(encode(sent), allow_nan=False, separators=(",", ":"))
        if isinstance(value, Clip) and len(text) > CLIP_BYTES:
            text = "null"
        self._written[name] = value, text
        return text


def _decode_union(hint: Any, value: Any, where: str) -> Any:
    choices = typing.get_args(hint)
    if value is None and types.NoneType in choices:
        return None
    rest = [choice for choice in choices if choice is not types.NoneType]
    if len(rest) == 1:
        return decode(rest[0], value, where)
    if type(value) in rest:
        return decode(type(value), value, where)
    raise _wrong(where, " or ".join(choice.__name__ for choice in rest))


def _decode_tuple(hints: tuple[Any, ...], value: Any, where: str) -> tuple[Any, ...]:
    if not isinstance(value, list):
        raise _wrong(where, "a list")
    if len(hints) == 2 and hints[1] is ...:
        return tuple(decode(hints[0], item, where) for item in value)
    if len(value) != len(hints):
        raise _wrong(where, f"a list of {len(hints)}")
    return tuple(decode(hint, item, where) for hint, item in zip(hints, value, strict=True))


def _decode_plain(hint: Any, value: Any, where: str) -> Any:
    if hint is float:
        if isinstance(value, str) and value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if isinstance(value, float) or (type(value) is int and abs(value) < _LARGEST):
            return value
        raise _wrong(where, "a number")
    if hint is int:
        if type(value) is int and abs(value) < _LARGEST:
            return value
        raise _wrong(where, "a whole number below 2**63")
    if hint is bytes:
        try:
            return base64.b64decode(value, validate=True) if isinstance(value, str) else _not_bytes(where)
        except (binascii.Error, ValueError):
            raise _wrong(where, "bytes in base64") from None
    if hint in (str, bool) and type(value) is hint:
        return value
    raise _wrong(where, {str: "a text", bool: "true or false"}.get(hint, str(hint)))


def _not_bytes(where: str) -> bytes:
    raise _wrong(where, "bytes in base64")


def _wrong(where: str, expected: str) -> WireError:
    return WireError(f"{where} must be {expected}")


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    """The declared type of every field of a dataclass."""
    assert isinstance(kind, type)
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
