"""A profile: everything that decides what a run does, read from TOML, checked, immutable."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

from engine.errors import ProfileError
from engine.profile import reading, writing
from engine.profile.checks import MOST_PROBLEMS, Problem, check_agreement, check_values, dotted, unknown_key
from engine.profile.fields import FieldInfo, environment_fields, static_fields
from engine.profile.overrides import parse_key, parse_sets
from engine.profile.schema import (
    DEVICES,
    ENVIRONMENT_SETTINGS,
    SECTIONS,
    EnvSection,
    PolicySection,
    ReplaySection,
    RunSection,
    Settings,
    TrainSection,
    UiSection,
)
from engine.profile.tree import Tree, holds, merged, nested, picked, without
from engine.profile.wording import closest, listed, printable, shown


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
        shown_label = label if label is not None else printable(name) + reading.SUFFIX
        document = reading.parse(text, shown_label)
        problems: list[str] = []
        try:
            over = parse_sets(sets)
        except ProfileError as error:
            problems += error.problems
            over = {}
        on, on_problems = _variants(document.pop("on", {}), f"{shown_label}: ")
        problems += on_problems
        if "on" in over:
            problems.append("--set on: sets hold on every device; leave the on.cpu or on.cuda before the key away")
            over.pop("on")
        return _build(_folder_name(name), document, on, over, f"{shown_label}: ", "--set ", "=", problems)

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
        return _build(self.name, tree, {}, {}, f"{self.name} on {kind}: ")

    def with_value(self, key: str, value: object) -> Profile:
        """This profile with `key` ("train.learning_rate") at `value` on every device. Raises ProfileError."""
        self.info(key)
        return _build(self.name, self._tree(), self.on, nested(parse_key(key), value))

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


def _variants(on: object, label: str) -> tuple[dict[str, Tree], list[str]]:
    """The tables [on.cpu] and [on.cuda] and what is wrong with their shape."""
    if not isinstance(on, Mapping):
        return {}, [f"{label}on = {shown(on)} must be a table; write [on.cpu.train] or [on.cuda.train] and keys below"]
    variants: dict[str, Tree] = {}
    problems = []
    for device, tree in on.items():
        if device not in DEVICES:
            meant = closest(device, DEVICES)
            hint = f"did you mean on.{meant}?" if meant else "there are on.cpu and on.cuda"
            problems.append(f"{label}on.{printable(device)} is not a device; {hint}")
        elif not isinstance(tree, Mapping):
            problems.append(
                f"{label}on.{device} = {shown(tree)} must be a table; write [on.{device}.train] and keys below"
            )
        else:
            for path, why in {
                ("env", "name"): "a profile trains on one environment; write env.name outside",
                ("train", "device"): "the device decides which variant holds; write train.device outside",
            }.items():
                if isinstance(tree.get(path[0]), Mapping) and holds(tree, path):
                    problems.append(f"{label}on.{device}.{dotted(path)} cannot differ by device: {why}")
            variants[device] = tree
    return variants, problems


def _build(
    name: str,
    tree: Tree,
    on: Mapping[str, Tree],
    over: Tree,
    label: str = "",
    over_label: str = "",
    over_assign: str = " = ",
    problems: Sequence[str] = (),
) -> Profile:
    """The profile of `tree` with `over` above it and above the variants `on`. Raises ProfileError with every fault.

    A fault of a key that `over` holds is told as `over_label` key `over_assign` value, any other one after `label`.
    """

    def line(problem: Problem, table: str = "") -> str:
        if over and holds(over, problem.path):
            return problem.line(over_label, assign=over_assign)
        return problem.line(label, table)

    on = {device: kept for device, variant in on.items() if (kept := without(variant, over))}
    tree = merged(tree, over)
    settings, found = check_values(tree)
    lines = [*problems, *(line(problem) for problem in found[:MOST_PROBLEMS])]
    count = len(problems) + len(found)
    variants: dict[str, Settings] = {}
    for device, variant in on.items():
        its_settings, its_found = check_values(merged(tree, variant))
        its_found = [problem for problem in its_found if holds(variant, problem.path)]
        lines += [line(problem, f"on.{device}.") for problem in its_found[:MOST_PROBLEMS]]
        count += len(its_found)
        if its_settings:
            variants[device] = its_settings
    if settings and not lines:
        lines = _disagreements(settings, variants, bool(over), line)
        count = len(lines)
    if lines or settings is None:
        shown_lines = list(dict.fromkeys(lines))[:MOST_PROBLEMS]
        more = count - len(lines) + len(dict.fromkeys(lines)) - len(shown_lines)
        raise ProfileError([*shown_lines, *([f"{label}and {more} more faults"] if more > 0 else [])])
    normal = {device: picked(variants[device].model_dump(), variant) for device, variant in on.items()}
    return Profile(name, settings, MappingProxyType({device: variant for device, variant in normal.items() if variant}))


def _disagreements(
    settings: Settings, variants: Mapping[str, Settings], edited: bool, line: Callable[[Problem], str]
) -> list[str]:
    """Faults between keys, over all devices the profile may be used on.

    An edit that one device's variant cannot follow (fewer agents than its minibatch needs) stands in nobody's way on
    the other: it is told when that device is asked for.
    """
    asked = settings.train.device.partition(":")[0]
    found = {
        device: [line(problem) for problem in check_agreement(variants.get(device, settings), device)]
        for device in DEVICES
        if asked in ("auto", device) or device in variants
    }
    if edited and asked in DEVICES:
        return found[asked]
    if edited and not all(found.values()):
        return []
    common = set.intersection(*(set(lines) for lines in found.values()))
    lines = []
    for device, its_lines in found.items():
        lines += [each if each in common else f"{each} (on {device})" for each in its_lines]
    return lines
