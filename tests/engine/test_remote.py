"""A run seen from another process: the same face, the same figures, and what is shown when the process is gone."""

from __future__ import annotations

import dataclasses
import itertools
import json
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from engine import ProfileError, RemoteSession, RunError, Snapshot, TrainingSession
from engine.control_server import SOCKET, ControlServer
from engine.remote import past
from engine.run_folder import RunFolder
from engine.wire import VERSION
from tests.engine.conftest import tiny_profile, wait_for

Make = Callable[..., TrainingSession]
Attach = Callable[[Path], RemoteSession]


@pytest.fixture
def attach() -> Iterator[Attach]:
    made: list[RemoteSession] = []

    def attach(folder: Path) -> RemoteSession:
        made.append(RemoteSession(folder, interval=0.02))
        made[-1].start()
        assert made[-1].wait_until_met(20)
        return made[-1]

    yield attach
    for remote in made:
        remote.close()
        assert remote.join(10)


def seen(remote: RemoteSession, condition: Callable[[Snapshot], bool]) -> Snapshot:
    return wait_for(remote, condition, 20)  # type: ignore[arg-type]


def started(make_session: Make, *sets: str) -> tuple[TrainingSession, Path]:
    session = make_session("train.total_steps=1_000_000_000", *sets)
    session.watch(0)
    session.start()
    wait_for(session, lambda s: s.iteration >= 3)
    assert session.folder is not None
    return session, session.folder


def test_two_viewers_see_and_steer_what_the_run_itself_sees(make_session: Make, attach: Attach) -> None:
    """Every field of the snapshot, the whole history, the settings: equal in three places; every command works."""
    session, folder = started(make_session)
    one, two = attach(folder), attach(folder)
    one.pause()
    seen(two, lambda s: s.state == "paused")
    held = wait_for(session, lambda s: s.state == "paused")
    two.step_iteration()
    wait_for(session, lambda s: s.iteration == held.iteration + 1 and s.state == "paused")
    one.checkpoint()
    seen(two, lambda s: s.checkpoint is not None)
    two.set("train.learning_rate", 0.125)
    two.watch(2)
    two.resume()
    wait_for(session, lambda s: s.clip is not None and s.clip.environment == 2)
    assert session.profile.train.learning_rate == 0.125
    one.pause()
    wait_for(session, lambda s: s.state == "paused")
    time.sleep(0.2)  # "paused" is told at once; the iteration under way may still end.
    final = session.snapshot()
    for remote in (one, two):
        seen(remote, lambda s: s.state == "paused" and s.iteration == final.iteration)
    time.sleep(0.2)
    whole = session.snapshot()
    for remote in (one, two):
        assert dataclasses.replace(remote.snapshot(), sequence=whole.sequence) == whole
        assert remote.history() == session.history()
        assert remote.profile == session.profile
        assert remote.is_alive
    rows, columns = one.renderer().size(1)
    assert whole.clip is not None
    assert one.renderer().render(whole.clip.frames[0].state, 1).shape == (rows, columns, 3)
    two.stop()
    assert session.join(20)
    for remote in (one, two):
        assert remote.join(10)
        assert remote.snapshot().state == "stopped"
        assert remote.snapshot().checkpoint_step == session.snapshot().step
        assert remote.history() == session.history()
    assert not (folder / SOCKET).exists()


def test_edits_are_checked_where_they_are_made(make_session: Make, attach: Attach) -> None:
    _, folder = started(make_session)
    remote = attach(folder)
    for key, value in [("train.learning_rate", -1.0), ("train.learnin_rate", 0.1), ("env.agents", 16)]:
        with pytest.raises(ProfileError, match=key.split(".")[1][:6]):
            remote.set(key, value)


def test_a_command_that_the_run_refuses_is_a_line_of_the_log(make_session: Make, attach: Attach) -> None:
    _, folder = started(make_session)
    remote = attach(folder)
    remote.watch(12345)
    seen(remote, lambda s: any("environment 12345" in line.text for line in s.log))


def test_a_viewer_comes_back_after_its_connection_was_cut(make_session: Make, attach: Attach) -> None:
    session, folder = started(make_session)
    remote = attach(folder)
    server = session._server
    assert server is not None
    for viewer in list(server._viewers.values()):
        viewer.connection.shutdown(2)
    seen(remote, lambda s: any("out of reach" in line.text for line in s.log))
    iteration = remote.snapshot().iteration
    later = seen(remote, lambda s: s.iteration > iteration + 2)
    assert later.state == "running"
    assert [row["iteration"] for row in remote.history()] == list(range(1, len(remote.history()) + 1))


@pytest.mark.alone
def test_nothing_blocks_when_nobody_answers(tmp_path: Path) -> None:
    """run.json names a process that lives, this one, and nobody listens: looks and commands return at once."""
    profile = tiny_profile()
    folder = RunFolder.create(tmp_path, "mute", profile.name, profile.to_toml(), {"device": "cpu"})
    folder.set_state("running")
    remote = RemoteSession(folder.path)
    remote.start()
    began = time.monotonic()
    remote.pause()
    remote.snapshot()
    remote.history()
    assert time.monotonic() - began < 0.1
    seen(remote, lambda s: s.state == "disconnected" and s.stage == "nobody answers; trying again")
    assert not remote.snapshot().ended
    folder.set_state("failed", error="the disk is full", step=7)
    folder.close()
    assert remote.join(10)
    assert (remote.snapshot().state, remote.snapshot().error) == ("failed", "the disk is full")


def test_a_process_that_is_gone_without_an_end_is_told_as_a_failure(tmp_path: Path) -> None:
    profile = tiny_profile()
    folder = RunFolder.create(tmp_path, "gone", profile.name, profile.to_toml(), {"device": "cpu"})
    folder.append_metrics({"iteration": 1, "step": 128, "loss/policy": None, "sps": 3.5})
    folder.set_state("running", pid=2**22 + 1)
    folder.close()
    remote = RemoteSession(folder.path)
    remote.start()
    assert remote.join(10)
    assert remote.snapshot().state == "failed"
    assert "gone without an end" in str(remote.snapshot().error)
    assert [dict(row) for row in remote.history()] == [{"iteration": 1, "step": 128, "sps": 3.5}]


def test_a_run_that_speaks_otherwise_is_told_and_left_alone(
    make_session: Make, attach: Attach, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, folder = started(make_session)
    other = VERSION + 1
    monkeypatch.setattr("engine.control_server.VERSION", other)
    remote = RemoteSession(folder)
    remote.start()
    seen(remote, lambda s: any(f"speaks version {other}" in line.text for line in s.log))
    remote.close()
    assert remote.join(10)


def test_a_run_whose_socket_cannot_be_made_trains_on(make_session: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise RunError("cannot make the socket 'x': Operation not permitted")

    monkeypatch.setattr(ControlServer, "__init__", refuse)
    session, _ = started(make_session)
    assert any("nobody can attach" in line.text for line in session.snapshot().log)


def test_a_long_past_is_thinned_evenly_and_a_torn_end_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"iteration": n, "loss": None if n == 8 else 0.5}) for n in range(1, 1001)]
    path.write_text("\n".join([*lines, "nonsense", '{"x": 1}', '{"iteration": 10']))
    assert [row["iteration"] for row in past(path)] == list(range(1, 1001))
    thinned = [row["iteration"] for row in past(path, 100)]
    assert 50 <= len(thinned) <= 100
    assert {later - earlier for earlier, later in itertools.pairwise(thinned)} == {thinned[0]}
    assert past(tmp_path / "none") == []
    assert past(tmp_path) == []


def test_attached_viewers_watch_one_game_and_it_ends_with_the_last_of_them(make_session: Make, attach: Attach) -> None:
    """One of them just goes away, and one whose line breaks finds the game again by itself."""
    session, folder = started(make_session)
    one, two = attach(folder), attach(folder)
    one.spectate(True)
    two.spectate(True)
    for remote in (one, two):
        shown = seen(remote, lambda s: s.spectacle is not None and len(s.spectacle.frames) >= 3).spectacle
        assert shown is not None
        assert session.renderer().render(shown.frames[0].state, 1).size
        assert len(shown.frames[0].probabilities) == 3
    one.direct("pause")
    one.direct("sample")
    held = seen(two, lambda s: s.spectacle is not None and s.spectacle.paused and not s.spectacle.greedy).spectacle
    assert held is not None
    two.direct("step")
    seen(one, lambda s: s.spectacle is not None and s.spectacle.frames[-1].number == held.frames[-1].number + 1)
    two.direct("speed", 1000)
    seen(two, lambda s: any("speed is 1000; it must be from 0.25 to 60" in line.text for line in s.log))
    one.close()
    assert one.join(10)
    two.direct("resume")
    last = held.frames[-1].number
    seen(two, lambda s: s.spectacle is not None and s.spectacle.frames[-1].number > last + 2)
    assert two._connection is not None
    two._connection.shutdown(socket.SHUT_RDWR)
    seen(two, lambda s: any("out of reach" in line.text for line in s.log))
    seen(two, lambda s: s.state == "running" and s.spectacle is not None and len(s.spectacle.frames) >= 3)
    two.close()
    assert two.join(10)
    wait_for(session, lambda s: s.spectacle is None)
