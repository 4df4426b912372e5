import os
from pathlib import Path

import pytest

from gpudock.env.archive import part
from gpudock.errors import HostError

MEMBERS = [b"a" * 1000, b"b" * 500, b"c" * 2000]


def write(path: Path, members: list[bytes]) -> int:
    with part.opened(str(path), os.getuid()) as file:
        target = part.Part(file, path.stat().st_size)
        for each in members:
            target.put(each)
        target.whole()
        return target.written


def test_it_goes_on_where_it_ended(tmp_path: Path) -> None:
    path = tmp_path / ".x.part"
    assert write(path, MEMBERS) == 3500
    for length in (0, 10, 1000, 1300, 1500, 3499, 3500):
        path.write_bytes(b"".join(MEMBERS)[:length])
        written = write(path, MEMBERS)
        assert path.read_bytes() == b"".join(MEMBERS)
        assert written == 3500 - (1000 * (length >= 1000)) - (500 * (length >= 1500)) - (2000 * (length >= 3500))


def test_what_is_there_is_compared_and_never_believed(tmp_path: Path) -> None:
    path = tmp_path / ".x.part"
    path.write_bytes(b"a" * 1000 + bytes(500) + b"c" * 2000)
    assert write(path, MEMBERS) == 2500
    assert path.read_bytes() == b"".join(MEMBERS)


def test_a_longer_one_of_before_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / ".x.part"
    path.write_bytes(b"".join(MEMBERS) + b"more")
    assert write(path, MEMBERS) == 0
    assert path.read_bytes() == b"".join(MEMBERS)


def test_what_others_have_too_is_not_written_into(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / ".x.part"
    path.write_bytes(b"")
    (tmp_path / "theirs").hardlink_to(path)
    os.mkfifo(tmp_path / "pipe")
    for each in (path, tmp_path / "pipe"):
        with pytest.raises(HostError, match="not yours alone"):
            part.opened(str(each), os.getuid())
    (tmp_path / "theirs").unlink()
    part.opened(str(path), os.getuid()).close()
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    with pytest.raises(HostError, match="not yours alone"):
        part.opened(str(path), 4321)


def test_the_place_is_beside_the_file() -> None:
    assert part.place("/a/b.tar") == "/a/.b.tar.part"
    assert part.place("b.tar") == ".b.tar.part"
