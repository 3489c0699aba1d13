"""A profile: everything that decides what a run does, read from TOML, checked, immutable."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from engine.errors import ProfileError
from engine.profile import reading, writing
from engine.profile.checks import Problem, unknown_key
from engine.profile.fields import FieldInfo, environment_fields, static_fields
from engine.profile.overrides import parse_key, parse_sets
from engine.profile.resolving import Labels, resolve, variants_of
from engine.profile.schema import (
    DEVICES,
    ENVIRONMENT_SETTINGS,
    SECTIONS,
    AlarmsSection,
    EnvSection,
    PolicySection,
    ReplaySection,
    RunSection,
    Settings,
    TrainSection,
    UiSection,
)
from engine.profile.tree import Tree, merged, nested
from engine.profile.wording import listed, printable, shown


@dataclass(frozen=True)
class Profile:
    """Settings of a run, with variants for devices.

    `name` is the file's name without .toml, fit for a folder's name. `settings` are the values outside every variant;
    `on` maps "cpu" and "cuda" to the values that replace them there, until `for_device` has chosen. Two profiles are
    equal when their values are, whatever their names.
    """

    name: str = field(compare=False)
    settings: Settings
    on: Mapping[str, Tree] = field(default_factory=dict)

    @property
    def env(self) -> EnvSection:
        """What is played."""
        return self.settings.env

    @property
    def policy(self) -> PolicySection:
        """The network."""
        return self.settings.policy

    @property
    def train(self) -> TrainSection:
        """How it learns."""
        return self.settings.train

    @property
    def replay(self) -> ReplaySection:
        """What it learns from."""
        return self.settings.replay

    @property
    def run(self) -> RunSection:
        """What is kept on disk."""
        return self.settings.run

    @property
    def alarms(self) -> AlarmsSection:
        """What is told when it does not look well."""
        return self.settings.alarms

    @property
    def ui(self) -> UiSection:
        """How it is shown."""
        return self.settings.ui

    @classmethod
    def load(cls, name: str | os.PathLike[str], sets: Sequence[str] = ()) -> Profile:
        """The profile in the file `name`, with `sets` ("train.learning_rate=0.01") over it.

        A bare name is looked up in the current folder first, then among the profiles that ship with the program.
        Raises ProfileError with every fault at once, one line each.
        """
        path = reading.find(name)
        label = printable(os.fspath(name), 120)
        return cls.from_toml(reading.read(path, label), path.name.removesuffix(reading.SUFFIX), sets, label=label)

    @classmethod
    def from_toml(
        cls, text: str, name: str = "profile", sets: Sequence[str] = (), *, label: str | None = None
    ) -> Profile:
        """The profile that `text` describes. `label` is what messages call it (default: the name and .toml)."""
        label = label if label is not None else printable(name) + reading.SUFFIX
        document = reading.parse(text, label)
        over, problems = parse_sets(sets)
        on, wrong_variants = variants_of(document.pop("on", {}), f"{label}: ")
        problems += wrong_variants
        if over.pop("on", None) is not None:
            problems.append("--set on: what is set holds on every device; write the key without on.cpu or on.cuda")
        labels = Labels(file=f"{label}: ", edit="--set ", assign="=")
        return cls(_folder_name(name), *resolve(document, on, over, labels, problems))

    def to_toml(self) -> str:
        """The profile as TOML, every key with its help; `from_toml` reads an equal profile from it."""
        return writing.to_toml(self.fields(), self.on)

    def for_device(self, device: str) -> Profile:
        """The profile as it is on `device` ("cpu", "cuda" or "cuda:N"): its variant merged in, `on` empty.

        `train.device` is `device` afterwards, unless it names one of that kind already.
        """
        kind = device.partition(":")[0]
        if kind not in DEVICES:
            raise ProfileError(f"device {shown(device)} must be {listed(shown(each) for each in DEVICES)}")
        if self.train.device.partition(":")[0] == kind:
            device = self.train.device
        tree = merged(merged(self._tree(), self.on.get(kind, {})), nested(("train", "device"), device))
        return Profile(self.name, *resolve(tree, {}, {}, Labels(file=f"{self.name} on {kind}: ")))

    def with_value(self, key: str, value: object) -> Profile:
        """This profile with `key` ("train.learning_rate") at `value` on every device. Raises ProfileError."""
        self.info(key)
        return Profile(self.name, *resolve(self._tree(), self.on, nested(parse_key(key), value), Labels()))

    def info(self, key: str) -> FieldInfo:
        """Metadata and value of `key`. Raises ProfileError, with the key that was meant, when there is no such key."""
        keys = {each.key: each for each in self.fields()}
        if key not in keys:
            path = parse_key(key)
            raise ProfileError(Problem(path, unknown_key(path, keys)).line(""))
        return keys[key]

    def fields(self) -> list[FieldInfo]:
        """Every key with its metadata and value, in the order of the file that `to_toml` writes."""
        found: list[FieldInfo] = []
        for section in SECTIONS:
            values = getattr(self.settings, section)
            its = [each for each in static_fields() if each.section == section]
            found += [replace(each, value=getattr(values, each.leaf)) for each in its]
            if section == ENVIRONMENT_SETTINGS[0]:
                config = self.env.config
                found += [replace(each, value=config[each.leaf]) for each in environment_fields(self.env.name)]
        return found

    def changes(self, other: Profile) -> dict[str, tuple[object, object]]:
        """The keys in which `other` differs: key to (value here, value there); None where a profile has no such key.

        Variants are not compared: ask resolved profiles.
        """
        here = {each.key: each.value for each in self.fields()}
        there = {each.key: each.value for each in other.fields()}
        keys = dict.fromkeys([*here, *there])
        return {key: (here.get(key), there.get(key)) for key in keys if here.get(key) != there.get(key)}

    def _tree(self) -> dict[str, Any]:
        return self.settings.model_dump()


def _folder_name(name: str) -> str:
    """`name` as part of a run folder's name: letters, digits, '.', '_' and '-', no dot in front."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:64] or "profile"
