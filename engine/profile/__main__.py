"""`python -m engine.profile` prints the reference of all keys as Markdown."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby

from engine.profile import environments
from engine.profile.fields import FieldInfo, environment_fields, static_fields
from engine.profile.writing import assignment


def reference() -> str:
    """Every key of a profile, then every environment's settings, as Markdown tables."""
    parts = ["# Keys of a profile\n\nKeys marked *live* can be changed while a run trains.\n"]
    for section, keys in groupby(static_fields(), key=lambda each: each.section):
        parts.append(f"## [{section}]\n\n{_table(keys)}")
    parts += [f"## [env.config] of {name}\n\n{_table(environment_fields(name))}" for name in environments.names()]
    return "\n".join(parts)


def _table(fields: Iterable[FieldInfo]) -> str:
    return "\n".join(["| key | default | range | unit | |", "|---|---|---|---|---|", *map(_row, fields)]) + "\n"


def _row(field: FieldInfo) -> str:
    default = "required" if field.default is None else f"`{assignment('', field.default).partition(' = ')[2]}`"
    text = field.help + (" *live*" if field.live else "")
    return f"| `{field.leaf}` | {default} | {_escaped(field.range)} | {field.unit} | {_escaped(text)} |"


def _escaped(text: str) -> str:
    return text.replace("|", "\\|").replace("[", "\\[")


if __name__ == "__main__":
    print(reference(), end="")
