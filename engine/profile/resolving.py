"""From trees of values, variants and edits to checked settings, with every fault told at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from engine.errors import ProfileError
from engine.profile.checks import MOST_PROBLEMS, Problem, check_agreement, check_values, dotted
from engine.profile.schema import DEVICES, Settings
from engine.profile.tree import Tree, holds, merged, picked, without
from engine.profile.wording import closest, printable, shown


@dataclass(frozen=True, slots=True)
class Labels:
    """What stands before a fault's key: `file` for what the file says, `edit` for what an edit says.

    `assign` stands between key and value of an edit.
    """

    file: str = ""
    edit: str = ""
    assign: str = " = "


def variants_of(on: object, label: str) -> tuple[dict[str, Tree], list[str]]:
    """The tables [on.cpu] and [on.cuda] and what is wrong with their shape."""
    if not isinstance(on, Mapping):
        return {}, [f"{label}on = {shown(on)} must be a table; write [on.cpu.train] or [on.cuda.train] and keys below"]
    variants: dict[str, Tree] = {}
    problems = []
    for device, tree in on.items():
        if device not in DEVICES:
            meant = closest(device, DEVICES, cutoff=0.7)
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
                if holds(tree, path):
                    problems.append(f"{label}on.{device}.{dotted(path)} cannot differ by device: {why}")
            variants[device] = tree
    return variants, problems


def resolve(
    tree: Tree, on: Mapping[str, Tree], over: Tree, labels: Labels, problems: Sequence[str] = ()
) -> tuple[Settings, Mapping[str, Tree]]:
    """The settings of `tree` with the edits `over` put in, and the variants `on` less what `over` decides.

    Raises ProfileError with every fault, after `problems` that are known already.
    """

    def line(problem: Problem, table: str = "") -> str:
        if over and holds(over, problem.path):
            return problem.line(labels.edit, assign=labels.assign)
        return problem.line(labels.file, table)

    on = {device: kept for device, variant in on.items() if (kept := without(variant, over))}
    tree = merged(tree, over)
    settings, found = check_values(tree)
    lines = [*problems, *(line(problem) for problem in found)]
    variants: dict[str, Settings] = {}
    for device, variant in on.items():
        its_settings, its_found = check_values(merged(tree, variant))
        # The faults of the shared part are told already; without any, whatever is wrong here is the variant's.
        its_found = [problem for problem in its_found if settings or holds(variant, problem.path)]
        lines += [line(problem, f"on.{device}.") for problem in its_found]
        if its_settings:
            variants[device] = its_settings
    if settings and not lines:
        lines = _disagreements(settings, variants, bool(over), line)
    if lines or settings is None:
        lines = list(dict.fromkeys(lines))
        more = len(lines) - MOST_PROBLEMS
        raise ProfileError([*lines[:MOST_PROBLEMS], *([f"{labels.file}and {more} more faults"] if more > 0 else [])])
    normal = {device: picked(variants[device].model_dump(), variant) for device, variant in on.items()}
    return settings, MappingProxyType({device: variant for device, variant in normal.items() if variant})


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
