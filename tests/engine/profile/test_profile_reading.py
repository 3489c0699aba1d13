"""Finding and reading the file: whatever a name leads to, one clear line comes of it, and nothing hangs."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from profile_strategies import SMALL, document, fault

from engine.profile import Profile, shipped_profiles
from engine.profile.reading import LARGEST


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_bare_name_finds_the_profile_that_ships() -> None:
    assert Profile.load("breakout.toml").name == "breakout"


def test_a_bare_name_prefers_the_current_folder(folder: Path) -> None:
    (folder / "breakout.toml").write_text(document("[train]", "seed = 77"))
    assert Profile.load("breakout.toml").train.seed == 77


def test_a_path_never_means_the_profile_that_ships() -> None:
    assert fault(lambda: Profile.load("./breakout.toml")) == (
        "./breakout.toml: there is no such file; a profile of that name ships with the program: write breakout.toml"
    )


def test_the_ending_may_be_left_out(folder: Path) -> None:
    (folder / "mine.toml").write_text(SMALL)
    (folder / "mine").mkdir()
    assert Profile.load("mine").name == "mine"
    assert Profile.load("maze").env.name == "maze"


def test_a_close_name_is_suggested(folder: Path) -> None:
    (folder / "my-breakout.toml").write_text(SMALL)
    assert fault(lambda: Profile.load("my-breakot.toml")).endswith("did you mean my-breakout.toml?")
    assert fault(lambda: Profile.load("maz")).endswith("did you mean the shipped profile maze.toml?")
    assert "breakout.toml" in fault(lambda: Profile.load("zzzzzz.toml"))


def test_a_missing_folder_is_told() -> None:
    assert fault(lambda: Profile.load("nowhere/x.toml")) == (
        "nowhere/x.toml: there is no such file; the folder nowhere does not exist"
    )


def test_a_file_for_a_folder_is_told(folder: Path) -> None:
    (folder / "file").write_text("")
    assert fault(lambda: Profile.load("file/x.toml")).endswith("file is not a folder")


def test_a_folder_is_told_with_what_is_in_it(folder: Path) -> None:
    (folder / "mine").mkdir()
    (folder / "mine" / "a.toml").write_text(SMALL)
    assert fault(lambda: Profile.load("mine")) == "mine: is a folder; name the profile's file, e.g. mine/a.toml"
    assert "is a folder" in fault(lambda: Profile.load("."))
    (folder / "x.toml").mkdir()
    assert "x.toml: is a folder" in fault(lambda: Profile.load("x.toml"))
    (folder / "breakout.toml").mkdir()
    assert "breakout.toml: is a folder" in fault(lambda: Profile.load("breakout.toml"))


def test_a_pipe_does_not_hang(folder: Path) -> None:
    os.mkfifo(folder / "pipe.toml")
    assert "is a pipe, not a regular file" in fault(lambda: Profile.load("pipe.toml"))


def test_an_endless_device_is_not_read() -> None:
    assert "is a device, not a regular file" in fault(lambda: Profile.load("/dev/zero"))


def test_a_socket_is_told(folder: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("s.toml")
        assert fault(lambda: Profile.load("s.toml")).startswith("s.toml: cannot be read")


def test_links_that_lead_nowhere_are_told(folder: Path) -> None:
    (folder / "loop.toml").symlink_to("loop.toml")
    (folder / "broken.toml").symlink_to("nothing")
    assert fault(lambda: Profile.load("loop.toml")).startswith("loop.toml: cannot be read: ")
    assert fault(lambda: Profile.load("broken.toml")).startswith("broken.toml: there is no such file (a broken link?)")


def test_a_file_without_permission_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The error is made here: the tests may run as root, who may read everything."""
    (folder / "a.toml").write_text(SMALL)

    def refuse(*arguments: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("engine.profile.reading.os.open", refuse)
    assert fault(lambda: Profile.load("a.toml")).startswith("a.toml: may not be read by you")


@pytest.mark.parametrize("size", [LARGEST + 1, 50_000_000])
def test_a_file_that_is_too_large_is_not_read_whole(folder: Path, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = 0
    read = os.read

    def counted(descriptor: int, count: int) -> bytes:
        nonlocal taken
        chunk = read(descriptor, count)
        taken += len(chunk)
        return chunk

    with (folder / "large.toml").open("wb") as file:
        file.truncate(size)
    monkeypatch.setattr("engine.profile.reading.os.read", counted)
    assert fault(lambda: Profile.load("large.toml")) == (
        "large.toml: is larger than 1,000,000 bytes; a profile has a few thousand"
    )
    assert taken == LARGEST + 1


def test_the_largest_file_is_still_read(folder: Path) -> None:
    (folder / "a.toml").write_text(SMALL + "#" * (LARGEST - len(SMALL)))
    assert Profile.load("a.toml").env.name == "breakout"


def test_a_byte_order_mark_is_no_fault(folder: Path) -> None:
    (folder / "a.toml").write_bytes(b"\xef\xbb\xbf" + SMALL.encode())
    assert Profile.load("a.toml").env.name == "breakout"


def test_bytes_that_are_no_text_are_told(folder: Path) -> None:
    (folder / "a.toml").write_bytes(b"seed = \xff\x00\x01")
    assert fault(lambda: Profile.load("a.toml")) == (
        "a.toml: is not UTF-8 text (byte 0xff at offset 7); save it as UTF-8"
    )


@pytest.mark.parametrize("name", ["a\0b.toml", "x" * 5000, "\udcff.toml", "\x1b[31mred.toml", ""])
def test_names_that_no_file_can_have_are_told_without_their_control_characters(name: str) -> None:
    fault(lambda: Profile.load(name))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[env\n", "line 1, column 5: "),
        ("\n\nseed = fast\n", "line 3, column 8: not a TOML value"),
        ("seed 1\n", "line 1, column 6: "),
        ("[env]\nname='a'\nname='b'\n", "line 3, column 9: this key stands above already"),
        ("[env]\n[env]\n", "line 2, column 5: this table stands above already"),
        ("a = '\x1b[2J'", "line 1, column 6: "),
        ("a = " + "[" * 100_000, "brackets or dotted keys nest too deep"),
        (".".join(["a"] * 100_000) + " = 1", "brackets or dotted keys nest too deep"),
        ("a = " + "9" * 5000, "holds a number with too many digits"),
        ("\0", "line 1, column 1: not TOML"),
    ],
)
def test_what_is_no_toml_is_told_with_its_place(text: str, expected: str) -> None:
    assert fault(lambda: Profile.from_toml(text, "a")).startswith(f"a.toml: {expected}")


def test_the_name_is_fit_for_a_folder(folder: Path) -> None:
    """Run folders are named after the profile."""
    (folder / "..my profile!\n.toml").write_text(SMALL)
    assert Profile.load("..my profile!\n.toml").name == "my-profile"
    assert Profile.from_toml(SMALL, "...").name == "profile"
    assert len(Profile.from_toml(SMALL, "x" * 200).name) == 64


def test_every_profile_that_ships_is_found_without_the_ending() -> None:
    assert set(shipped_profiles()) >= {"breakout.toml", "breakout-standard.toml", "maze.toml"}
    for name in shipped_profiles():
        assert Profile.load(name.removesuffix(".toml")) == Profile.load(name)
