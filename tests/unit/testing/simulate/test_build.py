import os
from pathlib import Path

import msgspec
import pytest

from gpudock import proc
from gpudock.errors import GpudockError, InputError, RefusedError, UsageError
from gpudock.testing.simulate import build, description

MACHINE = description.make(1, "T4", "535.261.03")


def never(command: proc.Command) -> proc.Result:
    raise AssertionError(command)


@pytest.mark.parametrize(
    ("folder", "options", "kind", "names"),
    [
        ("/", {}, UsageError, "root folder"),
        ("there", {}, RefusedError, "exists already"),
        ("there", {"replace": True}, RefusedError, "not a simulated driver root"),
        ("link", {"replace": True}, RefusedError, "exists already"),
        ("new", {"layout": "gentoo"}, UsageError, "gentoo"),
    ],
)
def test_a_wrong_target_is_left_alone(
    tmp_path: Path, folder: str, options: dict[str, object], kind: type[GpudockError], names: str
) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "precious").touch()
    os.symlink("there", tmp_path / "link")
    with pytest.raises(kind, match=names):
        build.build(MACHINE, os.path.join(tmp_path, folder), runner=never, **options)  # type: ignore[arg-type]
    assert sorted(os.listdir(tmp_path)) == ["link", "there"]
    assert os.listdir(tmp_path / "there") == ["precious"]


def test_a_fault_of_an_unknown_function_is_refused(tmp_path: Path) -> None:
    faulty = msgspec.structs.replace(MACHINE, faults={"nvmlMakeCoffee": "hang"})
    with pytest.raises(InputError, match="nvmlMakeCoffee"):
        build.build(faulty, str(tmp_path / "new"), runner=never)
    assert not os.listdir(tmp_path)


def test_a_value_made_in_code_is_checked_too(tmp_path: Path) -> None:
    wrong = msgspec.structs.replace(MACHINE, driver="535;rm")
    with pytest.raises(InputError, match="driver"):
        build.build(wrong, str(tmp_path / "new"), runner=never)


def test_only_a_simulation_can_be_read_upgraded_or_removed(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="not a simulated driver root"):
        build.read(str(tmp_path))
    with pytest.raises(RefusedError):
        build.remove(str(tmp_path))
    with pytest.raises(RefusedError):
        build.upgrade(str(tmp_path), "580.159.04", runner=never)
    (tmp_path / build.MARK).write_bytes(b"{}")
    with pytest.raises(InputError, match="wrong"):
        build.remove(str(tmp_path))
    assert os.listdir(tmp_path) == [build.MARK]
