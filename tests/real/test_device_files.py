"""A file of a container's /proc is covered for that container alone."""

import os
import sys
from pathlib import Path

import pytest

from real.harness.commands import run

pytestmark = pytest.mark.real

SCRIPT = """
import os, sys
from gpudock.start.hook import CoveringRootfs
root = CoveringRootfs(sys.argv[1])
assert root.cover("/proc/version", b"ModifyDeviceFiles: 0\\n", 0o444)
print(open(sys.argv[1] + "/proc/version").read(), end="")
try:
    open(sys.argv[1] + "/proc/version", "w")
except OSError as error:
    print(error.strerror)
"""


def test_a_file_of_proc_is_covered(tmp_path: Path) -> None:
    rootfs = tmp_path / "rootfs"
    (rootfs / "proc").mkdir(parents=True)
    (tmp_path / "script.py").write_text(SCRIPT)
    before = Path("/proc/version").read_text(), Path("/proc/self/mountinfo").read_text()
    shell = f"mount --bind {rootfs} {rootfs} && mount -t proc proc {rootfs}/proc && exec {sys.executable} {tmp_path}/script.py {rootfs}"
    argv = ["unshare", "--mount", "--pid", "--fork", "--propagation", "private", "sh", "-c", shell]
    done = run(argv, env=dict(os.environ))
    assert done.stdout.splitlines() == ["ModifyDeviceFiles: 0", "Read-only file system"]
    assert (Path("/proc/version").read_text(), Path("/proc/self/mountinfo").read_text()) == before
