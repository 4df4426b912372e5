"""What is planned for which machine."""

from typing import Any

import msgspec
import pytest

from gpudock.errors import GpudockError, RefusedError, UsageError
from gpudock.facts.base import Missing
from gpudock.facts.snapshot import Snapshot
from gpudock.facts.system import Package
from gpudock.host import codec
from gpudock.provision.install import driver, plan, target
from gpudock.provision.install.target import SYSTEMS, Target
from gpudock.provision.install.wish import Wish
from unit import h200
from unit.provision.install import plans


def ids(found: plan.Plan) -> list[str]:
    return [step.id for step in found.steps]


def machine(*gpus: str, system: str = "debian-12", **more: Any) -> Target:
    return Target(SYSTEMS[system], here=True, gpus=gpus, packages={}, **more)


def snapshot(**system: Any) -> Snapshot:
    taken = codec.decode(h200.SNAPSHOT.read_bytes())
    return msgspec.structs.replace(taken, system=msgspec.structs.replace(taken.system, **system))


def test_a_machine_without_gpus_gets_no_driver_and_no_units() -> None:
    found = plan.make(machine(), Wish())
    assert ids(found) == ["machine", "docker_packages", "docker_service", "runtime", "verify"]
    assert found.unverified == ""


def test_another_machine_gets_gpudock_too_and_is_asked_for_old_things() -> None:
    found = plan.make(target.named("debian-12"), Wish(driver="none"))
    assert ids(found) == [
        *("machine", "old_sources", "old_containers", "old_packages", "docker_packages", "docker_service"),
        *("gpudock", "runtime", "units", "verify"),
    ]


def test_everything_in_its_order() -> None:
    assert ids(plans.named("ubuntu-22.04", "everything")) == [
        *("machine", "proxies", "old_sources", "tools", "old_containers", "old_packages", "driver_source"),
        *(
            "driver_packages",
            "driver_loaded",
            "docker_source",
            "docker_packages",
            "docker_service",
            "docker_user",
            "gpudock",
            "runtime",
        ),
        *("units", "verify", "then"),
    ]


def test_in_wsl_no_linux_driver_is_ever_installed() -> None:
    for wish in (Wish(), Wish(driver="nvidia", driver_version="580.95.05"), Wish(driver="distribution")):
        for wsl in (target.named("wsl2"), machine("Ada", system="ubuntu-24.04", wsl=True)):
            found = plan.make(wsl, wish)
            assert [each for each in ids(found) if "driver" in each] == ["wsl_driver"]
            assert not any("nvidia-headless" in each.apply or "nvidia-driver" in each.apply for each in found.steps)


@pytest.mark.parametrize(
    ("system", "gpus", "wish", "packages"),
    [
        ("debian-12", ("Ampere",), Wish(), "nvidia-kernel-dkms"),
        ("debian-12", ("Ampere",), Wish(module="open"), "nvidia-open-kernel-dkms"),
        ("debian-12", ("Volta",), Wish(), "nvidia-kernel-dkms"),
        ("debian-12", ("Blackwell",), Wish(), "nvidia-open-580"),  # Debian's 535 does not run it
        ("debian-13", ("Blackwell",), Wish(), "nvidia-open-580"),
        ("debian-12", ("Ampere",), Wish(driver="nvidia", module="proprietary"), "cuda-drivers-580"),
        ("debian-12", ("Ampere",), Wish(driver="nvidia", driver_version="595.58.03"), "nvidia-open-595"),
        ("ubuntu-24.04", ("Ada",), Wish(), "nvidia-headless-580-server-open"),
        ("ubuntu-24.04", ("Pascal",), Wish(), "nvidia-headless-580-server"),
        ("ubuntu-24.04", ("unknown",), Wish(), "nvidia-headless-580-server-open"),
    ],
)
def test_the_driver_suits_the_gpus(system: str, gpus: tuple[str, ...], wish: Wish, packages: str) -> None:
    assert driver.Choice(wish, machine(*gpus, system=system)).packages[0] == packages


@pytest.mark.parametrize(
    ("gpus", "wish", "said"),
    [
        (("Kepler", "Ada"), Wish(), "No driver runs all GPUs"),
        (("Blackwell",), Wish(driver="distribution"), "branch 535 does not run Blackwell"),
        (("Blackwell",), Wish(driver="nvidia", module="proprietary"), "proprietary kernel module does not run"),
        (("Volta",), Wish(driver="nvidia", driver_version="595.58.03"), "branch 595 does not run Volta"),
        (("Volta",), Wish(module="open"), "open kernel module does not run Volta"),
    ],
)
def test_a_driver_that_does_not_run_the_gpus_is_refused(gpus: tuple[str, ...], wish: Wish, said: str) -> None:
    with pytest.raises(RefusedError, match=said):
        plan.make(machine(*gpus), wish)


def test_ended_sources_go_before_apt_is_asked_for_anything() -> None:
    ended = ("deb https://nvidia.github.io/nvidia-docker/ubuntu18.04/$(ARCH) /",)
    found = plan.make(machine()._replace(sources=ended), Wish(docker="docker.com"))
    assert ids(found)[:3] == ["machine", "old_sources", "tools"]
    newer = ("deb https://nvidia.github.io/libnvidia-container/stable/deb/amd64 /",)
    assert "old_sources" not in ids(plan.make(machine()._replace(sources=newer), Wish(docker="docker.com")))


def test_a_driver_says_until_when_it_is_maintained() -> None:
    (step,) = (each for each in plan.make(machine("Ada"), Wish()).steps if each.id == "driver_packages")
    assert "runs CUDA up to 12.2, maintained by NVIDIA until 2026-06;" in step.why


def test_old_packages_are_planned_away_where_they_are() -> None:
    here = machine()._replace(packages={"nvidia-docker": "1.0.1-1", "docker-ce": "5:17"})
    found = plan.make(here, Wish(docker="distribution"))
    assert ids(found)[1:3] == ["old_containers", "old_packages"]
    assert "nvidia-docker docker-ce" in found.steps[2].apply
    assert "docker.io" not in found.steps[2].apply
    other = plan.make(here._replace(packages={"docker.io": "20.10"}), Wish(docker="docker.com"))
    assert "old_packages" in ids(other)
    assert "old_packages" not in ids(plan.make(here._replace(packages={"docker.io": "20.10"}), Wish()))


def test_docker_from_docker_com_stays_where_it_is() -> None:
    found = plan.make(machine()._replace(packages={"docker-ce": "5:28.5.2"}), Wish())
    assert found.wish.docker == "docker.com"
    assert "old_packages" not in ids(found)


@pytest.mark.parametrize(
    "wish",
    [
        Wish(docker_version="27; rm -rf /"),
        Wish(docker_version="27", docker="none"),
        Wish(driver_version="$(reboot)"),
        Wish(driver_version="580.1", driver="none"),
        Wish(user="root"),
        Wish(user="a b"),
        Wish(docker="debs"),
        Wish(debs="/srv"),
        Wish(docker="debs", debs="debs"),
        Wish(proxy="proxy:3128"),
        Wish(proxy='http://a"b:1'),
        Wish(no_proxy="a b"),
        Wish(then="a\nb"),
    ],
)
def test_what_cannot_be_meant(wish: Wish) -> None:
    with pytest.raises(UsageError):
        plan.make(machine(), wish)


def test_the_machine_of_a_snapshot() -> None:
    found = target.of(snapshot())
    assert (found.system.name, found.gpus, found.wsl, found.packages) == ("ubuntu-24.04", ("Hopper",), False, None)
    taken = msgspec.structs.replace(
        snapshot(), packages=(Package(name="docker-ce:amd64", version="1", manager="dpkg"),)
    )
    assert target.of(taken).packages == {"docker-ce": "1"}


@pytest.mark.parametrize("system", [{"os_id": "fedora", "os_version": "42"}, {"os_id": "debian", "os_version": "11"}])
def test_other_systems_have_no_plan_yet(system: dict[str, str]) -> None:
    with pytest.raises(RefusedError, match="no plan for") as told:
        target.of(snapshot(**system))
    assert "docs/install.md" in told.value.mend


def test_a_system_that_is_not_known_or_mistyped() -> None:
    with pytest.raises(GpudockError, match="no os-release"):
        target.of(snapshot(os_id=Missing("x"), os_name=Missing("x")))
    with pytest.raises(UsageError, match="no plan for fedora-42 yet"):
        target.named("fedora-42")


@pytest.mark.parametrize(("system", "wish"), plans.NAMES)
def test_what_was_never_executed_is_called_unverified(system: str, wish: str) -> None:
    found = plans.named(system, wish)
    assert found.unverified
    assert "unverified: " in found.describe()[-1]


def test_a_plan_without_docker_says_nothing_of_docker() -> None:
    assert plan.make(machine(), Wish(docker="none")).unverified == ""
    assert plan.make(machine(system="debian-13"), Wish(docker="none")).unverified == "plans for debian-13"


def test_the_warning_of_the_docker_group_is_shown() -> None:
    found = plan.make(machine(), Wish(user="alice"))
    assert "is root on this machine" in "\n".join(found.describe())
