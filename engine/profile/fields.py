"""The metadata of every key, for messages, `--help`, the documentation and the live editor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, get_args, get_origin

from pydantic.fields import FieldInfo as PydanticField
from pydantic_core import PydanticUndefined

from engine.profile import environments
from engine.profile.schema import ENVIRONMENT_SETTINGS, SECTIONS
from engine.profile.wording import listed, shown

Kind = Literal["int", "float", "bool", "str"]


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """One key of a profile.

    `range` is its allowed values for people, `choices` the words it must be one of, `low` and `high` its bounds where
    it has them (`low_open`, `high_open`: the bound itself is not allowed). `live`: may be changed while a run trains.
    `default` is None where a profile must give a value. `value` is what the profile it was asked of holds.
    """

    key: str
    type: Kind
    default: object
    unit: str
    range: str
    help: str
    live: bool
    value: object = None
    choices: tuple[str, ...] = ()
    low: float | None = None
    high: float | None = None
    low_open: bool = False
    high_open: bool = False
    example: object = None

    @property
    def section(self) -> str:
        """The table the key stands in: "train", "env.config"."""
        return self.key.rpartition(".")[0]

    @property
    def leaf(self) -> str:
        """The key inside its table."""
        return self.key.rpartition(".")[2]

    @property
    def expectation(self) -> str:
        """What the value must be, to follow "must be"."""
        if self.choices:
            return listed(shown(choice) for choice in self.choices)
        if self.type in ("bool", "str"):
            return self.range
        noun = "a whole number" if self.type == "int" else "a number"
        return f"{noun} in {self.range}"


@cache
def static_fields() -> tuple[FieldInfo, ...]:
    """The keys every profile has, in the order of the schema; the environment's own settings are not among them."""
    return tuple(
        _from_model(f"{section}.{name}", field)
        for section, model in SECTIONS.items()
        for name, field in model.model_fields.items()
        if (section, name) != ENVIRONMENT_SETTINGS
    )


def environment_fields(environment: str) -> Iterator[FieldInfo]:
    """The keys below [env.config] that `environment` declares."""
    for setting in environments.settings(environment):
        kind: Kind = {"int": "int", "float": "float", "bool": "bool"}[setting.kind]  # type: ignore[assignment]
        low, high = (None, None) if kind == "bool" else (setting.low, setting.high)
        yield FieldInfo(
            key=f"env.config.{setting.name}",
            type=kind,
            default=setting.default,
            unit=setting.unit,
            range=_range(kind, low, high, False, False),
            help=setting.help,
            live=False,
            value=setting.default,
            low=low,
            high=high,
            example=setting.default,
        )


def _from_model(key: str, field: PydanticField) -> FieldInfo:
    extra: dict[str, Any] = dict(field.json_schema_extra) if isinstance(field.json_schema_extra, dict) else {}
    annotation = field.annotation
    choices = get_args(annotation) if get_origin(annotation) is Literal else ()
    if key == "env.name":
        choices = environments.names()
    kind: Kind = "str" if choices else annotation.__name__  # type: ignore[union-attr, assignment]
    bounds: dict[str, float] = {}
    for constraint in field.metadata:
        for bound in ("ge", "gt", "le", "lt"):
            if hasattr(constraint, bound):
                bounds[bound] = getattr(constraint, bound)
    low, high = bounds.get("ge", bounds.get("gt")), bounds.get("le", bounds.get("lt"))
    low_open, high_open = "gt" in bounds, "lt" in bounds
    default = None if field.default is PydanticUndefined else field.default
    return FieldInfo(
        key=key,
        type=kind,
        default=default,
        unit=extra["unit"],
        range=extra["form"] or _range(kind, low, high, low_open, high_open, choices),
        help=field.description or "",
        live=extra["live"],
        value=default,
        choices=choices,
        low=low,
        high=high,
        low_open=low_open,
        high_open=high_open,
        example=extra["example"],
    )


def _range(
    kind: Kind,
    low: float | None,
    high: float | None,
    low_open: bool,
    high_open: bool,
    choices: tuple[str, ...] = (),
) -> str:
    if choices:
        return listed(shown(choice) for choice in choices)
    if kind == "bool":
        return "true or false"
    if low is None or high is None:
        return ""
    return f"{'(' if low_open else '['}{_bound(low)}, {_bound(high)}{')' if high_open else ']'}"


def _bound(value: float) -> str:
    return shown(int(value)) if float(value).is_integer() else shown(float(value))
