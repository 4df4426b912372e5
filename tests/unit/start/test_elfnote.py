"""The note of a library that an image's author has made: read right, and nothing can hurt."""

import os
import random
import struct
import time
from pathlib import Path

import pytest

from gpudock.start import elfnote
from unit.start.noted import OWNER, SECTION, content, library


def note(folder: Path, data: bytes) -> bytes | None:
    path = folder / "library"
    path.write_bytes(data)
    fd = os.open(path, os.O_RDONLY)
    try:
        return elfnote.Header(fd).note(fd, SECTION, OWNER)
    finally:
        os.close(fd)


@pytest.mark.parametrize("align", [4, 8])
def test_the_note(tmp_path: Path, align: int) -> None:
    assert note(tmp_path, library(content(), align=align)) == content()
    assert note(tmp_path, library(content() + b"\0\0", align=align)) == content()


@pytest.mark.parametrize(
    "data",
    [
        library(),
        library(content(), section=".note.gnu.build-id"),
        library(content(), section=SECTION + ".other"),
        library(content(), owner="GNU"),
        library(content(), kind=1),
        library()[:60] + bytes(4),  # stripped of its section table
    ],
)
def test_files_without_it(tmp_path: Path, data: bytes) -> None:
    assert note(tmp_path, data) is None


@pytest.mark.parametrize(("machine", "flags"), [(62, 0x0303), (183, 0x0A03), (0x1234, None)])
def test_the_architecture(tmp_path: Path, machine: int, flags: int | None) -> None:
    path = tmp_path / "library"
    path.write_bytes(library(machine=machine))
    fd = os.open(path, os.O_RDONLY)
    assert elfnote.Header(fd).flags == flags
    os.close(fd)


def changed(at: int, form: str, value: int) -> bytes:
    data = bytearray(library(content()))
    struct.pack_into(form, data, at, value)
    return bytes(data)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "cut off"),
        (b"#!/bin/sh\n" * 20, "no 64-bit ELF"),
        (changed(4, "B", 1), "no 64-bit ELF"),  # 32 bits
        (changed(5, "B", 2), "no 64-bit ELF"),  # big-endian
        (changed(40, "<Q", 1 << 40), "cut off"),  # where the table is
        (changed(40, "<Q", (1 << 64) - 1), "cut off"),
        (changed(58, "<H", 32), "table is broken"),  # bytes of a row
        (changed(60, "<H", 0xFFFF), "table is broken"),  # rows
        (changed(62, "<H", 3), "table is broken"),  # the row of the names
        (library(b"x" * elfnote.NOTE), "too long"),
        (library(content())[:-1], "cut off"),
    ],
)
def test_broken_files(tmp_path: Path, data: bytes, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        note(tmp_path, data)


def test_a_section_that_claims_to_be_endless(tmp_path: Path) -> None:
    data = bytearray(library(content()))
    struct.pack_into("<Q", data, len(data) - 64 + 32, 1 << 63)
    with pytest.raises(ValueError, match="too long"):
        note(tmp_path, bytes(data))


def test_whatever_is_in_it(tmp_path: Path) -> None:
    """Changed, cut and lengthened at random: an answer or a ValueError, and soon."""
    chance = random.Random(3)
    good = library(content())
    outcomes = {"read": 0, "refused": 0}
    begun = time.monotonic()
    for _ in range(3_000):
        data = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            at = chance.choice([chance.randrange(len(data)), chance.randrange(64), len(data) - chance.randint(1, 128)])
            data[at] = chance.choice([0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)])
        if chance.random() < 0.2:
            del data[chance.randrange(len(data)) :]
        try:
            note(tmp_path, bytes(data))
            outcomes["read"] += 1
        except ValueError:
            outcomes["refused"] += 1
    assert min(outcomes.values()) > 300, outcomes
    assert time.monotonic() - begun < 10
