"""Hostile profiles and `--set` texts: the answer is a profile, or a ProfileError of few, short, printable lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import tomli
import tomli_w

from engine import Profile, ProfileError, shipped_profiles
from engine.profile.fields import static_fields

from . import hostile

MOST_PROBLEMS = 25
LONGEST_LINE = 500

_KEYS = tuple(field.key for field in static_fields())
_LEAVES = tuple(field.leaf for field in static_fields())


class ProfileFuzzer:
    """Makes inputs from a generator and judges what becomes of them. `file` is a path it may write to."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._profiles = [path.read_bytes() for path in shipped_profiles().values()]
        self._resolved = [Profile.load(path).to_toml().encode() for path in shipped_profiles().values()]

    def try_one(self, random: Random) -> str:
        """Make one input and read it; "taken" or "refused". AssertionError where it is neither as it must be."""
        if random.random() < 0.3:
            sets = [self.assignment(random) for _ in range(random.choice((1, 1, 2, 6)))]
            return _judge(lambda: Profile.load("breakout.toml", sets), sets)
        data = self.document(random)
        self._file.write_bytes(data)
        return _judge(lambda: Profile.load(self._file), data)

    # ---- inputs ----

    def document(self, random: Random) -> bytes:
        """A profile's bytes, more or less."""
        real = random.choice(self._profiles + self._resolved)
        match random.randrange(6):
            case 0:
                return hostile.mutated(random, real)
            case 1 | 2:
                return self._with_values(random, real.decode()).encode("utf-8", "replace")
            case 3:
                return self._with_tree(random, real.decode()).encode("utf-8", "replace")
            case 4:
                return self._lines(random).encode("utf-8", "replace")
            case _:
                return random.randbytes(random.choice((0, 1, 30, 400))) + hostile.mutated(random, real[:200])

    def assignment(self, random: Random) -> str:
        """What may be typed after `--set`."""
        key = self._key(random)
        value = random.choice(
            (*hostile.TOML_VALUES, str(hostile.value(random)), hostile.nested(random, "[", "]")[:9000])
        )
        text = random.choice((f"{key}={value}", f"{key} = {value}", f"{key}", f"={value}", f"{key}=={value}"))
        return text if random.random() < 0.8 else hostile.mutated(random, text.encode()).decode("utf-8", "replace")

    def _with_values(self, random: Random, text: str) -> str:
        """A real profile, some of whose values are others."""
        lines = text.splitlines()
        places = [number for number, line in enumerate(lines) if "=" in line]
        for number in random.sample(places, min(len(places), random.choice((1, 1, 2, 5)))):
            lines[number] = f"{lines[number].partition('=')[0]}= {self._value(random)}"
        return "\n".join(lines)

    def _with_tree(self, random: Random, text: str) -> str:
        """A real profile with wrong values, keys and tables put in, written as TOML again."""
        tree = tomli.loads(text)
        for _ in range(random.choice((1, 2, 4))):
            table = tree
            for _ in range(random.randrange(3)):
                inner = [key for key, value in table.items() if isinstance(value, dict)]
                if inner:
                    table = table[random.choice(inner)]
            table[random.choice((random.choice(_LEAVES), *tree, hostile.text(random)))] = hostile.value(random)
        return tomli_w.dumps(tree)

    def _lines(self, random: Random) -> str:
        """Headers and assignments in any order, any number of times."""
        sections = ("env", "env.config", "policy", "train", "replay", "run", "ui", "on.cpu.train", "on.cuda", "on", "")
        lines = []
        for _ in range(random.randrange(12)):
            section = random.choice(sections) if random.random() < 0.9 else hostile.text(random)
            lines.append(random.choice((f"[{section}]", f"[[{section}]]", f"{section} = {{}}", f"[{section}")))
            lines += [f"{random.choice(_LEAVES)} = {self._value(random)}" for _ in range(random.randrange(4))]
        return "\n".join(lines)

    def _key(self, random: Random) -> str:
        key = random.choice(_KEYS)
        match random.randrange(8):
            case 0:
                return hostile.mutated(random, key.encode()).decode("utf-8", "replace")
            case 1:
                return hostile.text(random)
            case 2:
                return random.choice(
                    (f"on.cpu.{key}", f"on.cuda.{key}", f"env.config.{hostile.text(random)}", f"{key}.x")
                )
            case 3:
                return "." * random.randrange(5) + key + "." * random.randrange(3)
        return key

    def _value(self, random: Random) -> str:
        match random.randrange(5):
            case 0:
                return hostile.nested(random, *random.choice((("[", "]"), ("{a=", "}"), ("a.", "=1"))))
            case 1:
                return tomli_w.dumps({"x": hostile.text(random)})[4:].strip()
            case 2:
                return str(random.choice((0, 1, 2, 8, 64, 512, 4096, 0.0, 0.5, 0.99, 1.0, 1e-5)))
        return random.choice(hostile.TOML_VALUES)


def _judge(read: object, given: bytes | Sequence[str]) -> str:
    """What became of an input. A profile that was taken is the same when it is written and read again."""
    assert callable(read)
    try:
        profile = read()
    except ProfileError as error:
        problems = error.problems
        assert 0 < len(problems) <= MOST_PROBLEMS, (len(problems), given)
        for problem in problems:
            assert problem.isprintable(), (problem, given)
            assert 0 < len(problem) < LONGEST_LINE, (problem, given)
        return "refused"
    assert Profile.from_toml(profile.to_toml()) == profile, given
    return "taken"
