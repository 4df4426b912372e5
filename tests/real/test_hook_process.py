"""The hook as a process: what it imports, starts, opens, inherits and says."""

import hashlib
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from real import hook_stage
from real.harness import images
from real.harness.commands import run
from real.hook_stage import FLAGS, PYTHON, Stage

pytestmark = pytest.mark.real
# The running Python and the system's, and each older and newer one that is installed: on PATH, or by pyenv.
_VERSIONS = [f"3.{minor}" for minor in range(9, 15)]
PYTHONS = sorted(
    {sys.executable, PYTHON}
    | {found for version in _VERSIONS if "/shims/" not in (found := shutil.which(f"python{version}") or "/shims/")}
    | {str(path) for each in _VERSIONS for path in (Path.home() / ".pyenv/versions").glob(f"{each}.*/bin/python3")}
)
# What an isolated interpreter has loaded by itself, in any of those versions.
INTERPRETER = {
    *("__main__", "_abc", "_codecs", "_frozen_importlib", "_frozen_importlib_external", "_imp", "_io", "_signal"),
    *("_thread", "_warnings", "_weakref", "abc", "builtins", "codecs", "encodings", "encodings.aliases"),
    *("encodings.latin_1", "encodings.utf_8", "io", "linecache", "marshal", "posix", "sys", "time", "zipimport"),
}
STANDARD = {
    *("_collections_abc", "_json", "_stat", "_struct", "errno", "gc", "genericpath", "itertools", "os", "os.path"),
    *("posixpath", "resource", "stat", "struct"),
}
OURS = {
    *("gpudock", "gpudock.errors", "gpudock.start", "gpudock.plan", "gpudock.plan.document", "gpudock.plan.ldcache"),
    *("gpudock.plan.ldcache_merge", "gpudock.plan.ldcache_order", "gpudock.plan.reader"),
    *(
        f"gpudock.start.{name}"
        for name in (
            "bundle",
            "compat",
            "device_files",
            "edit",
            "hook",
            "key",
            "linker",
            "lookup",
        )
    ),
    *(
        f"gpudock.start.{name}"
        for name in ("mounts", "parse", "paths", "plans", "profile", "reading", "rootfs", "walk")
    ),
}


@pytest.fixture(scope="session")
def stage(session_root: Path) -> Stage:
    return hook_stage.build(session_root / "hook-process")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    images.unpack("tiny", tmp_path / "rootfs")
    return tmp_path


@pytest.mark.parametrize("python", PYTHONS)
def test_imports_are_frozen(stage: Stage, bundle: Path, python: str) -> None:
    """A start costs what is imported, and what is imported is what could be attacked."""
    state, plan_file = stage.alone(bundle)
    script = (
        f"import sys; sys.path.insert(0, {str(stage.hook.parent)!r}); from gpudock.start.hook import main; "
        f"code = main(['--plan', {str(plan_file)!r}]); print(*sorted(sys.modules)); sys.exit(code)"
    )
    done = subprocess.run([python, *FLAGS, "-c", script], input=state, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    loaded = set(done.stdout.decode().split())
    assert loaded <= INTERPRETER | STANDARD | OURS
    assert loaded >= OURS
    assert os.path.exists(bundle / "rootfs/etc/ld.so.conf.d/00-gpudock.conf")


def test_it_starts_nothing_and_opens_nothing_by_path_once_it_has_begun(stage: Stage, bundle: Path) -> None:
    state, plan_file = stage.alone(bundle)
    binaries = [Path(PYTHON).resolve(), Path("/usr/sbin/ldconfig")]
    before = [hashlib.sha256(path.read_bytes()).hexdigest() for path in binaries]
    log = bundle / "strace"
    calls = "trace=execve,execveat,fork,vfork,clone,clone3,open,openat,openat2,chroot,mount,socket,connect"
    argv = ["strace", "-f", "-o", str(log), "-e", calls, PYTHON, *FLAGS, str(stage.hook), "--plan", str(plan_file)]
    done = subprocess.run(argv, input=state, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = [line.split(" ", 1)[1].strip() for line in log.read_text().splitlines()]
    assert [line for line in lines if line.startswith("exec")] == [line for line in lines[:1] if "execve" in line]
    names = ("fork", "vfork", "clone", "socket", "connect", "chroot", "mount")
    assert not [line for line in lines if line.startswith(names)]
    opened = next(index for index, line in enumerate(lines) if f'"{bundle}/rootfs"' in line)
    absolute = [line for line in lines[opened + 1 :] if '(AT_FDCWD, "' in line]
    assert absolute, "descriptors are looked at through /proc"
    of_the_kernel = ('(AT_FDCWD, "/proc/self/', '(AT_FDCWD, "/proc/sys/kernel/random/boot_id"', '"/proc/devices"')
    assert not [line for line in absolute if not any(place in line for place in of_the_kernel)]
    assert [hashlib.sha256(path.read_bytes()).hexdigest() for path in binaries] == before


def dumpable(stage: Stage, *before: str) -> str:
    """What PR_GET_DUMPABLE says to a process that the hook has confined, and whether its groups are as they were."""
    script = (
        f"import sys; sys.path.insert(0, {str(stage.hook.parent)!r}); from gpudock.start import hook; import os; "
        "groups = os.getresgid(); hook._confine(); import ctypes; "
        "print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0), groups == os.getresgid())"
    )
    return run([*before, PYTHON, *FLAGS, "-c", script]).stdout.strip()


def test_other_users_cannot_look_into_it(stage: Stage) -> None:
    kernels = Path("/proc/sys/fs/suid_dumpable").read_text().strip()
    assert dumpable(stage) == f"{kernels} True"


def test_in_a_user_namespace_with_one_group_it_goes_on(stage: Stage) -> None:
    assert dumpable(stage, "unshare", "--user", "--map-root-user") == "1 True"


def test_inherited_descriptors_are_closed_at_once(stage: Stage, bundle: Path) -> None:
    """Before it reads its state: a runtime that waits for the other end of one would wait for the hook."""
    _, plan_file = stage.alone(bundle)
    ends = [os.pipe() for _ in range(20)]
    inherited = [writer for _, writer in ends]
    argv = [PYTHON, *FLAGS, str(stage.hook), "--plan", str(plan_file)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stderr=subprocess.PIPE, pass_fds=inherited) as hook:
        for writer in inherited:
            os.close(writer)
        begun = time.monotonic()
        for reader, _ in ends:
            assert os.read(reader, 1) == b""  # returns when nobody holds the other end
            os.close(reader)
        assert time.monotonic() - begun < 30
        assert hook.poll() is None, "it is still waiting for its state"
        hook.communicate(b"", timeout=10)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        (b"", 3),
        (b"{", 3),
        (b"null", 3),
        (b'{"bundle": "/nowhere"}', 3),
        (b'{"bundle": "/x\\u0000y", "root": "r"}', 3),
        (b'{"bundle": "/new\\nline", "root": "r"}', 4),
        (b'{"bundle": "/", "root": "\\ud800"}', 3),
        (b"[" * 1_000_000, 3),
        (b" " * 50_000_000, 3),
        (json.dumps({"bundle": "/" + "x" * 4000, "root": "y"}).encode(), 4),
    ],
)
def test_hostile_states_give_one_short_line(stage: Stage, state: bytes, code: int) -> None:
    begun = time.monotonic()
    done = stage.call(state)
    assert time.monotonic() - begun < 30
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith("gpudock-hook: ")
    assert (done.err.count("\n"), done.err[-1]) == (1, "\n")
    assert len(done.err.encode()) <= 4096
    assert "Traceback" not in done.err


def test_wrong_arguments_and_unexpected_ends(stage: Stage, bundle: Path) -> None:
    state, _ = stage.alone(bundle)
    for arguments, code in ((["--plan"], 2), (["--plan", "/x\udcff"], 4)):
        argv = [PYTHON, *FLAGS, str(stage.hook), *arguments]
        done = subprocess.run(argv, input=state, capture_output=True, check=False, timeout=60)
        assert (done.returncode, done.stderr.count(b"\n")) == (code, 1), done.stderr


def test_an_installation_that_others_can_write_is_not_run(session_root: Path) -> None:
    entry = hook_stage.install(session_root / "hook-loose")
    entry.parent.chmod(0o775)
    done = subprocess.run([PYTHON, *FLAGS, str(entry)], input=b"", capture_output=True, check=False, timeout=60)
    assert done.returncode == 1
    assert f"{entry.parent} is not usable: it can be changed by others than root" in done.stderr.decode()


def test_a_broken_installation_says_so_in_one_line(session_root: Path) -> None:
    entry = hook_stage.install(session_root / "hook-broken")
    (entry.parent / "gpudock/start/walk.py").write_text("def broken(:\n")
    done = subprocess.run([PYTHON, *FLAGS, str(entry)], input=b"", capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)
    assert done.stderr.startswith(b"gpudock-hook: not usable: ")


def test_the_environment_is_not_read(stage: Stage, bundle: Path) -> None:
    """Whatever of ours may be set there: what runs as root is told by the plan alone."""
    state, plan_file = stage.alone(bundle)
    trap = dict.fromkeys(("GPUDOCK_PLAN", "GPUDOCK_CONFIG", "GPUDOCK_STATE", "TMPDIR", "HOME"), "/nowhere")
    done = stage.call(state, plan_file, env=trap)
    assert (done.code, done.err) == (0, "")


@pytest.mark.parametrize("kind", ["empty", "sparse", "folder", "fifo", "device", "endless entries"])
def test_hostile_caches_end_soon(stage: Stage, bundle: Path, kind: str) -> None:
    place = bundle / "rootfs/etc/ld.so.cache"
    place.unlink()
    if kind == "empty":
        place.touch()
    elif kind == "folder":
        place.mkdir()
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "device":
        os.mknod(place, 0o20666, os.makedev(1, 5))
    else:
        with place.open("wb") as file:
            if kind == "endless entries":
                count = 199_999
                file.write(b"glibc-ld.so.cache1.1" + count.to_bytes(4, "little") + bytes(24))
                behind = 48 + 24 * count  # where strings begin, all of them empty
                file.write(struct.pack("=iIIIQ", 0x0303, behind, behind, 0, 0) * count)
            file.truncate(2 << 30 if kind == "sparse" else 5 << 20)
    state, plan_file = stage.alone(bundle)
    begun = time.monotonic()
    done = stage.call(state, plan_file)
    assert time.monotonic() - begun < 30
    assert done.code == (0 if kind in {"empty", "endless entries"} else 5), done.err
    assert done.err.count("\n") == (done.code != 0)


def test_the_files_it_makes_do_not_depend_on_the_callers_umask(stage: Stage, bundle: Path) -> None:
    state, plan_file = stage.alone(bundle)
    done = stage.call(state, plan_file, umask=0o077)
    assert done.code == 0
    assert (bundle / "rootfs/etc/OpenCL/vendors").stat().st_mode & 0o777 == 0o755
    assert (bundle / "rootfs/etc/ld.so.cache").stat().st_mode & 0o777 == 0o644
    assert run(["ldconfig", "-p", "-C", str(bundle / "rootfs/etc/ld.so.cache")]).stdout.count(hook_stage.LIBRARY) >= 1
