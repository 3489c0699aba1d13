"""Finding a profile, reading its bytes, parsing them as TOML. Nothing a path can name makes this hang or overflow."""

from __future__ import annotations

import os
import stat
from importlib import resources
from pathlib import Path
from typing import Any

import tomli

from engine.errors import ProfileError
from engine.profile.wording import closest, listed, printable

LARGEST = 1_000_000
"""Bytes a profile may have; a real one has about 5,000."""

SUFFIX = ".toml"


def shipped() -> dict[str, Path]:
    """The profiles that come with the program: file name to file, by name."""
    try:
        folder = resources.files("profiles")
    except ModuleNotFoundError:
        return {}
    files = [Path(str(entry)) for entry in folder.iterdir() if entry.name.endswith(SUFFIX)]
    return {file.name: file for file in sorted(files)}


def find(name: str | os.PathLike[str]) -> Path:
    """The file that `name` means. A bare name is looked up in the current folder first, then among the shipped ones.

    The name may leave out `.toml`.
    """
    text = os.fspath(name)
    if not text:
        raise ProfileError(f"no profile given: name a file, or one of the shipped {listed(shipped())}")
    if "\0" in text:
        raise ProfileError(f"{printable(text)}: a file name cannot hold a NUL character")
    path = Path(text)
    names = [text] if text.endswith(SUFFIX) else [text, text + SUFFIX]
    candidates = [Path(each) for each in names]
    if path.name == text:
        ship = shipped()
        candidates += [ship[each] for each in names if each in ship]
    for candidate in candidates:
        # A folder hides no profile: ./breakout/ may stand beside what `breakout` means.
        if os.path.lexists(candidate) and (candidate.suffix == SUFFIX or not os.path.isdir(candidate)):
            path = candidate
            break
    if os.path.isdir(path):
        raise ProfileError(f"{printable(text)}: is a folder; name the profile's file, e.g. {_inside(path)}")
    if not os.path.lexists(path):
        raise ProfileError(f"{printable(text)}: there is no such file; {_hint(path)}")
    return path


def _inside(folder: Path) -> str:
    try:
        files = sorted(entry for entry in os.listdir(folder) if entry.endswith(SUFFIX))
    except OSError:
        files = []
    return printable(str(folder / (files[0] if files else "breakout.toml")))


def _hint(path: Path) -> str:
    """What to do about `path`, which does not exist."""
    ship = shipped()
    if path.name in ship:
        return f"a profile of that name ships with the program: write {path.name}"
    try:
        near = [entry for entry in os.listdir(path.parent) if entry.endswith(SUFFIX)]
    except NotADirectoryError:
        return f"{printable(str(path.parent))} is not a folder"
    except FileNotFoundError:
        return f"the folder {printable(str(path.parent))} does not exist"
    except (OSError, ValueError):
        near = []
    stem = path.name.removesuffix(SUFFIX)
    if meant := closest(stem, (each.removesuffix(SUFFIX) for each in near)):
        return f"did you mean {printable(str(path.parent / (meant + SUFFIX)))}?"
    if meant := closest(stem, (each.removesuffix(SUFFIX) for each in ship)):
        return f"did you mean the shipped profile {meant}{SUFFIX}?"
    return f"profiles that ship with the program: {listed(ship, 'and')}"


def read(path: Path, label: str) -> str:
    """The text of `path`. Only regular files of at most LARGEST bytes are read, so no pipe or device can block.

    `label` names the file in messages.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
        try:
            mode = os.fstat(descriptor).st_mode
            if not stat.S_ISREG(mode):
                raise ProfileError(f"{label}: is {_kind(mode)}, not a regular file; name a TOML file")
            data = _bytes(descriptor)
        finally:
            os.close(descriptor)
    except FileNotFoundError:
        raise ProfileError(f"{label}: there is no such file (a broken link?)") from None
    except PermissionError:
        raise ProfileError(f"{label}: may not be read by you; change its permissions (chmod u+r)") from None
    except OSError as error:
        raise ProfileError(f"{label}: cannot be read: {error.strerror or error}") from None
    if len(data) > LARGEST:
        raise ProfileError(f"{label}: is larger than {LARGEST:,} bytes; a profile has a few thousand")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        byte = data[error.start]
        raise ProfileError(
            f"{label}: is not UTF-8 text (byte 0x{byte:02x} at offset {error.start}); save it as UTF-8"
        ) from None


def _kind(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a pipe"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def _bytes(descriptor: int) -> bytes:
    """Up to one byte more than allowed; a file's own size is not trusted (/proc says 0, others grow)."""
    chunks: list[bytes] = []
    room = LARGEST + 1
    while room and (chunk := os.read(descriptor, room)):
        chunks.append(chunk)
        room -= len(chunk)
    return b"".join(chunks)


def parse(text: str, label: str) -> dict[str, Any]:
    """`text` as TOML."""
    if len(text) > LARGEST:
        raise ProfileError(f"{label}: is larger than {LARGEST:,} characters; a profile has a few thousand")
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise ProfileError(f"{label}: {place}: {printable(_cause(error.msg), 120)}") from None
    except RecursionError:
        raise ProfileError(f"{label}: brackets or dotted keys nest too deep; a profile needs three levels") from None
    except ValueError:  # an integer of thousands of digits, which Python does not convert
        raise ProfileError(f"{label}: holds a number with too many digits") from None


def _cause(message: str) -> str:
    if message == "Cannot overwrite a value":
        return "this key stands above already; keep one of the two"
    if message.startswith("Cannot declare") and message.endswith("twice"):
        return "this table stands above already; write its keys there"
    if message == "Invalid value":
        return 'not a TOML value: text needs quotes ("cosine"), true and false small letters, numbers a digit first'
    if message == "Invalid statement":
        return "not TOML: a line is a [table], key = value or # a comment"
    return message
