"""The benchmark command measures and reports; how fast a machine is, it only tells."""

from __future__ import annotations

import json

import pytest

import c_envs
from c_envs import bench


def test_json_has_a_measurement_for_each_environment(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["--json", "--seconds", "0.02", "--environments", "64"]) == 0
    found = json.loads(capsys.readouterr().out)["measurements"]
    assert {row["environment"] for row in found} == set(c_envs.ENVIRONMENTS)
    assert 1 in {row["threads"] for row in found}
    for row in found:
        assert row["environments"] == 64
        assert 0 < row["steps_per_second"] <= row["best"]


def test_the_table_names_what_was_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench.main(["maze", "--seconds", "0.02", "--environments", "8"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:3] == ["environment", "environments", "threads"]
    assert all(line.split()[:2] == ["maze", "8"] for line in lines[1:])


@pytest.mark.parametrize("arguments", [["pong"], ["--environments", "0"]])
def test_a_wrong_argument_is_one_line_and_exit_code_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stopped:
        bench.main(arguments)
    assert stopped.value.code == 2
    assert "Traceback" not in capsys.readouterr().err
