"""ModifyDeviceFiles, as containers see it. That it is really mounted: tests/real/test_device_files.py."""

import errno
from pathlib import Path

import pytest

from gpudock.errors import HostError
from gpudock.start import device_files, injection
from gpudock.start.changes import Changes
from gpudock.start.hook import CoveringRootfs
from unit.start.configs import config

HOST = "Mobile: 4294967295\nModifyDeviceFiles: 1\nDeviceFileUID: 0\n"


class Recorded(CoveringRootfs):
    """Mounts nothing; a container's /proc is no folder here."""

    covered: list[tuple[str, str, int]]
    possible: object

    def cover(self, path: str, data: bytes, mode: int) -> bool:
        if isinstance(self.possible, OSError):
            raise self.possible
        self.covered.append((path, data.decode(), mode))
        return bool(self.possible)


def root_with(folder: Path, said: str | None, possible: object = True) -> Recorded:
    if said is not None:
        (folder / "proc/driver/nvidia").mkdir(parents=True)
        (folder / "proc/driver/nvidia/params").write_text(said)
    root = Recorded(str(folder))
    root.covered, root.possible = [], possible
    return root


def test_only_that_line_changes(tmp_path: Path) -> None:
    root = root_with(tmp_path, HOST)
    device_files.withhold(root)
    assert root.covered == [(device_files.PARAMS, HOST.replace("Files: 1", "Files: 0"), 0o444)]


@pytest.mark.parametrize("said", [None, "", HOST.replace("Files: 1", "Files: 0")])
def test_nothing_to_do(tmp_path: Path, said: str | None) -> None:
    root = root_with(tmp_path, said)
    device_files.withhold(root)
    assert root.covered == []


@pytest.mark.parametrize("possible", [False, OSError(errno.EPERM, "Operation not permitted")])
def test_what_was_wanted_and_cannot_be_is_refused(tmp_path: Path, possible: object) -> None:
    with pytest.raises(HostError, match="params cannot be covered"):
        device_files.withhold(root_with(tmp_path, HOST, possible))


def test_the_runtime_adds_one_hook_once() -> None:
    edited = Changes(config())
    for _ in range(2):
        injection.add_hook(edited, "/usr/bin/python3", "/libexec/hook.py")
    (hook,) = edited.config["hooks"]["createContainer"]
    assert hook["args"][-2:] == ["/libexec/hook.py", "--withhold-device-files"]
    assert hook["args"][:2] == ["python3", "-I"]
    assert hook["env"]  # never without: older runc would hand over the image's
