"""Each key takes what its metadata says, and nothing else."""

from __future__ import annotations

import pytest
from profile_strategies import assigned, document, fault, faults, problems_of

from engine.profile import FieldInfo, Profile, checks
from engine.profile.fields import static_fields

FIELDS = [pytest.param(field, id=field.key) for field in static_fields()]
NUMBERS = [pytest.param(field, id=field.key) for field in static_fields() if field.type in ("int", "float")]
INTEGERS = [pytest.param(field, id=field.key) for field in static_fields() if field.type == "int"]


def refused(field: FieldInfo, value: object) -> str:
    """The fault of giving `field` this value."""
    text = fault(lambda: Profile.from_toml(assigned(field, value), "p"))
    assert text.startswith(f"p.toml: {field.key} = ")
    assert " must be " in text
    return text


def allowed(field: FieldInfo, value: object) -> None:
    """`field` takes the value, whatever other keys that must agree with it say."""
    problems = problems_of(lambda: Profile.from_toml(assigned(field, value), "p"))
    assert not [problem for problem in problems if f"must be {field.expectation}" in problem]


@pytest.mark.parametrize("field", FIELDS)
def test_the_default_is_allowed(field: FieldInfo) -> None:
    if field.default is not None:
        profile = Profile.from_toml(assigned(field, field.default), "p")
        assert profile.info(field.key).value == field.default


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", [[], [1], {"x": 1}, {}])
def test_arrays_and_tables_are_refused(field: FieldInfo, value: object) -> None:
    assert " must be " in fault(lambda: Profile.from_toml(assigned(field, value), "p"))


@pytest.mark.parametrize("field", NUMBERS)
@pytest.mark.parametrize("value", [True, False, "1", float("nan"), float("inf"), -float("inf"), 16**400, -(16**400)])
def test_what_is_no_finite_number_is_refused(field: FieldInfo, value: object) -> None:
    """A bool is no number and text is not read as one."""
    refused(field, value)


@pytest.mark.parametrize("field", INTEGERS)
def test_a_whole_number_is_not_read_from_a_fraction(field: FieldInfo) -> None:
    assert "must be a whole number in [" in refused(field, 1.0)


def test_a_number_may_be_written_without_a_point() -> None:
    profile = Profile.from_toml(document("[train]", "gamma = 1", "[on.cuda.train]", "gamma = 0"))
    assert repr(profile.train.gamma) == "1.0"
    assert repr(profile.for_device("cuda").train.gamma) == "0.0"


@pytest.mark.parametrize("field", NUMBERS)
def test_the_bounds_hold(field: FieldInfo) -> None:
    assert field.low is not None
    assert field.high is not None
    for bound, is_open, beyond in ((field.low, field.low_open, -1), (field.high, field.high_open, 1)):
        if is_open:
            refused(field, bound)
        else:
            allowed(field, bound)
        assert field.range in refused(field, bound + beyond)


@pytest.mark.parametrize("field", [field for field in FIELDS if field.values[0].choices])
def test_a_word_must_be_one_of_the_choices(field: FieldInfo) -> None:
    misspelt = field.choices[0][:-1]
    assert f'did you mean "{field.choices[0]}"?' in refused(field, misspelt)
    for choice in field.choices:
        assert f'"{choice}"' in refused(field, "quux")
    refused(field, 3)
    refused(field, True)


@pytest.mark.parametrize("field", [field for field in FIELDS if field.values[0].type == "bool"])
@pytest.mark.parametrize("value", [0, 1, "true", 1.0])
def test_a_bool_is_true_or_false(field: FieldInfo, value: object) -> None:
    assert "must be true or false" in refused(field, value)


@pytest.mark.parametrize("value", ["gpu", "cuda:", "cuda:-1", "cuda:x", "CPU", "cpu\n", "", 0])
def test_the_device_is_one_that_can_be_named(value: object) -> None:
    field = next(field for field in static_fields() if field.key == "train.device")
    assert 'must be "auto", "cpu", "cuda" or "cuda:N"' in refused(field, value)


def test_the_message_is_the_documented_one() -> None:
    assert fault(lambda: Profile.from_toml(document("[train]", 'learning_rate = "fast"'), "breakout")) == (
        'breakout.toml: train.learning_rate = "fast" must be a number in (0, 10]; write e.g. learning_rate = 0.015'
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[train]\nlearnin_rate = 1", "train.learnin_rate is not a key; did you mean train.learning_rate?"),
        ("[train]\nlr = 1", "train.lr is not a key; did you mean train.learning_rate?"),
        ("[train]\nagents = 1", "train.agents is not a key; did you mean env.agents?"),
        ("[trian]\nseed = 1", "trian is not a section; did you mean [train]?"),
        ("[replay]\nquux = 1", "replay.quux is not a key; [replay] has scheme, alpha, beta0, metric, "),
        ("[quux]", "quux is not a section; there are env, policy, train, replay, run, alarms and ui"),
        ("[on.gpu]", "on.gpu is not a device; there are on.cpu and on.cuda"),
        ("[on.cud]", "on.cud is not a device; did you mean on.cuda?"),
    ],
)
def test_an_unknown_key_is_told_with_the_one_that_was_meant(text: str, expected: str) -> None:
    assert fault(lambda: Profile.from_toml(document(text), "p")).startswith(f"p.toml: {expected}")


def test_a_key_outside_its_section_is_told_with_it() -> None:
    assert fault(lambda: Profile.from_toml('seed = 1\n[env]\nname = "maze"', "p")) == (
        "p.toml: seed is not a section; did you mean train.seed?"
    )


@pytest.mark.parametrize("section", ["policy", "train", "replay", "run", "ui", "on"])
@pytest.mark.parametrize("value", ["3", "[]", "'text'", "[[1]]"])
def test_a_section_must_be_a_table(section: str, value: str) -> None:
    text = fault(lambda: Profile.from_toml(f"{section} = {value}\n{document()}", "p"))
    assert text.startswith(f"p.toml: {section} = ")
    assert "must be a table" in text


@pytest.mark.parametrize("text", ["", "[env]", "[train]\nseed = 1", "[env]\nagents = 512"])
def test_a_profile_names_its_environment(text: str) -> None:
    assert fault(lambda: Profile.from_toml(text, "p")) == (
        'p.toml: env.name is missing; write name = "breakout" below [env]'
    )


@pytest.mark.parametrize("value", ["'breakot'", "3", "true", "['breakout']"])
def test_the_environment_must_exist(value: str) -> None:
    text = fault(lambda: Profile.from_toml(f"[env]\nname = {value}", "p"))
    assert 'must be "breakout", "maze", "bandit", ' in text


def test_the_settings_of_the_environment_are_checked_and_resolved() -> None:
    profile = Profile.from_toml(document("[env.config]", "frame_skip = 2"))
    assert profile.env.config["frame_skip"] == 2
    assert set(profile.env.config) == {each.leaf for each in profile.fields() if each.section == "env.config"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[env.config]\nframe_skp = 2", "env.config.frame_skp is not a setting of breakout; did you mean frame_skip?"),
        ("[env.config]\nframe_skip = true", "env.config.frame_skip = true must be a whole number in ["),
        ("[env.config]\nframe_skip = 4.0", "env.config.frame_skip = 4.0 must be a whole number in ["),
        ("[env.config]\nframe_skip = 'x'", 'env.config.frame_skip = "x" must be a whole number in ['),
        ("[env.config]\nframe_skip = -1", "env.config.frame_skip = -1 must be a whole number in ["),
        ("[env.config]\nframe_skip = nan", "env.config.frame_skip = nan must be a whole number in ["),
        ("[env]\nconfig = 3", "env.config = 3 must be a table; write [env.config] and its keys below"),
    ],
)
def test_a_wrong_setting_of_the_environment_is_told(text: str, expected: str) -> None:
    text = text if text.startswith("[env]") else f"[env]\n{text}"
    whole = text.replace("[env]\n", '[env]\nname = "breakout"\n', 1)
    assert fault(lambda: Profile.from_toml(whole, "p")).startswith(f"p.toml: {expected}")


def test_every_fault_is_told_at_once() -> None:
    text = "[env]\nname = 'maze'\nagent = 1\n[train]\ngamma = 2\nclip = 'x'\n[on.cuda.train]\nhorizon = 0\n[x]\n"
    assert [each.split()[1] for each in faults(lambda: Profile.from_toml(text, "p", ["replay.alpha=-1"]))] == [
        "env.agent",
        "train.gamma",
        "train.clip",
        "replay.alpha=-1",
        "x",
        "on.cuda.train.horizon",
    ]


def test_of_many_faults_the_first_are_told_and_the_rest_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only for those that are told the key that was meant is looked for: that takes time, and a file may hold many."""
    looked_for = 0

    def counted(*arguments: object, **options: object) -> None:
        nonlocal looked_for
        looked_for += 1

    monkeypatch.setattr(checks, "closest", counted)
    for table in ("[train]", "[env.config]"):
        text = document(table, *(f"learning_rat{index} = 1" for index in range(10_000)))
        problems = faults(lambda text=text: Profile.from_toml(text, "p"))
        assert len(problems) == 21
        assert problems[-1] == "p.toml: and 9980 more faults"
    assert looked_for < 100


def test_at_least_two_checkpoints_are_kept() -> None:
    """The newest may turn out to be damaged."""
    assert "must be a whole number in [2, " in fault(
        lambda: Profile.from_toml(document("[run]", "keep_checkpoints = 1"))
    )


def test_long_values_are_cut_and_control_characters_escaped() -> None:
    problems = faults(
        lambda: Profile.from_toml(
            document(
                "[train]",
                f'schedule = "{"x" * 100_000}"',
                'optimizer = "\\u001b[31m\\u0007\\u202e"',
                f'"\\u001b[2J{"k" * 1000}" = 1',
                f"gamma = 0x{'f' * 100_000}",
                f"clip = [{'[],' * 1000}]",
                "horizon = 1979-05-27T07:32:00Z",
            ),
            "p",
        )
    )
    text = "\n".join(problems)
    assert "\\x1b[31m\\x07\\u202e" in text
    assert "train.\\x1b[2Jkkk" in text
    assert "train.gamma = an integer of more than 64 bits must be" in text
    assert "train.clip = [...] must be" in text
    assert "train.horizon = 1979-05-27 07:32:00+00:00 must be" in text
    assert all(len(problem) < 250 for problem in problems)


def test_a_profile_cannot_be_changed_in_place() -> None:
    profile = Profile.from_toml(document())
    with pytest.raises(Exception, match="frozen"):
        profile.train.gamma = 0.5
    with pytest.raises(AttributeError):
        profile.name = "x"  # type: ignore[misc]
    with pytest.raises(TypeError):
        profile.env.config["frame_skip"] = 1  # type: ignore[index]
