"""Hostile messages to a run's socket, and hostile answers to a viewer.

Requests go over a real socket to a real server in front of a real session: each line has one answer, a typed refusal is
one printable line, and the next line, or the next viewer, is served. Answers go through what a viewer reads them with:
what they say, or a WireError.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import json
import socket
import tempfile
from pathlib import Path
from random import Random
from types import MappingProxyType
from typing import Any

from engine import Clip, Frame, LogLine, Phase, Profile, Snapshot, TrainingSession, control_server, wire
from engine.control_server import SOCKET, ControlServer, connect
from engine.wire import MAX_REQUEST, REQUESTS, WireError

from . import hostile

ANSWER_SECONDS = 20.0
LONGEST_TEXT = 2_000


class RequestFuzzer:
    """A server with a session that does not train, and viewers that mean no good. Use as a context."""

    def __init__(self) -> None:
        # What serving may take of a core is another matter, tested elsewhere: here it would only make one wait.
        self._share, control_server.CPU_SHARE = control_server.CPU_SHARE, 1.0
        self._folder = tempfile.TemporaryDirectory()
        self._session = TrainingSession(Profile.load("breakout.toml"), runs=Path(self._folder.name))
        self._server = ControlServer(self._session, Path(self._folder.name))
        self._server.start()
        self._connection: socket.socket | None = None
        self._reader: Any = None
        self._keys = tuple(info.key for info in self._session.profile.fields())

    def __enter__(self) -> RequestFuzzer:
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()
        self._server.close(patience=0)
        self._folder.cleanup()
        control_server.CPU_SHARE = self._share

    def try_one(self, random: Random) -> str:
        """Send one line; the kind of the answer. AssertionError where it is not answered as it must be."""
        if self._connection is None:
            self._connection = connect(Path(self._folder.name) / SOCKET, ANSWER_SECONDS)
            self._reader = self._connection.makefile("rb")
        line = self.line(random)
        try:
            self._connection.sendall(line + b"\n")
            answer = self._reader.readline()
        except ConnectionError:
            # The server has parted while the rest of an oversize line was being sent.
            assert len(line) > MAX_REQUEST, line[:200]
            self._leave()
            return "oversize"
        assert answer.endswith(b"\n"), (answer[:200], line[:200])
        kind = _judge(json.loads(answer), line)
        if kind in ("malformed", "oversize"):
            with contextlib.suppress(ConnectionError):
                assert not self._reader.readline(), "the server goes on after a bad message"
            self._leave()
        elif random.random() < 0.01:
            self._leave()
        return kind

    def _leave(self) -> None:
        if self._connection is not None:
            self._reader.close()
            self._connection.close()
            self._connection = None

    def line(self, random: Random) -> bytes:
        """One line without its end."""
        match random.randrange(24):
            case 0:
                return random.randbytes(random.choice((0, 1, 20, 300))).replace(b"\n", b"")
            case 1:
                return hostile.nested(random, *random.choice((("[", "]"), ('{"a":', "}")))).encode()[: MAX_REQUEST + 50]
            case 2 | 3:
                return hostile.mutated(random, json.dumps(self._request(random)).encode()).replace(b"\n", b"")
            case 4 if random.random() < 0.1:
                return b'{"do": "hello", "x": "' + b"y" * random.choice(
                    (MAX_REQUEST - 40, MAX_REQUEST, 3 * MAX_REQUEST)
                )
            case 5:
                return json.dumps(hostile.value(random)).encode()
        return json.dumps(self._request(random), ensure_ascii=random.random() < 0.5).encode("utf-8", "replace")

    def _request(self, random: Random) -> dict[str, Any]:
        """A request whose form is right, mostly, and whose values are not."""
        do = random.choice((*REQUESTS, *("set",) * 8, "show_segment", "watch", "history", "snapshot"))
        message: dict[str, Any] = {"id": random.randrange(1000), "do": do}
        for key in REQUESTS[do]:
            if random.random() < 0.95:
                message[key] = self._argument(random, key)
        match random.randrange(30):
            case 0:
                message["id"] = hostile.value(random)
            case 1:
                message["do"] = random.choice(
                    (hostile.value(random, 1), "__init__", "close", "_answer", "start", "set ")
                )
            case 2:
                message[hostile.text(random)] = hostile.value(random)
        return message

    def _argument(self, random: Random, key: str) -> object:
        if random.random() < 0.1:
            return hostile.value(random)
        match key:
            case "key":
                return random.choice(self._keys)
            case "by":
                return random.choice(("priority", "uses", "age", "random", "index", "_by", hostile.text(random)))
            case "wanted" | "checkpoint":
                return random.random() < 0.5
            case "value":
                return random.choice((*hostile.INTEGERS, *hostile.FLOATS, *hostile.TEXTS, True, 0.01, 0.5, 0.9, "rank"))
        return random.choice(hostile.INTEGERS[:7])


def _judge(answer: Any, line: bytes) -> str:
    """The kind of an answer: "ok" or that of the refusal."""
    assert isinstance(answer, dict), answer
    if answer["ok"] is True:
        return "ok"
    assert answer["ok"] is False, answer
    assert answer["error"] in ("malformed", "oversize", "refused"), (answer, line[:300])
    text = answer["text"]
    assert 0 < len(text) < LONGEST_TEXT, (text[:300], line[:300])
    assert all(part.isprintable() for part in text.split("\n")), (text, line[:300])
    return str(answer["error"])


class AnswerFuzzer:
    """What a viewer makes of what it is sent."""

    def __init__(self) -> None:
        frames = tuple(Frame(bytes(range(40)), 1, 0.5, 0.25, False) for _ in range(3))
        snapshot = Snapshot(
            sequence=7,
            state="running",
            run="a",
            metrics=MappingProxyType({"step": 1.0, "iteration": 1.0}),
            phases=(Phase("collect/env", 0.25),),
            clip=Clip(1, 2, frames),
            log=(LogLine(1.5, "info", "text"),),
        )
        fields = json.loads(wire.SnapshotWriter().write(snapshot, None))
        rows = [{"iteration": number, "loss": "nan" if number == 2 else 0.5} for number in range(3)]
        self._answer = {"id": 1, "ok": True, "snapshot": fields, "rows": rows, "more": False}

    def try_one(self, random: Random) -> str:
        """Read one answer; "taken" or "refused"."""
        answer = json.loads(json.dumps(self._answer))
        for _ in range(random.choice((0, 1, 1, 3))):
            _put(random, answer)
        data = json.dumps(answer).encode()
        if random.random() < 0.4:
            data = hostile.mutated(random, data)
        try:
            read = wire.read_object(data)
            dataclasses.replace(Snapshot(), **wire.decode_fields(read.get("snapshot")))
            wire.decode_rows(read.get("rows"))
        except WireError as error:
            text = str(error)
        else:
            return "taken"
        assert 0 < len(text) < LONGEST_TEXT, text
        return "refused"


def _put(random: Random, node: Any) -> None:
    """Exchange something in a tree, or take it away."""
    while isinstance(node, dict | list) and node:
        key = random.choice(list(node)) if isinstance(node, dict) else random.randrange(len(node))
        inner = node[key]
        if not isinstance(inner, dict | list) or not inner or random.random() < 0.3:
            if random.random() < 0.2:
                del node[key]
            else:
                node[key] = random.choice((hostile.value(random), base64.b64encode(random.randbytes(9)).decode(), None))
            return
        node = inner
