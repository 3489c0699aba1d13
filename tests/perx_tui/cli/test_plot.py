"""`perx-tui plot` through the command line."""

from __future__ import annotations

import csv
import importlib.util
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

from perx_tui.cli import main

from ...synthetic_runs import rows, write_run

SVG = "{http://www.w3.org/2000/svg}"
HAS_MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two seeds of an experiment in ./runs, called base, and one that has not ended an episode."""
    monkeypatch.chdir(tmp_path)
    for seed in (1, 2):
        write_run(tmp_path / "runs", f"base-s{seed}", rows([seed * x for x in (1.0, 2.0, 3.0, 4.0)]), seed=seed)
    write_run(tmp_path / "runs", "blank", rows([None, None, None]))
    return tmp_path


def answer(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["plot", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_without_options_the_score_of_a_run_becomes_a_picture_here(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert answer(capsys, "base-s1") == (0, "episode-score.svg\n", "")
    picture = ElementTree.parse(folder / "episode-score.svg").getroot()
    texts = [each.text for each in picture.iter(f"{SVG}text")]
    assert {"base-s1", "environment steps", "4k", "0"} <= set(texts)
    (line,) = picture.iter(f"{SVG}polyline")
    points = [tuple(map(float, point.split(","))) for point in line.attrib["points"].split()]
    assert len(points) == 4
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    assert [y for _, y in points] == sorted((y for _, y in points), reverse=True), "a rising curve rises on the paper"


def test_the_table_has_every_point_of_every_run_and_metric(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = answer(capsys, "base", "--metric", "episode/score", "loss/policy", "--out", "all.csv")
    assert code == 0
    found = table(folder / "all.csv")
    assert len(found) == 16
    assert {row["curve"] for row in found} == {"base-s1", "base-s2"}
    scores = [row for row in found if row["metric"].startswith("episode/score") and row["curve"] == "base-s2"]
    assert [(row["step"], row["value"]) for row in scores] == [
        ("1000", "2"),
        ("2000", "4"),
        ("3000", "6"),
        ("4000", "8"),
    ]


def test_over_time_and_smoothed_the_raw_values_stay_beside(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = answer(capsys, "base-s1", "--x", "time", "--smooth", "0.5", "--out", "t.csv")
    assert code == 0
    found = table(folder / "t.csv")
    assert [row["seconds"] for row in found] == ["2", "4", "6", "8"]
    assert [row["raw"] for row in found] == ["1", "2", "3", "4"]
    values = [float(row["value"]) for row in found]
    assert values == sorted(values)
    assert values[0] == 1.0
    assert values[-1] < 4.0


def test_seeds_become_one_curve_with_an_interval(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, _ = answer(capsys, "base", "--group", "--out", "g.csv")
    assert code == 0
    found = table(folder / "g.csv")
    assert len({row["curve"] for row in found}) == 1
    assert found[0]["curve"].endswith("(2)")
    assert all(float(row["low"]) <= float(row["value"]) <= float(row["high"]) for row in found)
    assert answer(capsys, "base", "--group", "--out", "g.svg")[0] == 0
    assert "<polygon" in (folder / "g.svg").read_text()


def test_a_logarithmic_axis_has_decades(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(folder / "runs", "steep", rows([1.0, 10.0, 0.0, 1000.0, 10_000.0]))
    assert answer(capsys, "steep", "--log", "--out", "s.svg")[0] == 0
    picture = ElementTree.parse(folder / "s.svg").getroot()
    assert {"1", "10", "100", "1000", "10k"} <= {each.text for each in picture.iter(f"{SVG}text")}
    (line,) = picture.iter(f"{SVG}polyline")
    assert len(line.attrib["points"].split()) == 4, "zero has no logarithm"


def test_a_run_that_lacks_the_metric_is_told_and_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = answer(capsys, "base-s1", "blank", "--out", "n.csv")
    assert (code, err) == (0, "perx-tui: note: blank has no episode/score\n")
    assert {row["curve"] for row in table(folder / "n.csv")} == {"base-s1"}


def test_names_cannot_break_out_of_the_picture(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with_mark = rows([1.0, 2.0], **{'loss/<b>&"': 3.0})
    write_run(folder / "runs", "marked", with_mark)
    assert answer(capsys, "marked", "--metric", 'loss/<b>&"', "--out", "m.svg")[0] == 0
    picture = ElementTree.parse(folder / "m.svg").getroot()
    assert any("<b>&" in (each.text or "") for each in picture.iter(f"{SVG}text"))


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "the following arguments are required: RUN"),
        (["base", "--out", "x.gif"], "must end in .csv, .svg, .png or .pdf"),
        (["base", "--out", "nowhere/x.svg"], "there is no folder 'nowhere'"),
        (["base", "--out", "d.svg"], "is a folder; name a file in it"),
        (["base", "--metric", "los/policy"], "did you mean 'loss/policy'?"),
        (["blank"], "no episode has ended in these runs"),
        (["base", "--smooth", "0.9"], "is not a share above 0 and at most 0.5"),
        (["base", "--smooth", "much"], "'much' is not a number"),
        (["base", "--x", "iterations"], "--x: invalid choice: 'iterations'"),
        (["bsae"], "there is no run 'bsae'"),
    ],
)
def test_an_error_is_one_line_and_exit_code_2(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], expected: str
) -> None:
    (folder / "d.svg").mkdir()
    code, out, err = answer(capsys, *arguments)
    assert (code, out) == (2, "")
    assert expected in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("name", ["x.png", "x.pdf"])
def test_without_matplotlib_it_says_how_to_install_it(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("perx_tui.report.picture.missing", lambda: True)
    code, out, err = answer(capsys, "base", "--out", name)
    assert (code, out) == (2, "")
    assert re.fullmatch(r"perx-tui: a \.(png|pdf) file needs matplotlib: pip install 'perx-tui\[plot\]'.*\n", err)
    assert not (folder / name).exists()


@pytest.mark.skipif(not HAS_MATPLOTLIB, reason="matplotlib is an extra")
@pytest.mark.parametrize(("name", "magic"), [("x.png", b"\x89PNG"), ("x.pdf", b"%PDF")])
def test_with_matplotlib_pictures_are_the_same_for_the_same_runs(
    folder: Path, capsys: pytest.CaptureFixture[str], name: str, magic: bytes
) -> None:
    made = []
    for _ in range(2):
        assert answer(capsys, "base", "--metric", "episode/score", "sps", "--smooth", "--out", name)[0] == 0
        made.append((folder / name).read_bytes())
    assert made[0].startswith(magic)
    assert made[0] == made[1]
