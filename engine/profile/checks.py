"""Whether a tree of values is a valid profile: each key by the schema, then what must agree across keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from engine.profile import environments
from engine.profile.fields import FieldInfo, environment_fields, static_fields
from engine.profile.schema import ENVIRONMENT_SETTINGS, SECTIONS, Settings
from engine.profile.tree import Path, Tree
from engine.profile.wording import closest, listed, printable, shown

MOST_PROBLEMS = 20
"""Faults that are put into words (finding the key that was meant takes time); of the rest only the number is told."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault: `key = value` and what is wrong with it. `value` is None where no value is to be shown."""

    path: Path
    fault: str
    value: str | None = None

    def line(self, label: str, table: str = "", assign: str = " = ") -> str:
        """The fault as one line, with where it stands before it."""
        key = table + dotted(self.path)
        return f"{label}{key}{'' if self.value is None else assign + self.value} {self.fault}"


def dotted(path: Path) -> str:
    """A key as people write it."""
    return ".".join(printable(part) for part in path)


def check_values(tree: Tree) -> tuple[Settings | None, list[Problem]]:
    """The settings that `tree` holds, or the faults of single keys."""
    env = tree.get("env")
    config = env.get("config", {}) if isinstance(env, Mapping) else {}
    problems: list[Problem] = []
    if isinstance(config, Mapping):
        name = env.get("name") if isinstance(env, Mapping) else None
        known = isinstance(name, str) and name in environments.names()
        resolved, problems = _check_config(str(name), config) if known else ({}, [])
        if isinstance(env, Mapping):
            tree = {**tree, "env": {**env, "config": resolved}}
            if "name" in env and not known:
                problems.append(_environment_problem(env["name"]))
    try:
        settings = Settings.model_validate(tree)
    except ValidationError as error:
        fields = {field.key: field for field in static_fields()}
        for found in error.errors(include_url=False, include_context=False):
            path = tuple(str(part) for part in found["loc"])
            if len(problems) < MOST_PROBLEMS:
                problems.append(_problem(fields, found["type"], path, found["input"]))
            else:
                problems.append(Problem(path, "is wrong"))
        # A name of another type than text is told once, in the environment's words.
        problems = list({problem.path: problem for problem in reversed(problems)}.values())[::-1]
        return None, problems
    return (None if problems else settings), problems


def _environment_problem(name: object) -> Problem:
    return Problem(("env", "name"), f"must be {_choices(environments.names(), name)}", shown(name))


def _choices(choices: tuple[str, ...], value: object) -> str:
    meant = closest(value, choices) if isinstance(value, str) else None
    return listed(shown(choice) for choice in choices) + (f"; did you mean {shown(meant)}?" if meant else "")


def _problem(fields: Mapping[str, FieldInfo], kind: str, path: Path, value: object) -> Problem:
    if kind == "extra_forbidden":
        return Problem(path, unknown_key(path, fields))
    if kind == "missing":
        return _missing(fields, path)
    if path == ENVIRONMENT_SETTINGS or len(path) == 1:
        return Problem(path, f"must be a table; write [{dotted(path)}] and its keys below", shown(value))
    return Problem(path, _must_be(fields[".".join(path[:2])], value), shown(value))


def _missing(fields: Mapping[str, FieldInfo], path: Path) -> Problem:
    field = fields.get(".".join(path)) or fields["env.name"]
    return Problem(tuple(field.key.split(".")), f"is missing; write {_example(field)} below [{field.section}]")


def _must_be(field: FieldInfo, value: object) -> str:
    if field.choices:
        return f"must be {_choices(field.choices, value)}"
    return f"must be {field.expectation}; write e.g. {_example(field)}"


def _example(field: FieldInfo) -> str:
    return f"{field.leaf} = {shown(field.example)}"


def unknown_key(path: Path, fields: Mapping[str, FieldInfo]) -> str:
    """What to say of a key that does not exist."""
    whole = ".".join(path)
    if len(path) == 1:
        by_leaf = [key for key, field in fields.items() if field.leaf == path[0]]
        meant = by_leaf[0] if by_leaf else closest(path[0], SECTIONS)
        if meant in SECTIONS:
            return f"is not a section; did you mean [{meant}]?"
        if meant:
            return f"is not a section; did you mean {meant}?"
        return f"is not a section; there are {listed(SECTIONS, 'and')}"
    section = [field.leaf for field in fields.values() if field.section == path[0]]
    near = closest(path[1], section) if len(path) == 2 else None
    elsewhere = [key for key, field in fields.items() if field.leaf == path[-1]]
    meant = f"{path[0]}.{near}" if near else elsewhere[0] if elsewhere else closest(whole, fields, cutoff=0.75)
    if meant:
        return f"is not a key; did you mean {meant}?"
    return f"is not a key; [{dotted(path[:1])}] has {listed(section, 'and')}" if section else "is not a key"


def _check_config(environment: str, config: Mapping[str, object]) -> tuple[Mapping[str, Any], list[Problem]]:
    fields = {field.leaf: field for field in environment_fields(environment)}
    problems: list[Problem] = []
    for key, value in config.items():
        path = (*ENVIRONMENT_SETTINGS, key)
        field = fields.get(key)
        if field is None and len(problems) >= MOST_PROBLEMS:
            problems.append(Problem(path, "is wrong"))
        elif field is None:
            meant = closest(key, fields)
            has = f"did you mean {meant}?" if meant else f"it has {listed(fields, 'and')}"
            problems.append(Problem(path, f"is not a setting of {environment}; {has}"))
        elif not _fits(field, value):
            problems.append(Problem(path, _must_be(field, value), shown(value)))
    if not problems:
        try:
            return environments.resolved(environment, config), []
        except environments.ConfigError as error:
            problems.append(_refusal(str(error).removeprefix(f"{environment}: "), fields))
    return {}, problems


def _refusal(text: str, fields: Mapping[str, FieldInfo]) -> Problem:
    """What the environment said of settings that are each in their range, put to the setting that it names first."""
    name, _, rest = text.partition(" ")
    if name in fields:
        return Problem((*ENVIRONMENT_SETTINGS, name), printable(rest, 300))
    return Problem(ENVIRONMENT_SETTINGS, f"will not do: {printable(text, 300)}")


def _fits(field: FieldInfo, value: object) -> bool:
    if field.type == "bool" or isinstance(value, bool):
        return field.type == "bool" and isinstance(value, bool)
    numeric = isinstance(value, int) or (field.type == "float" and isinstance(value, float))
    if not numeric:
        return False
    assert isinstance(value, int | float)
    # Written so that nan fits nowhere.
    return (field.low is None or value >= field.low) and (field.high is None or value <= field.high)


def check_agreement(settings: Settings, device: str) -> Iterator[Problem]:
    """Faults that lie between keys, when the run is to train on `device` ("cpu" or "cuda")."""
    env, train = settings.env, settings.train
    spec = environments.spec(env.name, env.config)
    if spec.continuous:
        yield Problem(
            (*ENVIRONMENT_SETTINGS, "continuous"),
            "asks for continuous actions, which the policy does not have; write continuous = false",
            "true",
        )
    per_environment = spec.agents_per_environment
    if env.agents % per_environment:
        yield Problem(
            ("env", "agents"),
            f"must be a multiple of {per_environment}, the agents in one {env.name}; "
            f"write e.g. agents = {_multiple_near(env.agents, per_environment)}",
            shown(env.agents),
        )
    collected = env.agents * train.horizon
    if train.minibatch > collected:
        yield Problem(
            ("train", "minibatch"),
            f"is more than an iteration collects: env.agents * train.horizon = {shown(env.agents)} * "
            f"{shown(train.horizon)} = {shown(collected)}; write at most that",
            shown(train.minibatch),
        )
    elif train.minibatch % train.horizon:
        near = min(_multiple_near(train.minibatch, train.horizon), collected)
        yield Problem(
            ("train", "minibatch"),
            f"must be a multiple of train.horizon = {shown(train.horizon)}; write e.g. minibatch = {shown(near)}",
            shown(train.minibatch),
        )
    if train.warmup > train.total_steps:
        yield Problem(
            ("train", "warmup"),
            f"is longer than the run: train.total_steps = {shown(train.total_steps)}; write at most that",
            shown(train.warmup),
        )
    if env.device == "cuda" and device == "cpu" and train.device in ("auto", "cpu"):
        yield Problem(
            ("env", "device"),
            'needs the network on a GPU: write train.device = "cuda", too, or this key below [on.cuda.env]',
            '"cuda"',
        )
    if train.precision != "float32" and device == "cpu" and train.device in ("auto", "cpu"):
        yield Problem(
            ("train", "precision"),
            "needs a GPU: write it below [on.cuda.train], where it does not reach the CPU",
            f'"{train.precision}"',
        )


def _multiple_near(value: int, factor: int) -> int:
    return max(1, round(value / factor)) * factor
