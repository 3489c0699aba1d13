"""Whatever stands in a file, the answer is a profile or a ProfileError of printable lines."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from profile_strategies import problems_of, trees

from engine.profile import Profile
from engine.profile.fields import static_fields

many = settings(max_examples=400, deadline=None, suppress_health_check=list(HealthCheck))


def check_lines(problems: tuple[str, ...]) -> None:
    """Every problem is one printable line of bounded length, and there are not too many."""
    assert len(problems) <= 25
    assert all(problem.isprintable() and len(problem) < 500 for problem in problems)


def check(text: str) -> None:
    """`text` is refused with such lines, or is a profile that survives being written."""
    problems = problems_of(lambda: Profile.from_toml(text, "p"))
    check_lines(problems)
    if not problems:
        profile = Profile.from_toml(text, "p")
        assert Profile.from_toml(profile.to_toml()) == profile


scalars = (
    st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=20)
    | st.datetimes()
    | st.dates()
    | st.times()
)
names = st.sampled_from(
    ["env", "train", "on", "cpu", "cuda", "name", "config", *(field.leaf for field in static_fields())]
) | st.text(max_size=8)
tables = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=5), max_leaves=12
)


@many
@given(st.dictionaries(names, tables, max_size=5))
def test_any_document(tree: dict[str, Any]) -> None:
    check(tomli_w.dumps(tree))


@many
@given(trees(), st.data())
def test_any_valid_profile_with_wrong_values_put_in(tree: dict[str, Any], data: st.DataObject) -> None:
    for _ in range(data.draw(st.integers(1, 4))):
        table: Any = tree
        while True:
            key = data.draw(st.sampled_from(sorted(table)) if table and data.draw(st.booleans()) else names)
            if not isinstance(table.get(key), dict) or data.draw(st.integers(0, 9)) == 0:
                break
            table = table[key]
        table[key] = data.draw(tables)
    check(tomli_w.dumps(tree))


@many
@given(st.binary(max_size=300) | st.text(alphabet="[]{}.=\"'#\n\t-_1eE,truefalsnivm \\\0", max_size=200))
def test_any_bytes(tmp_path_factory: Any, data: bytes | str) -> None:
    file: Path = tmp_path_factory.getbasetemp() / "junk.toml"
    file.write_bytes(data if isinstance(data, bytes) else data.encode())
    check_lines(problems_of(lambda: Profile.load(file)))


def test_a_shipped_profile_with_bytes_flipped(tmp_path: Path) -> None:
    original = Profile.load("breakout.toml").to_toml().encode()
    generator = random.Random(1)
    file = tmp_path / "flipped.toml"
    for _ in range(300):
        data = bytearray(original)
        for _ in range(generator.randint(1, 4)):
            place = generator.randrange(len(data))
            match generator.randrange(3):
                case 0:
                    data[place] = generator.randrange(256)
                case 1:
                    del data[place : place + generator.randint(1, 30)]
                case _:
                    data[place:place] = bytes(generator.choices(b'[]{}.="\n\x00\xff019', k=generator.randint(1, 8)))
        file.write_bytes(data)
        check_lines(problems_of(lambda: Profile.load(file)))
