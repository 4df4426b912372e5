"""Plan files: read only from where nobody else could have put or changed them."""

import json
import os
from pathlib import Path

import pytest

from gpudock.errors import GpudockError, HostError, InputError, RefusedError
from gpudock.start import plans
from unit.plan.plans import plan_with


@pytest.fixture
def file(tmp_path: Path) -> Path:
    folder = tmp_path / "plans"
    folder.mkdir(mode=0o755)
    path = folder / "0123.json"
    path.write_text(json.dumps(plan_with()))
    path.chmod(0o644)
    return path


def test_read(file: Path) -> None:
    assert plans.read(str(file)) == plan_with()


def test_missing(file: Path) -> None:
    with pytest.raises(HostError, match=r"4567\.json cannot be read.*sudo gpudock refresh"):
        plans.read(str(file.with_name("4567.json")))
    with pytest.raises(HostError, match="cannot be read"):
        plans.read(str(file / "below.json"))


@pytest.mark.parametrize("mode", [0o664, 0o646, 0o666])
def test_writable_by_others(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(RefusedError, match=r"0123\.json can be written by others"):
        plans.read(str(file))


def test_in_a_folder_that_is_writable_by_others(file: Path) -> None:
    file.parent.chmod(0o777)
    with pytest.raises(RefusedError, match="plans can be written by others"):
        plans.read(str(file))


def test_of_another_user(file: Path) -> None:
    if os.geteuid() != 0:
        return  # only root can give a file away
    os.chown(file, 1234, -1)
    with pytest.raises(RefusedError, match=r"0123\.json belongs to user 1234"):
        plans.read(str(file))
    os.chown(file, 0, -1)
    os.chown(file.parent, 65534, -1)  # nobody, but this is no user namespace
    with pytest.raises(RefusedError, match="plans belongs to user 65534"):
        plans.read(str(file))


def test_links_are_not_followed(file: Path) -> None:
    file.with_name("link.json").symlink_to(file)
    file.parent.with_name("other").symlink_to(file.parent)
    for path in (file.with_name("link.json"), file.parent.with_name("other") / file.name):
        with pytest.raises(HostError):
            plans.read(str(path))


def test_no_plain_file(file: Path) -> None:
    os.mkfifo(file.with_name("fifo"), 0o644)
    for name in ("fifo", "."):
        with pytest.raises(GpudockError):
            plans.read(str(file.with_name(name) if name != "." else file.parent))


def test_too_large(file: Path) -> None:
    with file.open("ab") as padded:
        padded.truncate((8 << 20) + 1)
    with pytest.raises(RefusedError, match="larger than 8388608 bytes"):
        plans.read(str(file))


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"format": 2}'])
def test_broken(file: Path, text: str) -> None:
    file.write_text(text)
    with pytest.raises(InputError, match="start plan"):
        plans.read(str(file))
