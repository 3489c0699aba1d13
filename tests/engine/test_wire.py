"""Messages of `control.sock`: what is written comes back equal, and what is not a message is told in one line."""

from __future__ import annotations

import dataclasses
import json
import math
from types import MappingProxyType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import wire
from engine.snapshot import Clip, Frame, LogLine, Memory, Phase, ReplayView, Snapshot, Spectacle, SpectatorFrame
from engine.wire import SnapshotWriter, WireError

floats = st.floats(allow_nan=False)
counts = st.integers(0, 2**62)
frames = st.builds(Frame, st.binary(max_size=50), st.integers(0, 9), floats, floats, st.booleans())
shown = st.builds(
    SpectatorFrame,
    counts,
    st.binary(max_size=50),
    st.integers(0, 9),
    st.tuples(floats, floats),
    floats,
    floats,
    counts,
    counts,
    floats,
    st.booleans(),
)
snapshots = st.builds(
    Snapshot,
    sequence=counts,
    state=st.sampled_from(["starting", "running", "paused", "saving", "finished", "failed", "stopped"]),
    stage=st.text(max_size=20),
    run=st.text(max_size=20),
    step=counts,
    elapsed=floats,
    steps_per_second=st.none() | floats,
    metrics=st.dictionaries(st.text(max_size=8), floats, max_size=5).map(MappingProxyType),
    phases=st.lists(st.builds(Phase, st.text(max_size=9), floats), max_size=3).map(tuple),
    memory=st.builds(Memory, process=st.none() | counts, gpu_name=st.none() | st.text(max_size=9)),
    replay=st.builds(ReplayView, uses_histogram=st.lists(counts, max_size=4).map(tuple)),
    clip=st.none() | st.builds(Clip, counts, counts, st.lists(frames, max_size=3).map(tuple)),
    log=st.lists(st.builds(LogLine, floats, st.sampled_from(["info", "error"]), st.text(max_size=9)), max_size=3).map(
        tuple
    ),
    spectacle=st.none()
    | st.builds(Spectacle, st.lists(shown, max_size=3).map(tuple), scores=st.tuples(floats, floats)),
    error=st.none() | st.text(max_size=30),
)


def read(text: str, known: Snapshot | None = None) -> Snapshot:
    return dataclasses.replace(known or Snapshot(), **wire.decode_fields(json.loads(text)))


@settings(max_examples=60, deadline=None)
@given(snapshots, snapshots)
def test_a_snapshot_and_the_changes_to_the_next_one_come_back_equal(first: Snapshot, second: Snapshot) -> None:
    writer = SnapshotWriter()
    got = read(writer.write(first, None))
    assert got == first
    assert read(writer.write(second, first), got) == second


def test_what_has_not_changed_is_not_sent_again() -> None:
    first = Snapshot(sequence=1, run="a", metrics={"step": 1.0}, log=(LogLine(1.0, "info", "x"),))
    second = dataclasses.replace(first, sequence=2, stage="collect")
    assert json.loads(SnapshotWriter().write(second, first)) == {"sequence": 2, "stage": "collect"}


def test_numbers_that_are_not_finite_come_back() -> None:
    got = read(SnapshotWriter().write(Snapshot(metrics={"a": math.nan, "b": math.inf, "c": -math.inf}), None))
    assert math.isnan(got.metrics["a"])
    assert (got.metrics["b"], got.metrics["c"]) == (math.inf, -math.inf)


def test_a_long_clip_is_cut_and_a_huge_one_left_out() -> None:
    """An answer stays below the bound of its line whatever the environment's states weigh."""
    long = Clip(0, 1, (Frame(b"x", 0, 0.0, 0.0, False),) * 2000)
    got = read(SnapshotWriter().write(Snapshot(clip=long), None)).clip
    assert got is not None
    assert got.frames == long.frames[: wire.CLIP_FRAMES]
    huge = Clip(0, 1, (Frame(b"x" * 20_000, 0, 0.0, 0.0, False),) * 600)
    assert read(SnapshotWriter().write(Snapshot(clip=huge), None)).clip is None


@pytest.mark.parametrize(
    ("line", "text"),
    [
        (b"", "the line is not JSON"),
        (b"\xff", "the line is not UTF-8"),
        (b"[1]", "not a JSON object"),
        (b"[" * 60_000, "nest too deeply"),
        (b'{"do": "dance"}', "do must be one of hello, snapshot"),
        (b'{"do": ["stop"]}', "do must be one of"),
        (b'{"do": "pause", "id": -1}', "id must be"),
        (b'{"do": "pause", "id": true}', "id must be"),
        (b'{"do": "pause", "now": 1}', "pause takes no argument 'now'"),
        (b'{"do": "stop"}', "checkpoint must be true or false"),
        (b'{"do": "stop", "checkpoint": 1}', "checkpoint must be true or false"),
        (b'{"do": "watch", "environment": 1.5}', "environment must be int or str"),
        (b'{"do": "spectate"}', "wanted must be true or false"),
        (b'{"do": "direct", "act": "speed", "value": "x"}', "value must be a number"),
        (b'{"do": "direct", "act": "speed", "value": NaN}', "NaN"),
        (b'{"do": "history", "since": 1e3}', "since must be a whole number"),
        (b'{"do": "history", "since": 9223372036854775808}', "since must be a whole number"),
        (b'{"do": "set", "key": "a", "value": null}', "value must be str or bool or int or float"),
        (b'{"do": "set", "key": "a", "value": NaN}', "NaN"),
        (b'{"do": "set", "key": "a", "value": {}}', "value must be"),
    ],
)
def test_a_request_that_will_not_do_is_told_in_one_line(line: bytes, text: str) -> None:
    with pytest.raises(WireError, match=text.replace("[", r"\[")) as caught:
        wire.read_request(line)
    assert "\n" not in str(caught.value)


json_values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=6,
)
nearly = st.fixed_dictionaries(
    {},
    optional={
        "id": json_values,
        "do": st.sampled_from(list(wire.REQUESTS)) | json_values,
        "since": json_values,
        "key": json_values,
        "value": json_values,
        "environment": json_values,
        "checkpoint": json_values,
    },
).map(lambda value: json.dumps(value).encode())


@settings(max_examples=400, deadline=None)
@given(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()) | nearly)
def test_any_line_is_a_request_or_a_typed_error(line: bytes) -> None:
    try:
        request = wire.read_request(line)
    except WireError:
        return
    assert request.arguments.keys() == wire.REQUESTS[request.do].keys()


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(Snapshot)]), json_values, max_size=3))
def test_any_answer_is_a_snapshot_or_a_typed_error(fields: dict[str, Any]) -> None:
    """A viewer does not trust a run's process either."""
    try:
        taken = wire.decode_fields(fields)
    except WireError:
        return
    assert taken.keys() == fields.keys()
