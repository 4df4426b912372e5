"""Where the daemon listens."""

import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from gpudock.compat import plugin_socket
from gpudock.errors import HostError, RefusedError, UsageError


@pytest.fixture
def folder() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as made:
        yield Path(made)


def test_a_stale_socket_is_replaced_and_the_own_one_goes(folder: Path) -> None:
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(f"{folder}/nvidia-docker.sock")
    stale.close()
    left = socket.socket(socket.AF_UNIX)
    left.bind(f"{folder}/.0123.tmp")
    left.close()
    with plugin_socket.unix(str(folder)):
        info = (folder / "nvidia-docker.sock").stat()
        assert (stat.S_ISSOCK(info.st_mode), stat.S_IMODE(info.st_mode)) == (True, 0o600)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(f"{folder}/nvidia-docker.sock")
        assert os.listdir(folder) == ["nvidia-docker.sock"]
    assert os.listdir(folder) == []


def test_another_ones_socket_stays(folder: Path) -> None:
    with plugin_socket.unix(str(folder)):
        (folder / "nvidia-docker.sock").rename(folder / "ours")
        (folder / "nvidia-docker.sock").touch()
    assert sorted(os.listdir(folder)) == ["nvidia-docker.sock", "ours"]
    with pytest.raises(RefusedError, match="no socket"), plugin_socket.unix(str(folder)):
        pass


def test_only_one_serves(folder: Path) -> None:
    place = f"{folder}/plugins"
    with plugin_socket.alone(place):
        assert stat.S_IMODE(os.stat(place).st_mode) == 0o700
        with pytest.raises(RefusedError, match="Another"), plugin_socket.alone(place):
            pass
    with plugin_socket.alone(place):
        assert os.listdir(place) == []


def test_a_folder_that_others_can_change_is_refused(folder: Path) -> None:
    folder.chmod(0o777)
    with pytest.raises(RefusedError, match="must not be in"), plugin_socket.alone(str(folder)):
        pass
    folder.chmod(0o700)


def test_addresses() -> None:
    with plugin_socket.tcp("localhost:0") as first:
        host, port = first.getsockname()[:2]
        assert (host, plugin_socket.is_local(first)) == ("127.0.0.1", True)
        with pytest.raises(HostError) as caught:
            plugin_socket.tcp(f"localhost:{port}")
        assert caught.value.what == f"listen tcp 127.0.0.1:{port}: bind: address already in use"
    with plugin_socket.tcp(":0") as every:
        assert not plugin_socket.is_local(every)
    for wrong in ("3476", "localhost", "localhost:http", "localhost:99999"):
        with pytest.raises(UsageError):
            plugin_socket.tcp(wrong)
