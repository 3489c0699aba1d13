"""The socket of a run: who may talk, what a bad, slow or busy viewer costs, and what is left when the run ends."""

from __future__ import annotations

import dataclasses
import json
import os
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine import Profile, ProfileError, RunError, Snapshot, control_server
from engine.control_server import SOCKET, ControlServer, connect
from engine.wire import MAX_REQUEST
from tests.engine.conftest import tiny_profile


class FakeSession:
    """A session that notes what it is told."""

    def __init__(self) -> None:
        self.profile: Profile = tiny_profile()
        self.watched: int | None = None
        self.now = Snapshot(sequence=1, state="running", run="fake")
        self.rows: list[dict[str, float]] = [{"iteration": n, "loss": n / 3} for n in range(1, 451)]
        self.told: list[tuple[Any, ...]] = []

    def snapshot(self) -> Snapshot:
        return self.now

    def history(self, since: int = 0, limit: int | None = None) -> list[Any]:
        return [row for row in self.rows if row["iteration"] > since][:limit]

    def set(self, key: str, value: object) -> None:
        self.profile = self.profile.with_value(key, value)

    def watch(self, environment: int | None) -> None:
        if environment == 99:
            raise ValueError("environment 99: there are 8, 0 to 7")
        self.watched = environment

    def spectate(self, wanted: bool, viewer: str) -> None:
        self.told.append(("spectate", wanted, viewer))

    def __getattr__(self, name: str) -> Callable[..., None]:
        return lambda **arguments: self.told.append((name, *arguments.values()))


@pytest.fixture
def session() -> FakeSession:
    return FakeSession()


@pytest.fixture
def server(session: FakeSession, tmp_path: Path) -> Iterator[ControlServer]:
    server = ControlServer(session, tmp_path)  # type: ignore[arg-type]
    server.start()
    yield server
    server.close(patience=0)


class Client:
    def __init__(self, folder: Path) -> None:
        self.socket = connect(folder / SOCKET, 10)
        self.file = self.socket.makefile("rb")

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def read(self) -> Any:
        line = self.file.readline()
        return json.loads(line) if line else None

    def ask(self, do: str, **arguments: object) -> Any:
        self.send(json.dumps({"id": 5, "do": do, **arguments}).encode() + b"\n")
        return self.read()

    def close(self) -> None:
        self.file.close()
        self.socket.close()


@pytest.fixture
def client(server: ControlServer, tmp_path: Path) -> Iterator[Client]:
    client = Client(tmp_path)
    yield client
    client.close()


def test_the_socket_is_the_users_alone_and_goes_with_the_run(session: FakeSession, tmp_path: Path) -> None:
    server = ControlServer(session, tmp_path)  # type: ignore[arg-type]
    mode = (tmp_path / SOCKET).stat().st_mode
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    server.start()
    server.close()
    assert not (tmp_path / SOCKET).exists()


def test_a_dead_runs_socket_is_replaced_and_any_other_file_left_alone(session: FakeSession, tmp_path: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(tmp_path / SOCKET))
    stale.close()
    server = ControlServer(session, tmp_path)  # type: ignore[arg-type]
    server.start()
    Client(tmp_path).close()
    server.close()
    (tmp_path / SOCKET).write_text("mine")
    with pytest.raises(RunError, match="cannot make the socket"):
        ControlServer(session, tmp_path)  # type: ignore[arg-type]
    assert (tmp_path / SOCKET).read_text() == "mine"


def test_a_folder_whose_path_is_too_long_for_an_address_works_too(session: FakeSession, tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 100) / ("y" * 100)
    folder.mkdir(parents=True)
    server = ControlServer(session, folder)  # type: ignore[arg-type]
    server.start()
    client = Client(folder)
    assert client.ask("hello")["run"] == "fake"
    client.close()
    server.close()
    assert not (folder / SOCKET).exists()


def test_every_command_reaches_the_session(session: FakeSession, client: Client) -> None:
    for name in ("pause", "resume", "step_iteration", "checkpoint"):
        assert client.ask(name) == {"id": 5, "ok": True}
    assert client.ask("stop", checkpoint=False)["ok"]
    assert session.told == [("pause",), ("resume",), ("step_iteration",), ("checkpoint",), ("stop", False)]
    assert client.ask("set", key="train.learning_rate", value=0.5)["ok"]
    assert session.profile.train.learning_rate == 0.5
    profile = client.ask("profile")
    assert {field["key"]: field["value"] for field in profile["fields"]}["train.learning_rate"] == 0.5
    assert Profile.from_toml(profile["toml"]) == session.profile


def test_a_refused_command_is_answered_and_the_viewer_stays(session: FakeSession, client: Client) -> None:
    refusal = client.ask("set", key="train.learning_rate", value=-1)
    assert (refusal["ok"], refusal["error"], refusal["id"]) == (False, "refused", 5)
    with pytest.raises(ProfileError) as known:
        session.set("train.learning_rate", -1)
    assert refusal["text"] == str(known.value)
    assert client.ask("watch", environment=99)["text"] == "environment 99: there are 8, 0 to 7"
    assert client.ask("hello")["ok"]


def test_a_snapshot_comes_whole_first_and_then_only_what_has_changed(session: FakeSession, client: Client) -> None:
    first = client.ask("snapshot")
    assert first["since"] is None
    assert first["snapshot"]["run"] == "fake"
    assert Profile.from_toml(first["profile"]["toml"]) == session.profile
    session.now = dataclasses.replace(session.now, sequence=2, stage="collect")
    second = client.ask("snapshot", since=1)
    assert second == {
        "id": 5,
        "ok": True,
        "since": 1,
        "profile": None,
        "snapshot": {"sequence": 2, "stage": "collect"},
    }
    assert client.ask("snapshot", since=1)["since"] is None, "1 is not what this viewer got last"


def test_all_that_was_asked_is_answered_before_the_end_of_the_questions(session: FakeSession, client: Client) -> None:
    """As a script asks: every line at once, then nothing more."""
    client.send(b"".join(b'{"id": %d, "do": "pause"}\n' % number for number in range(50)))
    client.socket.shutdown(socket.SHUT_WR)
    assert [client.read()["id"] for _ in range(50)] == list(range(50))
    assert client.read() is None
    assert session.told == [("pause",)] * 50


def test_history_comes_in_slices(session: FakeSession, client: Client) -> None:
    rows: list[Any] = []
    more = True
    while more:
        answer = client.ask("history", since=rows[-1]["iteration"] if rows else 0)
        rows += answer["rows"]
        more = answer["more"]
    assert rows == session.rows
    assert len(client.ask("history", since=0)["rows"]) == control_server.HISTORY_ROWS


def test_what_viewers_watch_is_not_recorded_any_more_when_they_have_left(
    session: FakeSession, server: ControlServer, tmp_path: Path
) -> None:
    one, two = Client(tmp_path), Client(tmp_path)
    one.ask("watch", environment=3)
    two.ask("hello")
    one.close()
    time.sleep(0.05)
    assert session.watched == 3
    two.close()
    deadline = time.monotonic() + 5
    while session.watched is not None:
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_spectators_count_as_one_viewer_of_the_run_until_the_last_of_them_has_left(
    session: FakeSession, server: ControlServer, tmp_path: Path
) -> None:
    """However they leave: one says so, the other one is just gone."""
    one, two, other = Client(tmp_path), Client(tmp_path), Client(tmp_path)
    assert one.ask("spectate", wanted=True)["ok"]
    assert two.ask("spectate", wanted=True)["ok"]
    assert other.ask("direct", act="speed", value=30)["ok"]
    assert other.ask("direct", act="pause")["ok"]
    one.ask("spectate", wanted=False)
    assert session.told == [
        ("spectate", True, SOCKET),
        ("spectate", True, SOCKET),
        ("direct", "speed", 30),
        ("direct", "pause", None),
        ("spectate", True, SOCKET),
    ]
    two.close()
    deadline = time.monotonic() + 5
    while session.told[-1] != ("spectate", False, SOCKET):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert other.ask("hello")["ok"]
    assert other.ask("direct", act=1)["error"] == "malformed"
    one.close()
    other.close()


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"nonsense\n", "malformed"),
        (b'{"do": "stop"}\n', "malformed"),
        (b"x" * (MAX_REQUEST + 1), "oversize"),
        (b'{"do": "hello", "id": ' + b"1" * MAX_REQUEST + b"}\n", "oversize"),
    ],
)
def test_a_bad_message_gets_one_typed_line_and_the_end(
    session: FakeSession, client: Client, tmp_path: Path, data: bytes, kind: str
) -> None:
    client.send(data)
    assert client.read()["error"] == kind
    assert client.read() is None
    assert session.told == []
    other = Client(tmp_path)
    assert other.ask("hello")["ok"]
    other.close()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.binary(max_size=300) | st.just(b'{"do":"hello"}\n'), max_size=4))
def test_no_bytes_disturb_the_server(server: ControlServer, tmp_path: Path, parts: list[bytes]) -> None:
    """Whatever a viewer sends, it gets objects with `ok`, and the next viewer is served."""
    client = Client(tmp_path)
    try:
        for part in parts:
            client.send(part)
        client.socket.shutdown(socket.SHUT_WR)
        while (answer := client.read()) is not None:
            assert answer["ok"] is True or answer["error"] in ("malformed", "oversize")
    except ConnectionError:
        pass  # the server parted while more was being sent
    client.close()
    other = Client(tmp_path)
    assert other.ask("hello")["ok"]
    other.close()


@pytest.mark.alone
def test_a_viewer_that_does_not_read_is_dropped_and_disturbs_nobody(
    session: FakeSession, server: ControlServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One answer of it is held at most: it asks a thousand times for 2 MB and reads nothing."""
    monkeypatch.setattr(control_server, "STALLED_SECONDS", 0.5)
    session.now = Snapshot(sequence=1, run="x" * 2_000_000)
    slow, quick = Client(tmp_path), Client(tmp_path)
    slow.send(b'{"do": "snapshot"}\n' * 1000)
    began = time.monotonic()
    assert quick.ask("hello")["ok"]
    assert time.monotonic() - began < 1
    viewers = list(server._viewers.values())
    assert max(len(viewer.outbox) for viewer in viewers) < 2_100_000
    assert max(len(viewer.inbox) for viewer in viewers) <= 2 * MAX_REQUEST
    deadline = time.monotonic() + 10
    while len(server._viewers) > 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert quick.ask("hello")["ok"]
    quick.close()
    slow.close()


def test_a_viewer_that_asks_without_pause_gets_a_bounded_share_of_a_core(
    session: FakeSession, server: ControlServer, client: Client
) -> None:
    over = threading.Event()

    def flood() -> None:
        while not over.is_set():
            client.ask("profile")

    used = time.clock_gettime(time.pthread_getcpuclockid(server._thread.ident))  # type: ignore[arg-type]
    thread = threading.Thread(target=flood)
    thread.start()
    time.sleep(1.5)
    over.set()
    thread.join(10)
    spent = time.clock_gettime(time.pthread_getcpuclockid(server._thread.ident)) - used  # type: ignore[arg-type]
    assert 0.1 < spent < control_server.CPU_BURST + 1.5 * control_server.CPU_SHARE + 0.3


def test_one_viewer_too_many_is_told_so(server: ControlServer, tmp_path: Path) -> None:
    clients = [Client(tmp_path) for _ in range(control_server.MAX_VIEWERS)]
    for each in clients:
        assert each.ask("hello")["ok"]
    late = Client(tmp_path)
    assert late.read()["error"] == "busy"
    for each in [*clients, late]:
        each.close()


def test_another_user_is_refused_whatever_the_files_modes_are(server: ControlServer, tmp_path: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    program = (
        "import os, socket, sys; connection = socket.socket(socket.AF_UNIX); os.chdir(sys.argv[1]); os.setuid(65534);"
        "connection.connect('control.sock'); print(connection.makefile().read())"
    )
    refused = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=20)
    assert "PermissionError" in refused.stderr
    (tmp_path / SOCKET).chmod(0o666)
    tmp_path.chmod(0o755)
    refused = subprocess.run([sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=20)
    assert json.loads(refused.stdout)["text"] == "this run belongs to another user"


@pytest.mark.alone
def test_viewers_can_read_how_the_run_ended(session: FakeSession, server: ControlServer, client: Client) -> None:
    assert client.ask("hello")["ok"]
    session.now = dataclasses.replace(session.now, sequence=9, state="finished")
    closing = threading.Thread(target=server.close, args=(5.0,))
    closing.start()
    assert client.ask("snapshot")["snapshot"]["state"] == "finished"
    began = time.monotonic()
    client.close()
    closing.join(5)
    assert time.monotonic() - began < 2, "nobody is left to wait for"
