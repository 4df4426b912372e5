"""`gpudock simulate`: what its options become, and what they refuse. Making one needs root: tests/real."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gpudock.cli.simulate import simulate
from gpudock.errors import GpudockError, InputError, RefusedError, UsageError
from gpudock.testing.simulate import build, description
from gpudock.testing.simulate.machine import Description


def run(*arguments: str) -> Result:
    return CliRunner().invoke(simulate, arguments)


def refused(*arguments: str) -> GpudockError:
    error = run(*arguments).exception
    assert isinstance(error, GpudockError), error
    return error


def described(*arguments: str) -> Description:
    return description.decode(run("describe", *arguments).output.encode())


def test_options_become_a_machine() -> None:
    machine = described("--gpus", "3", "--model", "A100", "--driver", "550.54.15")
    assert (len(machine.gpus), machine.driver) == (3, "550.54.15")
    assert machine == description.make(3, "A100", "550.54.15", ())
    divided = described("--gpus", "2", "--mig", "3g.71gb,1g.18gb")
    assert divided == description.make(2, "H200", "580.159.04", ("3g.71gb,1g.18gb",))


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[object, ...]]:
    """What reaches the builder; nothing is built."""
    found: list[tuple[object, ...]] = []

    def built(machine: Description, folder: str, **options: object) -> None:
        found.append((machine, folder, options["layout"], options["replace"]))

    monkeypatch.setattr(build, "build", built)
    monkeypatch.setattr(build, "upgrade", lambda folder, driver, **_: found.append((folder, driver)))
    return found


def test_make_builds_what_was_asked_for(calls: list[tuple[object, ...]], tmp_path: Path) -> None:
    said = run("make", "/x", "--gpus", "1", "--model", "T4", "--layout", "fedora", "--replace").output
    assert calls == [(description.make(1, "T4", "580.159.04", ()), "/x", "fedora", True)]
    assert said.startswith("SIMULATED: 1 GPU, driver 580.159.04, in /x\n")
    assert "refresh --simulated /x" in said
    file = tmp_path / "machine.json"
    file.write_bytes(description.encode(description.make(4, "B200", "580.159.04", ())))
    run("make", "/y", "--description", str(file))
    assert calls[1] == (description.make(4, "B200", "580.159.04", ()), "/y", "debian", False)


def test_upgrade_names_folder_and_driver(calls: list[tuple[object, ...]]) -> None:
    assert run("upgrade", "/x", "570.124.06").output.startswith("SIMULATED: driver 570.124.06 in /x\n")
    assert calls == [("/x", "570.124.06")]


def test_folder_names_are_not_for_the_terminal(calls: list[tuple[object, ...]]) -> None:
    assert "\x1b" not in run("make", "/\x1b[2J").output
    assert calls[0][1] == "/\x1b[2J"


@pytest.mark.parametrize(
    ("arguments", "kind"),
    [
        (("describe", "--model", "RIVA128"), UsageError),
        (("describe", "--gpus", "1", "--mig", "9g.1gb"), UsageError),
        (("make", "/x", "--description", "/nowhere/machine.json"), InputError),
    ],
)
def test_what_no_machine_can_be(arguments: tuple[str, ...], kind: type[GpudockError]) -> None:
    error = refused(*arguments)
    assert isinstance(error, kind)
    assert error.what


def test_broken_descriptions_and_other_folders(tmp_path: Path) -> None:
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    assert isinstance(refused("make", str(tmp_path / "new"), "--description", str(broken)), InputError)
    assert isinstance(refused("remove", str(tmp_path)), RefusedError)
    assert broken.exists()


def test_how_many_gpus() -> None:
    found = run("describe", "--gpus", "33")
    assert found.exit_code == 2
    assert "33 is not in the range" in found.output
