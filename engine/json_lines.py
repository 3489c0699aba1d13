"""Files of one JSON object a line, such as metrics.jsonl: appended while a run lives, read while it is written."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from engine.durable import DISK, Disk, reason
from engine.errors import RunError

Records = list[dict[str, Any]]

TAIL_BYTES = 16 << 10
"""What a reader that wants only the last records looks at first."""
_LONGEST_LINE = 1 << 20


class JsonLinesWriter:
    """Appends records to one file, each with a single write, so that a reader sees whole lines.

    A line torn by a crash or a full disk is cut off before the next one is written.
    """

    def __init__(self, path: Path, disk: Disk = DISK) -> None:
        self.path = path
        self._disk = disk
        self._descriptor: int | None = None

    def append(self, record: Mapping[str, object]) -> None:
        """Write `record` as a line; floats that are not finite become null. RunError when the disk refuses."""
        line = memoryview(_line(record))
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            before = os.fstat(self._descriptor).st_size
            try:
                written = self._disk.write(self._descriptor, line)
            except OSError:
                self._cut(before)
                raise
            if written != len(line):
                self._cut(before)
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise RunError(f"cannot write {self.path.name} in {str(self.path.parent)!r}: {reason(error)}") from error

    def sync(self) -> None:
        """Return once everything appended is on the medium. RunError when the disk refuses."""
        if self._descriptor is not None:
            try:
                self._disk.sync(self._descriptor)
            except OSError as error:
                raise RunError(f"cannot sync {self.path.name}: {reason(error)}") from error

    def close(self) -> None:
        """Close the file; the next append opens it again."""
        if self._descriptor is not None:
            with contextlib.suppress(OSError):
                self._disk.close(self._descriptor)
            self._descriptor = None

    def cut_after(self, wanted: Callable[[dict[str, Any]], bool]) -> int:
        """Cut off what stands behind the last record that is `wanted`; returns how many records went.

        What that takes grows with what goes, not with the file, and needs no room on the disk.
        """
        dropped = 0
        try:
            if self._descriptor is None:
                self._descriptor = self._open()
            end = size = os.fstat(self._descriptor).st_size
            for start, line in _backwards(self._descriptor, size):
                _, record = next(_parsed(line), (b"", None))
                if record is not None and wanted(record):
                    break
                end = start
                dropped += record is not None
            if end < size:
                self._disk.truncate(self._descriptor, end)
                self._disk.sync(self._descriptor)
        except OSError as error:
            raise RunError(f"cannot cut {self.path.name} in {str(self.path.parent)!r}: {reason(error)}") from error
        return dropped

    def _open(self) -> int:
        descriptor = self._disk.open_append(self.path)
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            self._disk.truncate(descriptor, _last_line_end(descriptor, size))
        return descriptor

    def _cut(self, size: int) -> None:
        """Take a torn line back; where even that fails, open anew next time, which looks at the end of the file."""
        assert self._descriptor is not None
        try:
            self._disk.truncate(self._descriptor, size)
        except OSError:
            self.close()


def read_records(path: Path, limit: int | None = None) -> Records:
    """The records of `path`, oldest first; with `limit` the last so many. Torn and foreign lines are left out.

    Empty when the file is not there or cannot be read.
    """
    if limit is None:
        return [record for _, record in _parsed(_read(path))]
    if limit <= 0:
        return []
    span = TAIL_BYTES
    while True:
        data, whole = _tail(path, span)
        records = [record for _, record in _parsed(data)]
        if whole or len(records) >= limit:
            return records[-limit:]
        span *= 4


def read_tail(path: Path, span: int = TAIL_BYTES) -> Records:
    """The records in the last `span` bytes of `path`, oldest first."""
    return [record for _, record in _parsed(_tail(path, span)[0])]


def read_samples(path: Path, count: int) -> Records:
    """At most `count` (at least 2) records from all over the bytes of `path`, the last one among them, oldest first.

    What that takes does not grow with the file. Empty when the file is not there or cannot be read.
    """
    records: Records = []
    try:
        if not path.is_file():
            return []
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            taken = -1
            for place in range(count - 1):
                file.seek(max(0, size * place // (count - 1) - 1))
                if place:
                    file.readline(_LONGEST_LINE)  # the rest of a line
                start = file.tell()
                if start > taken:
                    records.extend(record for _, record in _parsed(file.readline(_LONGEST_LINE)))
                    taken = start
    except OSError:
        return records
    last = read_records(path, 1)
    return records if records[-1:] == last else records + last


def _line(record: Mapping[str, object]) -> bytes:
    try:
        text = json.dumps(record, allow_nan=False, separators=(",", ":"), default=_plain)
    except ValueError:
        text = json.dumps(_without_nan(record), allow_nan=False, separators=(",", ":"), default=_plain)
    return text.encode("ascii") + b"\n"


def _plain(value: object) -> object:
    """A number of numpy or torch, or a path, as JSON can hold it."""
    item = getattr(value, "item", None)
    if callable(item):
        number = item()
        return None if isinstance(number, float) and not math.isfinite(number) else number
    return str(value)


def _without_nan(value: object) -> object:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return value


def _parsed(data: bytes) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Every line of `data` that is a JSON object, with the object. A last line without its end is torn."""
    for line in data.split(b"\n")[:-1]:
        try:
            record = json.loads(line, parse_constant=lambda _: None)
        except (ValueError, RecursionError):
            continue
        if isinstance(record, dict):
            yield line, record


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes() if path.is_file() else b""
    except OSError:
        return b""


def _tail(path: Path, span: int) -> tuple[bytes, bool]:
    """The whole lines in the last `span` bytes, and whether that is the whole file."""
    try:
        if not path.is_file():
            return b"", True
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            start = max(0, size - span)
            file.seek(start)
            data = file.read(size - start)
    except OSError:
        return b"", True
    return (data, True) if start == 0 else (data.partition(b"\n")[2], False)


def _backwards(descriptor: int, size: int) -> Iterator[tuple[int, bytes]]:
    """The lines in the first `size` bytes, last first: where each begins, and the line with its end."""
    start, data = size, b""
    while start > 0 or data:
        place = data.rfind(b"\n", 0, max(0, len(data) - 1))
        if place < 0 and start > 0:
            more = min(TAIL_BYTES, start)
            start -= more
            data = os.pread(descriptor, more, start) + data
        else:
            yield start + place + 1, data[place + 1 :]
            data = data[: place + 1]


def _last_line_end(descriptor: int, size: int) -> int:
    """Offset just behind the last newline in the first `size` bytes."""
    end = size
    while end > 0:
        start = max(0, end - TAIL_BYTES)
        found = os.pread(descriptor, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0
