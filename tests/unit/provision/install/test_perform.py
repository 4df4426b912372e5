"""Plans carried out: in order, until one fails; and taken back."""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from gpudock.errors import HostError, RefusedError
from gpudock.proc import Command, Result
from gpudock.provision.install.perform import REBOOT, Installation, Reboot

LISTED = "machine\tThis is it\ndocker\tDocker\nlast\tThe last\n"


class Script:
    """A script that keeps marks as the real one does."""

    def __init__(self, state: Path, fails: str = "", code: int = 1) -> None:
        self.state, self.fails, self.code = state, fails, code
        self.calls: list[tuple[str, ...]] = []
        self.environment: Mapping[str, str] = {}

    def run(self, command: Command) -> Result:
        assert command.argv[:1] == ("/bin/sh",)
        return Result(0, LISTED, "")

    def attached(self, argv: tuple[str, ...], environment: Mapping[str, str]) -> int:
        verb, step = argv[2:]
        self.calls.append((verb, step))
        self.environment = environment
        marks = [self.state / kind / step for kind in ("begun", "finished")]
        for mark in marks:
            mark.parent.mkdir(exist_ok=True)
        if step == self.fails:
            return self.code
        for mark in marks:
            mark.touch() if verb == "step" else mark.unlink(missing_ok=True)
        return 0


def installation(state: Path, script: Script) -> Installation:
    here = Installation(str(state), f"{state}/gpudock", script.run, script.attached)
    here.keep("#!/bin/sh\n")
    return here


def test_step_by_step(tmp_path: Path) -> None:
    script = Script(tmp_path)
    installation(tmp_path, script).make()
    assert script.calls == [("step", "machine"), ("step", "docker"), ("step", "last")]
    assert script.environment["GPUDOCK_INSTALL_STATE"] == str(tmp_path)
    assert os.access(script.environment["GPUDOCK"], os.X_OK)
    assert " -P -m gpudock " in Path(script.environment["GPUDOCK"]).read_text()  # not the gpudock.py of some folder
    assert (tmp_path / "plan.sh").stat().st_mode & 0o777 == 0o700


def test_a_step_that_fails_ends_it(tmp_path: Path) -> None:
    script = Script(tmp_path, fails="docker")
    with pytest.raises(HostError, match="'Docker' failed") as told:
        installation(tmp_path, script).make()
    assert "--resume" in told.value.mend
    assert script.calls[-1] == ("step", "docker")


def test_a_reboot_is_no_failure(tmp_path: Path) -> None:
    with pytest.raises(Reboot):
        installation(tmp_path, Script(tmp_path, fails="docker", code=REBOOT)).make()


def test_what_was_begun_is_taken_back_the_last_first(tmp_path: Path) -> None:
    script = Script(tmp_path)
    here = installation(tmp_path, script)
    here.make()
    (tmp_path / "begun/machine").unlink()
    script.calls.clear()
    here.undo(purge=True)
    assert script.calls == [("undo", "last"), ("undo", "docker")]
    assert script.environment["PURGE_DATA"] == "yes"
    here.forget()
    assert not tmp_path.exists()


def test_what_cannot_be_taken_back_stays_noted(tmp_path: Path) -> None:
    script = Script(tmp_path)
    here = installation(tmp_path, script)
    here.make()
    script.fails = "docker"
    with pytest.raises(HostError, match="could not be taken back"):
        here.undo()
    assert here.begun() == {"machine", "docker"}
    here.forget()
    assert tmp_path.exists()


def test_where_nothing_was_installed(tmp_path: Path) -> None:
    with pytest.raises(RefusedError, match="installed nothing here"):
        Installation(str(tmp_path), "").steps()


def test_a_folder_that_others_can_write_to_is_not_trusted(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(RefusedError, match="cannot be trusted"):
        Installation(str(tmp_path), f"{tmp_path}/gpudock").keep("")
