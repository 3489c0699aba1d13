"""Metrics and events: one JSON object a line, readable while they are written and after any crash."""

from __future__ import annotations

import itertools
import json
import math
import os
import stat
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from engine import json_lines
from engine.durable import Disk
from engine.errors import RunError
from engine.json_lines import JsonLinesWriter, read_records, read_samples, read_tail


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "metrics.jsonl"


def write(path: Path, *records: dict[str, object]) -> None:
    writer = JsonLinesWriter(path)
    for record in records:
        writer.append(record)
    writer.close()


def test_records_come_back_in_order_and_the_file_is_private(path: Path) -> None:
    write(path, {"step": 1, "loss/policy": 0.1}, {"step": 2, "text": "ü\n\x1b"})
    assert read_records(path) == [{"step": 1, "loss/policy": 0.1}, {"step": 2, "text": "ü\n\x1b"}]
    assert path.read_bytes().count(b"\n") == 2
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_record_is_one_write_of_one_whole_line(path: Path) -> None:
    lines: list[bytes] = []

    class Witness(Disk):
        chunk_bytes = 4

        def write(self, descriptor: int, data: memoryview) -> int:
            lines.append(bytes(data))
            return super().write(descriptor, data)

    writer = JsonLinesWriter(path, Witness())
    writer.append({"a": "x" * 100})
    writer.append({"b": 2})
    assert [json.loads(line) for line in lines] == [{"a": "x" * 100}, {"b": 2}]
    assert all(line.endswith(b"\n") for line in lines)
    writer.close()


def test_a_record_is_there_for_a_reader_at_once(path: Path) -> None:
    writer = JsonLinesWriter(path)
    writer.append({"step": 1})
    assert read_records(path) == [{"step": 1}]
    writer.close()


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, torch.tensor(math.nan), np.float32("inf")])
def test_numbers_that_json_lacks_are_written_as_null(path: Path, bad: object) -> None:
    write(path, {"a": bad, "nested": {"b": [bad, 1.0]}, "c": 2.5})
    assert b"NaN" not in path.read_bytes()
    assert b"Infinity" not in path.read_bytes()
    assert read_records(path) == [{"a": None, "nested": {"b": [None, 1.0]}, "c": 2.5}]


def test_numbers_of_numpy_and_torch_are_written_as_numbers(path: Path) -> None:
    write(path, {"a": np.float32(0.5), "b": np.int64(3), "c": torch.tensor(4), "d": Path("x")})
    assert read_records(path) == [{"a": 0.5, "b": 3, "c": 4, "d": "x"}]


@pytest.mark.parametrize("torn", [b'{"step": 2', b'{"step": 2}', b"\x00\x00\x00", b"\xff"])
def test_a_torn_last_line_is_left_out_and_cut_off_by_the_next_writer(path: Path, torn: bytes) -> None:
    """A line without its end may be half a number: it does not count, even if it parses."""
    write(path, {"step": 1})
    with open(path, "ab") as file:
        file.write(torn)
    assert read_records(path) == [{"step": 1}]
    write(path, {"step": 3})
    assert path.read_bytes() == b'{"step":1}\n{"step":3}\n'


def test_a_file_of_one_torn_line_longer_than_a_block_is_begun_anew(path: Path) -> None:
    path.write_bytes(b"x" * 100_000)
    write(path, {"step": 1})
    assert path.read_bytes() == b'{"step":1}\n'


def test_foreign_lines_are_left_out(path: Path) -> None:
    path.write_bytes(b'junk\n\n[1]\n3\n{"step": 1}\n\xff\xfe\n' + b"[" * 100_000 + b'\n{"x": NaN}\n{"step": 2}\n')
    assert read_records(path) == [{"step": 1}, {"x": None}, {"step": 2}]


@pytest.mark.parametrize("limit", [0, 1, 7, 999, 1000, 5000])
def test_the_last_records_are_read_from_the_end(path: Path, limit: int) -> None:
    records: list[dict[str, object]] = [{"step": step, "filler": "x" * (step % 300)} for step in range(1000)]
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    assert read_records(path, limit) == (records[-limit:] if limit else [])


def test_the_tail_reads_no_more_than_it_is_told(path: Path) -> None:
    path.write_text("".join(f'{{"step":{step:4d}}}\n' for step in range(1000)))
    line = len('{"step":   0}\n')
    assert [record["step"] for record in read_tail(path, 3 * line)] == [998, 999]
    assert [record["step"] for record in read_tail(path, 10**6)] == list(range(1000))


def test_what_is_no_file_reads_as_empty(path: Path) -> None:
    assert read_records(path) == []
    path.mkdir()
    assert read_records(path) == []
    assert read_records(path, 5) == []
    path.rmdir()
    os.mkfifo(path)
    assert read_tail(path) == []


def test_what_is_cut_off_goes_from_the_end_and_appending_goes_on(path: Path) -> None:
    writer = JsonLinesWriter(path)
    for step in range(5):
        writer.append({"step": step})
    assert writer.cut_after(lambda record: record["step"] < 3) == 2
    writer.append({"step": 9})
    writer.close()
    assert [record["step"] for record in read_records(path)] == [0, 1, 2, 9]
    assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize("count", [0, 1, 7, 500])
@pytest.mark.parametrize("kept", [-1, 0, 3, 499])
def test_what_is_cut_off_is_what_a_slow_reading_leaves_out(path: Path, count: int, kept: int) -> None:
    """Over several pieces that are read, with lines of other programs and one longer than a piece among them."""
    lines = [json.dumps({"step": step, "text": "x" * (40_000 if step == 4 else step)}) for step in range(count)]
    path.write_text("".join(f"{line}\nno record\n" for line in lines))
    writer = JsonLinesWriter(path)
    dropped = writer.cut_after(lambda record: record["step"] <= kept)
    writer.close()
    left = [record["step"] for record in read_records(path)]
    assert left == [step for step in range(count) if step <= kept]
    assert dropped == count - len(left)


def test_a_cut_reads_no_more_than_goes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = JsonLinesWriter(path)
    for step in range(5000):
        writer.append({"step": step})
    parsed: list[bytes] = []
    whole = json_lines._parsed
    monkeypatch.setattr(json_lines, "_parsed", lambda data: parsed.append(data) or whole(data))
    before = path.stat().st_size
    assert writer.cut_after(lambda record: record["step"] <= 4997) == 2
    assert len(parsed) == 3
    assert before - path.stat().st_size == len('{"step":4998}\n') * 2


def test_what_cannot_be_written_is_a_run_error(path: Path) -> None:
    path.mkdir()
    with pytest.raises(RunError, match=r"cannot write metrics\.jsonl"):
        JsonLinesWriter(path).append({"step": 1})


def test_a_short_write_is_taken_back(path: Path) -> None:
    class Stingy(Disk):
        short = True

        def write(self, descriptor: int, data: memoryview) -> int:
            return super().write(descriptor, data[:4] if self.short else data)

    disk = Stingy()
    writer = JsonLinesWriter(path, disk)
    with pytest.raises(RunError, match="No space"):
        writer.append({"step": 1})
    disk.short = False
    writer.append({"step": 2})
    writer.close()
    assert path.read_bytes() == b'{"step":2}\n'


@given(data=st.binary(max_size=300))
def test_any_bytes_read_without_an_error(data: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(data)
    assert read_records(path) == read_tail(path, 10**6)


@pytest.mark.parametrize("length", [0, 1, 2, 5, 9, 1000])
def test_samples_are_spread_over_the_whole_file_and_end_with_the_last_record(tmp_path: Path, length: int) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": step, "filler": "x" * (step % 7)}) + "\n" for step in range(length)))
    steps = [record["step"] for record in read_samples(path, 10)]
    assert steps == sorted(set(steps))
    assert len(steps) <= 10
    assert steps[-1:] == list(range(length))[-1:]
    assert steps[:1] == list(range(length))[:1]
    if length == 1000:
        gaps = [after - before for before, after in itertools.pairwise(steps)]
        assert len(steps) == 10
        assert max(gaps) < 130, "a tenth of the file is nowhere left out"


def test_samples_pass_over_torn_and_foreign_lines(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_samples(path, 5) == []
    path.write_text('{"step": 1}\nnonsense\n{"step": 3}\n{"step": 4')
    assert [record["step"] for record in read_samples(path, 50)] == [1, 3]


def test_samples_of_a_long_file_read_little_of_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(json.dumps({"step": 1, "filler": "x" * 200}) + "\n")
    path.write_bytes(path.read_bytes() * 50_000)
    parsed = 0
    loads = json.loads

    def counting(*args: object, **kwargs: object) -> object:
        nonlocal parsed
        parsed += 1
        return loads(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(json, "loads", counting)
    assert len(read_samples(path, 100)) == 99, "the records are equal, so that the last one counts as taken"
    assert parsed < 300
