"""What ships, told as tables for people and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from engine import ENVIRONMENTS, Profile
from perx_tui.commands.profiles import first_comment

from .conftest import Answer

SHIPPED = Path(__file__).resolve().parents[3] / "profiles"


def test_every_shipped_profile_is_listed_with_its_first_comment(perx_tui: Callable[..., Answer]) -> None:
    listed = json.loads(perx_tui("profiles", "--json").out)
    assert {each["name"] for each in listed} == {path.name for path in SHIPPED.glob("*.toml")}
    assert all(each["description"] for each in listed)
    table = perx_tui("profiles").out
    assert all(each["name"] in table and each["description"] in table for each in listed)


def test_a_profiles_first_comment_is_its_description(tmp_path: Path) -> None:
    path = tmp_path / "p.toml"
    path.write_text('\n#  What it is.  \n# More.\n[env]\nname = "breakout"\n')
    assert first_comment(path) == "What it is."
    path.write_text('[env]\nname = "breakout"\n')
    assert first_comment(path) == ""


def test_every_key_of_a_profile_is_explained(perx_tui: Callable[..., Answer]) -> None:
    keys = json.loads(perx_tui("profiles", "breakout", "--json").out)
    values = {each["key"]: each["value"] for each in keys}
    assert values == {field.key: field.value for field in Profile.load("breakout").fields()}
    assert all(each["help"] for each in keys)
    table = perx_tui("profiles", "breakout").out
    assert all(key in table for key in values)


def test_the_environments_and_their_settings_are_listed(perx_tui: Callable[..., Answer]) -> None:
    assert [each["name"] for each in json.loads(perx_tui("envs", "--json").out)] == list(ENVIRONMENTS)
    settings = json.loads(perx_tui("envs", "breakout", "--json").out)
    assert [each["key"] for each in settings] == [
        f"env.config.{each.name}" for each in ENVIRONMENTS["breakout"].settings
    ]
    assert "env.config.frame_skip" in perx_tui("envs", "breakout").out
    assert "maze" in perx_tui("envs").out


def test_a_folder_without_runs_is_no_error(perx_tui: Callable[..., Answer]) -> None:
    assert perx_tui("runs", "--json").out == "[]\n"
    answer = perx_tui("runs")
    assert (answer.code, answer.out) == (0, "")
    assert "no runs in runs" in answer.err


def test_a_reader_that_leaves_a_table_is_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    from perx_tui import cli

    class Gone:
        def configure(self, parser: object) -> None: ...

        def run(self, arguments: object) -> int:
            raise BrokenPipeError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(cli, "_load", lambda name: Gone())
        patch.setattr(cli, "abandon_stdout", lambda: None)
        assert cli.main(["runs"]) == 0
    assert capsys.readouterr().err == ""


@pytest.mark.alone
def test_a_benchmark_ends_with_one_object(perx_tui: Callable[..., Answer], tmp_path: Path) -> None:
    from ..program import TINY

    (tmp_path / "tiny.toml").write_text(TINY)
    answer = perx_tui("bench", "--profile", "tiny.toml", "--repeat", "2", "--json")
    assert answer.code == 0
    report = json.loads(answer.out)
    assert report["sps"] > 0
    assert report["share"] > 0
    accounted = sum(report["phases"].values()) + report["unaccounted_seconds"]
    assert accounted == pytest.approx(report["iteration_seconds"], rel=0.05)
