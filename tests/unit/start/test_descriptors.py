"""A lint: what is in a rootfs is reached by descriptors alone. A path string that is believed twice is a way out of it."""

import ast
from pathlib import Path

import pytest

import gpudock

START = Path(gpudock.__file__).parent / "start"
# Of modules that touch a rootfs. Others read files of the host.
INSIDE = ("edit", "linker", "compat", "elfnote", "profile", "rootfs", "walk", "openat2", "cover", "device_files")
BY_DESCRIPTOR = {"open", "readlink", "symlink", "mkdir", "unlink", "rename", "chown", "stat", "link", "rmdir", "mknod"}
WITHOUT_PATHS = {
    *("close", "dup", "fstat", "fchmod", "fchown", "write", "read", "pread", "scandir", "fsdecode", "fsencode"),
    *("strerror", "geteuid", "urandom", "setxattr"),
}


def violations(source: str) -> list[str]:
    """Calls that take a path of their own instead of a descriptor and a name in it."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [each.name for each in node.names]
            found += [f"{node.lineno}: import {name}" for name in names if name in FORBIDDEN]
        if not isinstance(node, ast.Call):
            continue
        room = ast.unparse(node.func.value) if isinstance(node.func, ast.Attribute) else ""
        if ast.unparse(node.func) == "open" or room == "os.path":
            found.append(f"{node.lineno}: {ast.unparse(node)}")
        elif isinstance(node.func, ast.Attribute) and room == "os":
            name = node.func.attr
            anchored = {"dir_fd", "src_dir_fd", "dst_dir_fd"} & {each.arg for each in node.keywords}
            by_number = bool(node.args) and ast.unparse(node.args[0]).startswith("f'/proc/self/fd/{")
            if name in WITHOUT_PATHS or by_number or (name in BY_DESCRIPTOR and anchored):
                continue
            found.append(f"{node.lineno}: {ast.unparse(node)}")
    return found


FORBIDDEN = {"pathlib", "shutil", "glob", "tempfile", "zipfile", "tarfile", "subprocess", "fnmatch"}
# The rootfs itself is opened once, by the path that the engine gave.
ALLOWED = {"rootfs": "os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)"}


@pytest.mark.parametrize("module", INSIDE)
def test_no_paths(module: str) -> None:
    found = violations((START / f"{module}.py").read_text())
    assert [each for each in found if each.partition(": ")[2] != ALLOWED.get(module)] == []


def test_each_module_that_gets_a_rootfs_is_looked_at() -> None:
    """But those that only make one or ask what is there, and the runtime's own, which reads volumes of the host."""
    others = {"hook", "runtime", "volumes", "lookup"}
    users = {path.stem for path in START.glob("*.py") if "Rootfs" in path.read_text()}
    assert users <= {*INSIDE, *others}


@pytest.mark.parametrize(
    "line",
    [
        "os.path.realpath(p)",
        "open(p)",
        "os.open(p, 0)",
        "os.makedirs(p)",
        "os.rename(a, b)",
        "os.listdir(p)",
        "import shutil",
        "from pathlib import Path",
        "os.chmod(p, 0)",
    ],
)
def test_the_lint_finds(line: str) -> None:
    assert violations(line)


@pytest.mark.parametrize(
    "line",
    ["os.open(p, 0, dir_fd=fd)", "os.open(f'/proc/self/fd/{fd}', 0)", "os.fstat(fd)", "os.readlink('', dir_fd=d)"],
)
def test_the_lint_lets_pass(line: str) -> None:
    assert violations(line) == []
