"""A run that trains in another process, with the face of `TrainingSession`: what `perx-tui attach` shows.

A thread of its own talks over the run's `control.sock`; no method here waits for it. The run's past comes from the
metrics on disk, its end, when the process is gone, from run.json.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import socket
import threading
import time
from collections import deque
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

import c_envs
from engine import strict_json, wire
from engine.control_server import SOCKET, connect
from engine.durable import reason
from engine.errors import EngineError
from engine.metric_history import HISTORY, MetricHistory, Metrics
from engine.profile import Profile
from engine.run_folder import RunFolder
from engine.run_listing import ENDED, METRICS, RunInfo, read_record, run_info
from engine.session import live_edit
from engine.snapshot import LogLine, RunState, Snapshot
from engine.telemetry import LOG_LINES
from engine.wire import MAX_ANSWER, WireError

ANSWER_SECONDS = 5.0
"""A run that does not answer for so long counts as out of reach, and is tried again."""
RETRY_SECONDS = 0.5
COMMAND_SECONDS = 5.0
"""A command that could not be sent for so long is given up: nobody expects it any more."""
_LINE = 1 << 20


class RemoteSession:
    """A viewer of the run in `folder`, which trains in another process: `start`, look, steer, `close`.

    Commands that the run refuses, and the state of the connection, appear in the snapshot's log. When the process that
    trains is gone without an end, the state is "failed".
    """

    def __init__(self, folder: Path, *, interval: float = 0.2) -> None:
        """`interval` is the time between two looks at the run, in seconds. RunError or ProfileError where `folder` is
        not a readable run."""
        run_folder = RunFolder.read(folder)
        record = run_folder.record
        self._folder = folder
        self._interval = interval
        self._profile = Profile.from_toml(run_folder.profile_toml, name=str(record.get("profile", folder.name)))
        self._renderer: c_envs.Renderer | None = None
        self._raw = self._first(run_info(folder))
        self._notes: deque[LogLine] = deque(maxlen=20)
        self._snapshot = self._raw
        self._history = MetricHistory()
        self._commands: deque[tuple[float, dict[str, Any]]] = deque(maxlen=100)
        self._wake = threading.Event()
        self._leaving = threading.Event()
        self._met = threading.Event()
        """The first whole snapshot has come, or the run has ended."""
        self._connection: socket.socket | None = None
        self._inbox = bytearray()
        self._number = 0
        self._lost = ""
        self._watched: int | str | None = None
        self._spectates = False
        self._thread = threading.Thread(target=self._main, name="viewer", daemon=True)
        self.exception: BaseException | None = None
        """Never set: what ended the training is in the snapshot's `error`."""

    # ---- the face of TrainingSession ----

    @property
    def profile(self) -> Profile:
        """The settings in force, edits included."""
        return self._profile

    @property
    def folder(self) -> Path | None:
        """The run's folder."""
        return self._folder

    @property
    def is_alive(self) -> bool:
        """The viewer has been started and the run has not ended."""
        return self._thread.is_alive()

    @property
    def watched(self) -> int | str | None:
        """The environment that this viewer chose last."""
        return self._watched

    def start(self) -> None:
        """Begins to follow the run, in a background thread."""
        self._thread.start()

    def join(self, timeout: float | None = None) -> bool:
        """Waits for the run's end; False when the timeout (seconds) came first."""
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def wait_until_met(self, timeout: float) -> bool:
        """Waits until the run has answered for the first time, or has ended; False when the timeout came first."""
        return self._met.wait(timeout)

    def close(self) -> None:
        """Leaves. The run goes on."""
        self._leaving.set()
        self._wake.set()
        connection = self._connection
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def snapshot(self) -> Snapshot:
        """The newest snapshot; never blocks."""
        return self._snapshot

    def history(self, since: int = 0, limit: int | None = None) -> list[Metrics]:
        """Metrics of the iterations after `since`, oldest first: the first `limit` of them, or all of the 20,000 that
        are kept at most. Of a longer past every second, fourth, ... iteration is kept."""
        return self._history.since(since, limit)

    def renderer(self) -> c_envs.Renderer:
        """Draws the states that a Clip's frames hold."""
        if self._renderer is None:
            env = self._profile.env
            self._renderer = c_envs.Renderer(env.name, env.config, seed=self._profile.train.seed)
        return self._renderer

    def pause(self) -> None:
        """Stops training within one step or minibatch."""
        self._command("pause")

    def resume(self) -> None:
        """Goes on after a pause."""
        self._command("resume")

    def step_iteration(self) -> None:
        """Trains to the end of one iteration while paused."""
        self._command("step_iteration")

    def checkpoint(self) -> None:
        """Asks for a checkpoint at the end of the iteration; the outcome is an event and a line of the log."""
        self._command("checkpoint")

    def set(self, key: str, value: object) -> None:
        """Changes a live setting from the next minibatch on. ProfileError when the key or the value will not do."""
        self._profile = live_edit(self._profile, key, value)
        self._command("set", key=key, value=value)

    def watch(self, environment: int | str | None) -> None:
        """Shows this environment, or the "best" or "newest" episode, from the next iteration on, to every viewer."""
        self._watched = environment
        self._command("watch", environment=environment)

    def show_segment(self, by: str = "priority", index: int = 0) -> None:
        """Asks for a segment to look at, see `TrainingSession.show_segment`."""
        self._command("show_segment", by=by, index=index)

    def inspect(self, wanted: bool) -> None:
        """Whether snapshots list every segment of the rollout."""
        self._command("inspect", wanted=wanted)

    def spectate(self, wanted: bool) -> None:
        """Whether this viewer wants to see the present policy play, see `TrainingSession.spectate`."""
        self._spectates = wanted
        self._command("spectate", wanted=wanted)

    def direct(self, act: str, value: float | None = None) -> None:
        """Changes how that game is played, for every viewer of the run, see `TrainingSession.direct`."""
        self._command("direct", act=act, value=value)

    def stop(self, checkpoint: bool = True) -> None:
        """Ends training at the end of the iteration, with a checkpoint unless told otherwise."""
        self._command("stop", checkpoint=checkpoint)

    def _command(self, name: str, **arguments: object) -> None:
        self._commands.append((time.monotonic(), {"do": name, **arguments}))
        self._wake.set()

    # ---- the thread ----

    def _main(self) -> None:
        try:
            self._take_in(past(self._folder / METRICS))
            while not self._leaving.is_set() and not self._raw.ended:
                try:
                    self._follow()
                except (OSError, EngineError) as error:
                    self._disconnect(error)
                    if not self._ended_without_a_word():
                        self._wake.wait(RETRY_SECONDS)
        except Exception as error:  # A fault of the viewer is not one of the run.
            self._note(f"the viewer failed: {type(error).__name__}: {error}", "error")
            self._publish(state="failed", error=f"the viewer failed ({type(error).__name__}); the run may well go on")
        finally:
            self._hang_up()
            self._met.set()

    def _follow(self) -> None:
        """Talks with the run until it has ended or this viewer leaves. OSError or WireError when the line breaks."""
        self._connection = connect(self._folder / SOCKET, ANSWER_SECONDS)
        self._inbox.clear()
        version = self._ask({"do": "hello"}).get("version")
        if version != wire.VERSION:
            raise WireError(f"the run speaks version {version!r} of the protocol, this perx-tui {wire.VERSION}")
        if self._spectates:  # of a line that broke the run has forgotten all wishes
            self._ask({"do": "spectate", "wanted": True})
        since: int | None = None
        while not self._leaving.is_set():
            self._wake.clear()
            self._send_commands()
            since = self._look(since)
            self._follow_history()
            self._met.set()
            if self._raw.ended:
                return
            if not self._commands:
                self._wake.wait(self._interval)

    def _look(self, since: int | None) -> int:
        answer = self._ask({"do": "snapshot", "since": since})
        fields = wire.decode_fields(answer.get("snapshot"))
        base = self._raw if answer.get("since") is not None else Snapshot()
        if base.sequence != (answer.get("since") or 0):
            raise WireError("the answer continues a snapshot that this viewer does not have")
        self._take_profile(answer.get("profile"))
        rollbacks = self._raw.rollbacks
        self._raw = dataclasses.replace(base, **fields)
        if self._raw.rollbacks != rollbacks:
            self._history.drop_after(self._raw.resumed_iteration)
        self._lost = ""
        self._publish()
        return self._raw.sequence

    def _take_profile(self, sent: Any) -> None:
        if sent is None:
            return
        if not isinstance(sent, dict) or not all(isinstance(sent.get(key), str) for key in ("name", "toml")):
            raise WireError("profile must be an object with the texts name and toml")
        if not self._commands:  # An edit that is still to be sent would be shown as undone.
            self._profile = Profile.from_toml(sent["toml"], name=sent["name"])

    def _follow_history(self) -> None:
        while self._raw.iteration > self._history.iteration:
            answer = self._ask({"do": "history", "since": self._history.iteration})
            self._take_in(wire.decode_rows(answer.get("rows")))
            if answer.get("more") is not True:
                return

    def _send_commands(self) -> None:
        while self._commands:
            asked, command = self._commands[0]
            if time.monotonic() - asked <= COMMAND_SECONDS:
                try:
                    self._ask(command)
                except WireError as error:
                    if error.kind != "refused":
                        raise
                    self._note(str(error), "warning")
            else:
                self._note(f"{command['do']} was not sent: the run was out of reach", "warning")
            self._commands.popleft()

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request. WireError of the kind that the run names when it refuses."""
        assert self._connection is not None
        self._number += 1
        self._connection.sendall(wire.line({"id": self._number} | request))
        answer = wire.read_object(self._read_line())
        if answer.get("ok") is True and answer.get("id") == self._number:
            return answer
        raise WireError(str(answer.get("text", "an answer to something else came")), str(answer.get("error", "failed")))

    def _read_line(self) -> bytes:
        assert self._connection is not None
        deadline = time.monotonic() + ANSWER_SECONDS
        searched = 0
        while (end := self._inbox.find(b"\n", searched)) < 0:
            searched = len(self._inbox)
            if searched > MAX_ANSWER or time.monotonic() > deadline:
                raise WireError("the answer is too long, or too slow")
            data = self._connection.recv(1 << 18)
            if not data:
                raise ConnectionResetError("the run has closed the connection")
            self._inbox += data
        found = bytes(self._inbox[:end])
        del self._inbox[: end + 1]
        return found

    def _take_in(self, rows: list[Metrics]) -> None:
        newest = self._history.iteration
        self._history.extend(row for row in rows if row["iteration"] > newest)

    # ---- a run that is out of reach ----

    def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _disconnect(self, error: Exception) -> None:
        self._hang_up()
        if self._leaving.is_set():
            return
        if isinstance(error, FileNotFoundError | ConnectionError):
            text = "nobody answers"
        elif isinstance(error, TimeoutError):
            text = "its process may be stopped"
        else:
            text = reason(error) if isinstance(error, OSError) else str(error)
        if text != self._lost:
            self._lost = text
            self._note(f"out of reach ({text}); trying again", "warning")
        self._publish(state="disconnected", stage=f"{text}; trying again")

    def _ended_without_a_word(self) -> bool:
        """Whether run.json says that the run has ended, or its process is gone; the last snapshot then says so."""
        info = run_info(self._folder)
        if info.live:
            return False
        self._take_in(past(self._folder / METRICS))
        self._raw = self._final(info)
        self._publish()
        return True

    def _final(self, info: RunInfo) -> Snapshot:
        record = read_record(self._folder) or {}
        if info.state in ENDED:
            error = record.get("error")
            return dataclasses.replace(
                self._raw,
                state=cast("RunState", info.state),
                stage="",
                step=info.step or self._raw.step,
                error=error if isinstance(error, str) else None,
            )
        error = f"the process that trained {info.name} is gone without an end"
        if self._raw.checkpoint:
            error += "; --resume goes on from its checkpoint"
        return dataclasses.replace(self._raw, state="failed", stage="", error=error)

    def _first(self, info: RunInfo) -> Snapshot:
        """What the files say, until the run itself answers."""
        return Snapshot(
            run=info.name,
            folder=os.fspath(self._folder),
            profile=self._profile.name,
            environment=self._profile.env.name,
            device=info.device,
            step=info.step or 0,
            total_steps=info.total_steps or self._profile.train.total_steps,
            stage="attaching",
        )

    def _note(self, text: str, level: str) -> None:
        """A line of this viewer's own in the log."""
        self._notes.append(LogLine(time.time(), level, text))  # type: ignore[arg-type]

    def _publish(self, **fields: Any) -> None:
        log = self._raw.log
        if self._notes:
            log = tuple(sorted([*log, *self._notes], key=lambda each: each.time)[-LOG_LINES:])
        self._snapshot = dataclasses.replace(self._raw, log=log, **fields)


def past(path: Path, most: int = HISTORY) -> list[Metrics]:
    """The metrics of a run in `path`, oldest first: all of them, or evenly thinned out to at most `most`.

    Lines that are torn or no metrics are left out; empty where the file cannot be read.
    """
    kept: list[tuple[int, bytes]] = []
    stride, number = 1, 0
    try:
        if not path.is_file():
            return []
        with open(path, "rb") as file:
            while data := file.readline(_LINE):
                number += 1
                if number % stride == 0:
                    kept.append((number, data))
                    if len(kept) >= most:
                        stride *= 2
                        kept = [each for each in kept if each[0] % stride == 0]
    except OSError:
        return []
    return [row for row in map(_row, (data for _, data in kept)) if row is not None]


def _row(data: bytes) -> Metrics | None:
    try:
        record = strict_json.loads(data) if data.endswith(b"\n") else None
    except strict_json.JsonFault:
        return None
    if not isinstance(record, dict):
        return None
    row = {key: value for key, value in record.items() if type(value) in (int, float)}
    return MappingProxyType(row) if "iteration" in row else None
