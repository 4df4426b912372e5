"""Root: a folder read as "/", with links that cannot leave it."""

import os
from pathlib import Path

import pytest

from gpudock.host.root import Root


@pytest.fixture
def root(tmp_path: Path) -> Root:
    (tmp_path / "outside").write_text("secret")
    folder = tmp_path / "root"
    (folder / "usr/lib").mkdir(parents=True)
    (folder / "usr/lib/libcuda.so.1").write_text("real")
    (folder / "etc").mkdir()
    return Root(str(folder))


def link(root: Root, path: str, target: str) -> None:
    os.symlink(target, root.host(path))


def test_absolute_links_stay_inside(root: Root) -> None:
    link(root, "/etc/cuda", "/usr/lib/libcuda.so.1")
    assert root.resolve("/etc/cuda") == "/usr/lib/libcuda.so.1"
    assert root.read("/etc/cuda") == b"real"


def test_dots_cannot_climb_out(root: Root) -> None:
    link(root, "/etc/up", "../../../../outside")
    assert root.resolve("/etc/up") is None
    assert root.resolve("/../../../usr/lib/libcuda.so.1") == "/usr/lib/libcuda.so.1"


def test_links_to_folders_and_chains(root: Root) -> None:
    link(root, "/lib", "usr/lib")
    link(root, "/lib64", "/lib")
    assert root.resolve("/lib64/libcuda.so.1") == "/usr/lib/libcuda.so.1"
    assert root.names("/lib64") == ["libcuda.so.1"]


def test_loops_and_dangling_links_are_nothing(root: Root) -> None:
    link(root, "/a", "b")
    link(root, "/b", "a")
    link(root, "/c", "/nowhere")
    assert root.resolve("/a") is None
    assert root.resolve("/c") is None
    assert root.text("/c") is None
    with pytest.raises(FileNotFoundError):
        root.read("/c")


def test_read_is_capped_and_never_blocks(root: Root) -> None:
    os.mkfifo(root.host("/etc/fifo"))
    assert root.read("/usr/lib/libcuda.so.1", limit=2) == b"re"
    assert root.read("/etc/fifo") == b""


def test_the_machine_itself_is_a_root() -> None:
    machine = Root()
    assert machine.resolve("/proc/self/../self/status") == f"/proc/{os.getpid()}/status"
    assert machine.resolve("/nonexistent/file") is None
    assert (machine.text("/proc/self/comm") or "").strip() != ""


def test_readlink_resolves_the_folder_but_not_the_link(root: Root) -> None:
    link(root, "/lib", "usr/lib")
    link(root, "/usr/lib/libcuda.so", "libcuda.so.1")
    assert root.readlink("/lib/libcuda.so") == "libcuda.so.1"
    assert root.readlink("/lib/libcuda.so.1") is None


def test_a_folder_is_no_file_and_costs_no_descriptor(root: Root) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(IsADirectoryError):
        root.read("/etc")
    assert len(os.listdir("/proc/self/fd")) == before
