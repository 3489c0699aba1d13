"""Writing a profile as TOML, each key with its help and range as a comment."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import tomli_w

from engine.profile.fields import FieldInfo
from engine.profile.tree import Tree


def to_toml(fields: Iterable[FieldInfo], on: Mapping[str, Tree]) -> str:
    """The values of `fields`, then the variants `on`. The comments are for people: what is read back is the values."""
    lines = list(_lines(fields))
    variants = tomli_w.dumps({"on": {device: dict(tree) for device, tree in on.items()}}) if on else ""
    return "\n".join(lines) + "\n" + (f"\n{variants}" if variants else "")


def _lines(fields: Iterable[FieldInfo]) -> Iterator[str]:
    section = ""
    for field in fields:
        if field.section != section:
            if section:
                yield ""
            section = field.section
            yield f"[{section}]"
        yield f"# {_comment(field)}"
        yield assignment(field.leaf, field.value)


def assignment(key: str, value: object) -> str:
    """`key = value` in TOML."""
    return tomli_w.dumps({key: value}).strip()


def _comment(field: FieldInfo) -> str:
    notes = [field.unit, field.range, "live" if field.live else ""]
    noted = ", ".join(note for note in notes if note)
    return field.help.replace("\n", " ") + (f" ({noted})" if noted else "")
