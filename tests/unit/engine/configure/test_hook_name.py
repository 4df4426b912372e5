"""The name that --gpus wants, on dockerd's PATH."""

import os
from pathlib import Path

from gpudock.engine.configure import hook_name
from gpudock.engine.configure.hook_name import LinkChange
from unit.recorded import fill

TARGET = "/usr/libexec/gpudock/current/nvidia-container-runtime-hook"
PATH = "/usr/sbin:/usr/local/bin:/usr/bin"
NAME = "nvidia-container-runtime-hook"
PLACES = {"/usr/sbin/x": "", "/usr/local/bin/x": "", "/usr/bin/x": ""}


def test_a_new_link_belongs_into_the_local_folder(tmp_path: Path) -> None:
    machine = fill(tmp_path, PLACES)
    place = hook_name.find(machine, PATH, TARGET)
    assert place.change == LinkChange(f"{tmp_path}/usr/local/bin/{NAME}", None, TARGET)
    place.change.apply()
    assert machine.readlink(f"/usr/local/bin/{NAME}") == TARGET
    again = hook_name.find(machine, PATH, TARGET)
    assert (again.change, again.ours) == (None, f"/usr/local/bin/{NAME}")
    (removal,) = hook_name.removal(machine, PATH)
    removal.apply()
    assert machine.names("/usr/local/bin") == ["x"]
    removal.revert()
    assert machine.readlink(f"/usr/local/bin/{NAME}") == TARGET


def test_nvidias_own_is_left_alone(tmp_path: Path) -> None:
    machine = fill(tmp_path, {**PLACES, f"/usr/bin/{NAME}": "#!/bin/sh\n"})
    assert hook_name.find(machine, PATH, TARGET) == hook_name.Place(theirs=f"/usr/bin/{NAME}")
    assert hook_name.removal(machine, PATH) == ()


def test_a_folder_that_others_can_write_to_is_passed_by(tmp_path: Path) -> None:
    machine = fill(tmp_path, PLACES)
    os.chmod(tmp_path / "usr/local/bin", 0o777)
    place = hook_name.find(machine, PATH, TARGET)
    assert place.change is not None
    assert place.change.path == f"{tmp_path}/usr/sbin/{NAME}"
    assert hook_name.find(machine, "/usr/local/bin:relative:/nowhere", TARGET).nowhere


def test_a_link_to_an_older_place_is_led_to_the_new_one(tmp_path: Path) -> None:
    old = f"/var/lib/gpudock/libexec/current/{NAME}"
    machine = fill(tmp_path, PLACES, {f"/usr/bin/{NAME}": old})
    place = hook_name.find(machine, PATH, TARGET)
    assert place.change == LinkChange(f"{tmp_path}/usr/bin/{NAME}", old, TARGET)


def test_one_folder_of_two_names_is_one(tmp_path: Path) -> None:
    machine = fill(tmp_path, PLACES, {"/bin": "usr/bin", f"/usr/bin/{NAME}": TARGET})
    assert len(hook_name.removal(machine, "/usr/bin:/bin")) == 1
