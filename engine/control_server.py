"""`control.sock`: answers viewers in other processes from a thread of its own, which the trainer never waits for.

Every viewer is served in turn, one request at a time. What one of them can cost is bounded: a request's length, one
answer in memory, the time it may leave an answer unread, the number of viewers, and the share of a core that serving
all of them may take from training.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import stat
import struct
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from engine.durable import FILE_MODE, reason
from engine.errors import EngineError, RunError
from engine.profile import Profile
from engine.snapshot import Snapshot
from engine.wire import MAX_REQUEST, VERSION, Request, SnapshotWriter, WireError, encode, line, read_request

SOCKET = "control.sock"
MAX_VIEWERS = 16
STALLED_SECONDS = 10.0
"""A viewer that leaves an answer unread for so long is dropped."""
SILENT_SECONDS = 300.0
"""A viewer that asks nothing for so long is dropped; it may come again."""
HISTORY_ROWS = 200
"""Iterations in one answer; the viewer asks again for the rest."""
CPU_SHARE = 0.2
"""Serving takes no more of a core than this, in the long run, whatever is asked how often."""
CPU_BURST = 0.2
"""Seconds of a core that may be used at once after a quiet time."""

_PATH_BYTES = 107
"""What the address of a Unix socket holds on Linux, without the closing zero."""


class Served(Protocol):
    """The part of `engine.TrainingSession` that viewers reach."""

    @property
    def profile(self) -> Profile: ...

    @property
    def watched(self) -> int | str | None: ...

    def snapshot(self) -> Snapshot: ...

    def history(self, since: int = 0, limit: int | None = None) -> list[Mapping[str, float]]: ...

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def step_iteration(self) -> None: ...

    def checkpoint(self) -> None: ...

    def set(self, key: str, value: object) -> None: ...

    def watch(self, environment: int | str | None) -> None: ...

    def show_segment(self, by: str = "priority", index: int = 0) -> None: ...

    def inspect(self, wanted: bool) -> None: ...

    def spectate(self, wanted: bool, viewer: str = "screen") -> None: ...

    def direct(self, act: str, value: float | None = None) -> None: ...

    def stop(self, checkpoint: bool = True) -> None: ...


@contextlib.contextmanager
def _address(path: Path) -> Any:
    """The address for `path`. A path too long for one is named through a descriptor of its folder, as Linux can."""
    if len(os.fsencode(path)) <= _PATH_BYTES:
        yield os.fspath(path)
        return
    descriptor = os.open(path.parent, getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{descriptor}/{path.name}"
    finally:
        os.close(descriptor)


def connect(path: Path, timeout: float) -> socket.socket:
    """A connection to the socket at `path`. OSError where nobody listens."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        connection.settimeout(timeout)
        with _address(path) as address:
            connection.connect(address)
    except BaseException:
        connection.close()
        raise
    return connection


def peer_user(connection: socket.socket) -> int | None:
    """The user id of the process at the other end; None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    _, user, _ = struct.unpack("iII", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(user)


class _Viewer:
    """A connection: what it sent and was not answered yet, and what of an answer it has not taken yet."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.inbox = bytearray()
        self.outbox = memoryview(b"")
        self.leaving = False
        """Closed as soon as the outbox is empty."""
        self.active = time.monotonic()
        """When it last asked something or took a part of an answer."""
        self.known: Snapshot | None = None
        self.profile: Profile | None = None
        self.inspects = False
        self.spectates = False

    @property
    def waiting(self) -> bool:
        """It has asked something and could take an answer."""
        return not self.outbox and not self.leaving and b"\n" in self.inbox


class ControlServer:
    """The socket of a run. The run folder's lock is held meanwhile: a socket that is there already is a dead run's."""

    def __init__(self, session: Served, folder: Path) -> None:
        """RunError where no socket can be made in `folder`."""
        self._session = session
        self._path = folder / SOCKET
        self._viewers: dict[socket.socket, _Viewer] = {}
        self._writer = SnapshotWriter()
        self._watch: tuple[int | str | None, int | str | None] | None = None
        """What was watched before the first viewer chose, and what viewers chose last."""
        self._until: float | None = None
        """When a server that closes stops waiting for its viewers."""
        self._credit, self._counted = CPU_BURST, time.monotonic()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._bind()
        except OSError as error:
            self._listener.close()
            raise RunError(f"cannot make the socket {str(self._path)!r}: {reason(error)}") from error
        self._selector = selectors.DefaultSelector()
        self._bell, self._ear = socket.socketpair()
        for each in (self._bell, self._ear, self._listener):
            each.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._ear, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._main, name="control", daemon=True)

    def start(self) -> None:
        """Begins to answer."""
        self._thread.start()

    def close(self, patience: float = 1.0) -> None:
        """Removes the socket and ends the thread; viewers have `patience` seconds to read how the run has ended."""
        with contextlib.suppress(OSError):
            self._path.unlink()
        self._until = time.monotonic() + patience
        with contextlib.suppress(OSError):
            self._bell.send(b"!")
        self._thread.join(patience + 1.0)

    def _bind(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(self._path.lstat().st_mode):
                self._path.unlink()
        # On Linux the mode of the descriptor is the mode of the name: there is no moment in which it is wider.
        with contextlib.suppress(OSError):
            os.fchmod(self._listener.fileno(), FILE_MODE)
        with _address(self._path) as address:
            self._listener.bind(address)
        os.chmod(self._path, FILE_MODE)
        self._listener.listen(MAX_VIEWERS)

    # ---- the thread ----

    def _main(self) -> None:
        try:
            while not self._done():
                self._turn()
        finally:
            for viewer in list(self._viewers.values()):
                self._drop(viewer)
            self._selector.close()
            for each in (self._listener, self._bell, self._ear):
                each.close()

    def _done(self) -> bool:
        return self._until is not None and (not self._viewers or time.monotonic() >= self._until)

    def _turn(self) -> None:
        """Waits for something to do, then does one thing for every viewer that has something."""
        self._rest()
        waiting = any(viewer.waiting for viewer in self._viewers.values())
        # Without a viewer there is no deadline to look at, and nothing wakes the process.
        patience = 0.0 if waiting else 0.1 if self._until is not None else 1.0 if self._viewers else None
        events = self._selector.select(patience)
        began = time.thread_time()
        for key, mask in events:
            if key.fileobj is self._ear:
                with contextlib.suppress(OSError):
                    self._ear.recv(64)
                self._refuse_newcomers()
            elif key.fileobj is self._listener:
                self._accept()
            elif isinstance(key.data, _Viewer):
                self._serve(key.data, mask)
        for viewer in list(self._viewers.values()):
            if viewer.waiting:
                self._guarded(viewer, self._answer_next)
        self._drop_stalled()
        self._credit -= time.thread_time() - began

    def _rest(self) -> None:
        """Lets training have the core when viewers have had their share of it."""
        now = time.monotonic()
        self._credit = min(CPU_BURST, self._credit + (now - self._counted) * CPU_SHARE)
        self._counted = now
        if self._credit < 0:
            time.sleep(min(1.0, -self._credit / CPU_SHARE))

    def _refuse_newcomers(self) -> None:
        if self._until is not None and self._listener.fileno() >= 0:
            self._selector.unregister(self._listener)
            self._listener.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except (BlockingIOError, ConnectionError):
            return
        except OSError:
            time.sleep(0.2)  # No descriptor is left: the listener stays readable, and would be asked again at once.
            return
        connection.setblocking(False)
        viewer = _Viewer(connection)
        user = peer_user(connection)
        if user not in (None, 0, os.geteuid()):
            refusal = WireError("this run belongs to another user", "refused")
        elif len(self._viewers) >= MAX_VIEWERS:
            refusal = WireError(f"{MAX_VIEWERS} viewers are attached already: leave one of them", "busy")
        else:
            self._viewers[connection] = viewer
            self._selector.register(connection, selectors.EVENT_READ, viewer)
            return
        with contextlib.suppress(OSError):
            connection.send(_fault(0, refusal))
        connection.close()

    def _serve(self, viewer: _Viewer, mask: int) -> None:
        if mask & selectors.EVENT_WRITE:
            self._guarded(viewer, self._send)
        elif (
            mask & selectors.EVENT_READ and not viewer.waiting
        ):  # what it asked comes before what it says next: its end
            self._guarded(viewer, self._receive)

    def _guarded(self, viewer: _Viewer, act: Any) -> None:
        """A viewer that cannot be served is dropped; the others and the run do not notice."""
        if viewer.connection not in self._viewers:
            return
        try:
            act(viewer)
        except BlockingIOError:
            return
        except Exception:
            self._drop(viewer)

    def _receive(self, viewer: _Viewer) -> None:
        data = viewer.connection.recv(MAX_REQUEST)
        if not data:
            self._drop(viewer)
            return
        viewer.active = time.monotonic()
        viewer.inbox += data
        if b"\n" not in viewer.inbox and len(viewer.inbox) > MAX_REQUEST:
            self._refuse(viewer, 0, WireError(f"a line may have {MAX_REQUEST:,} bytes", "oversize"))

    def _answer_next(self, viewer: _Viewer) -> None:
        request, _, rest = bytes(viewer.inbox).partition(b"\n")
        viewer.inbox = bytearray(rest)
        number = 0
        try:
            if len(request) > MAX_REQUEST:
                raise WireError(f"a line may have {MAX_REQUEST:,} bytes", "oversize")
            asked = read_request(request)
            number = asked.id
            answer = self._answer(viewer, asked)
        except WireError as error:
            self._refuse(viewer, number, error)
            return
        except (EngineError, ValueError) as error:
            # Understood, but it cannot be had: no reason to part.
            answer = _fault(number, WireError(str(error), "refused"))
        except Exception as error:
            self._refuse(viewer, number, WireError(f"{type(error).__name__} while answering", "failed"))
            return
        viewer.outbox = memoryview(answer)
        self._send(viewer)

    def _refuse(self, viewer: _Viewer, number: int, error: WireError) -> None:
        viewer.leaving = True
        viewer.inbox.clear()
        viewer.outbox = memoryview(_fault(number, error))
        self._send(viewer)

    def _send(self, viewer: _Viewer) -> None:
        try:
            if viewer.outbox:
                viewer.outbox = viewer.outbox[viewer.connection.send(viewer.outbox) :]
                viewer.active = time.monotonic()
        finally:
            # While an answer waits to be taken, nothing more is read: a viewer holds one answer in memory at most.
            mask = selectors.EVENT_WRITE if viewer.outbox else selectors.EVENT_READ
            self._selector.modify(viewer.connection, mask, viewer)
        if viewer.leaving and not viewer.outbox:
            self._drop(viewer)

    def _drop_stalled(self) -> None:
        now = time.monotonic()
        for viewer in list(self._viewers.values()):
            if now - viewer.active > (STALLED_SECONDS if viewer.outbox else SILENT_SECONDS):
                self._drop(viewer)

    def _drop(self, viewer: _Viewer) -> None:
        if self._viewers.pop(viewer.connection, None) is None:
            return
        with contextlib.suppress(OSError, KeyError, ValueError):
            self._selector.unregister(viewer.connection)
        viewer.connection.close()
        self._forget_wishes(viewer)

    def _forget_wishes(self, gone: _Viewer) -> None:
        """What only viewers wanted to see is not recorded any more when they have left."""
        if gone.inspects and not any(viewer.inspects for viewer in self._viewers.values()):
            self._session.inspect(False)
        if gone.spectates and not any(viewer.spectates for viewer in self._viewers.values()):
            self._session.spectate(False, SOCKET)
        if not self._viewers and self._watch is not None:
            before, chosen = self._watch
            self._watch = None
            if self._session.watched == chosen:
                self._session.watch(before)

    # ---- requests ----

    def _answer(self, viewer: _Viewer, asked: Request) -> bytes:
        arguments = asked.arguments
        if asked.do == "snapshot":
            return self._snapshot(viewer, asked.id, arguments["since"])
        if asked.do == "history":
            rows = self._session.history(arguments["since"], HISTORY_ROWS + 1)
            sent = [encode(row) for row in rows[:HISTORY_ROWS]]
            return _agree(asked.id, rows=sent, more=len(rows) > HISTORY_ROWS)
        if asked.do == "hello":
            return _agree(asked.id, version=VERSION, run=self._session.snapshot().run, pid=os.getpid())
        if asked.do == "profile":
            profile = self._session.profile
            fields = [encode(field) for field in profile.fields()]
            return _agree(asked.id, name=profile.name, toml=profile.to_toml(), fields=fields)
        if asked.do == "watch":
            before = self._watch[0] if self._watch is not None else self._session.watched
            self._session.watch(**arguments)
            self._watch = before, arguments["environment"]
        elif asked.do == "inspect":
            viewer.inspects = arguments["wanted"]
            self._session.inspect(any(each.inspects for each in self._viewers.values()))
        elif asked.do == "spectate":
            viewer.spectates = arguments["wanted"]
            self._session.spectate(any(each.spectates for each in self._viewers.values()), SOCKET)
        else:
            getattr(self._session, asked.do)(**arguments)
        return _agree(asked.id)

    def _snapshot(self, viewer: _Viewer, number: int, since: int | None) -> bytes:
        """What has changed since the snapshot `since`, when that is the last one that this viewer got; else all."""
        snapshot = self._session.snapshot()
        known = viewer.known if viewer.known is not None and viewer.known.sequence == since else None
        profile = self._session.profile
        toml = None
        if known is None or profile is not viewer.profile:
            toml = {"name": profile.name, "toml": profile.to_toml()}
        viewer.known, viewer.profile = snapshot, profile
        head = line({"id": number, "ok": True, "since": known.sequence if known else None, "profile": toml})[:-2]
        return head + b',"snapshot":' + self._writer.write(snapshot, known).encode("ascii") + b"}\n"


def _agree(number: int, **fields: Any) -> bytes:
    return line({"id": number, "ok": True, **fields})


def _fault(number: int, error: WireError) -> bytes:
    return line({"id": number, "ok": False, "error": error.kind, "text": str(error)})
