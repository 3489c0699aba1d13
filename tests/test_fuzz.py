"""Hostile inputs, a few of each kind: `make fuzz` tries a hundred thousand of each with the same generators."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.measure.fuzz_messages import AnswerFuzzer, RequestFuzzer
from tests.measure.fuzz_profiles import ProfileFuzzer

some = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
randoms = st.randoms(use_true_random=False)


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> ProfileFuzzer:
    return ProfileFuzzer(tmp_path_factory.mktemp("fuzz") / "profile.toml")


@pytest.fixture(scope="module")
def requests() -> Iterator[RequestFuzzer]:
    with RequestFuzzer() as fuzzer:
        yield fuzzer


@pytest.fixture(scope="module")
def answers() -> AnswerFuzzer:
    return AnswerFuzzer()


@some
@given(randoms)
def test_a_profile_is_taken_or_refused_in_short_lines(profiles: ProfileFuzzer, random: Random) -> None:
    assert profiles.try_one(random) in ("taken", "refused")


@some
@given(randoms)
def test_a_request_has_one_answer_and_the_next_one_too(requests: RequestFuzzer, random: Random) -> None:
    assert requests.try_one(random) in ("ok", "malformed", "oversize", "refused")


@some
@given(randoms)
def test_a_viewer_takes_an_answer_or_says_what_is_wrong_with_it(answers: AnswerFuzzer, random: Random) -> None:
    assert answers.try_one(random) in ("taken", "refused")


def test_the_inputs_are_of_every_kind(profiles: ProfileFuzzer, requests: RequestFuzzer, answers: AnswerFuzzer) -> None:
    """A generator whose inputs were all refused for the same reason would prove nothing."""
    for try_one, kinds in (
        (profiles.try_one, {"taken", "refused"}),
        (requests.try_one, {"ok", "malformed", "oversize", "refused"}),
        (answers.try_one, {"taken", "refused"}),
    ):
        assert {try_one(Random(f"kinds {number}")) for number in range(400)} == kinds
