"""Podman, known by its version alone."""

import pytest

from gpudock.engine.base import Answer
from gpudock.engine.endpoint import Endpoint
from gpudock.engine.podman import Podman, numbers
from gpudock.proc import NOT_FOUND, Result
from unit.engine.wishes import PODMAN


def facts(version: str) -> Answer:
    return PODMAN.understand(Result(0, f"podman version {version}\n", ""))


@pytest.mark.parametrize(
    ("version", "cdi"), [("3.4.4", False), ("4.0.3", False), ("4.1.0", True), ("4.3.1", True), ("5.0.0-dev", True)]
)
def test_cdi_came_with_4_1(version: str, *, cdi: bool) -> None:
    found = facts(version)
    assert found.version == version
    assert found.cdi is cdi
    assert found.problem is None
    assert not found.remote


def test_a_podman_that_fails_says_why() -> None:
    found = PODMAN.understand(Result(125, "", "first\nError: cannot open storage\n"))
    assert found.problem == "Error: cannot open storage"
    assert "cannot open storage" in PODMAN.unusable(found.problem).why
    assert PODMAN.understand(Result(NOT_FOUND, "", "")).problem == "it does not tell its version"


def test_another_machines_podman() -> None:
    there = Podman("podman", Endpoint("ssh://core@box"))
    assert there.understand(Result(0, "podman version 5.1.0", "")).remote


def test_a_folder_of_specifications_can_be_named_since_5_5() -> None:
    told = PODMAN.looking_in("/run/user/1000/gpudock/cdi", facts("5.5.0"))
    assert told is not None
    folders = ("/etc/cdi", "/var/run/cdi", "/run/user/1000/gpudock/cdi")
    assert told.words == ("podman", *(f"--cdi-spec-dir={folder}" for folder in folders))
    assert PODMAN.looking_in("/x", facts("5.4.2")) is None


def test_an_old_podman_has_no_way() -> None:
    error = PODMAN.without_mechanism(facts("3.4.4"))
    assert "3.4.4" in error.what
    assert "4.1" in error.why


def test_versions_of_distributions() -> None:
    assert numbers("4.9.4-rhel") == (4, 9)
    assert numbers("5") == (5,)
    assert numbers("") == ()
