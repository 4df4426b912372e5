"""Package facts of dpkg and rpm machines."""

from pathlib import Path

from gpudock.facts.base import Missing
from gpudock.facts.system import Package
from gpudock.host import packages
from gpudock.proc import Result
from unit.recorded import Recorder, fill

STATUS = """\
Package: libcuda1
Status: install ok installed
Priority: optional
Version: 535.261.03-1~deb12u1
Description: NVIDIA CUDA Driver Library
 Version: of a description does not count
 .
 more

Package: nvidia-container-toolkit
Status: hold ok installed
Version: 1.17.8-1

Package: docker.io
Status: deinstall ok config-files
Version: 20.10.24+dfsg1-1

Package: zlib1g
Status: install ok installed
Version: 1:1.2.13

Package: linux-modules-nvidia-550-generic
Status: install ok installed
Version: 6.8.0-45.45
"""


def test_dpkg(tmp_path: Path) -> None:
    found = packages.read(fill(tmp_path, {packages.STATUS: STATUS}), Recorder({}))
    assert found == (
        Package(name="libcuda1", version="535.261.03-1~deb12u1", manager="dpkg"),
        Package(name="linux-modules-nvidia-550-generic", version="6.8.0-45.45", manager="dpkg"),
        Package(name="nvidia-container-toolkit", version="1.17.8-1", manager="dpkg"),
    )


def test_rpm_of_another_root(tmp_path: Path) -> None:
    run = Recorder({("rpm",): "nvidia-driver-cuda\t3:550.90.07-1.el9\nbash\t5.1.8-9.el9\npodman\t4:4.9.4-4.el9\n"})
    found = packages.read(fill(tmp_path, {"/usr/lib/sysimage/rpm/rpmdb.sqlite": ""}), run)
    assert found == (
        Package(name="nvidia-driver-cuda", version="3:550.90.07-1.el9", manager="rpm"),
        Package(name="podman", version="4:4.9.4-4.el9", manager="rpm"),
    )
    assert run.asked[0].argv[1:3] == ("--root", str(tmp_path))


def test_a_broken_rpm_is_a_reason(tmp_path: Path) -> None:
    root = fill(tmp_path, {"/var/lib/rpm/Packages": ""})
    failing = Recorder({("rpm",): Result(1, "", "error: db5 error(5) from dbenv->open\n\x1b[31mretrying")})
    assert packages.read(root, failing) == Missing(
        "rpm does not answer: error: db5 error(5) from dbenv->open \ufffd[31mretrying"
    )


def test_dpkg_with_an_rpm_program_beside_it(tmp_path: Path) -> None:
    root = fill(tmp_path, {packages.STATUS: STATUS, "/var/lib/rpm/rpmdb.sqlite": ""})
    found = packages.read(root, Recorder({}))
    assert isinstance(found, tuple)
    assert len(found) == 3


def test_no_package_manager(tmp_path: Path) -> None:
    assert packages.read(fill(tmp_path, {}), Recorder({})) == Missing("neither dpkg nor rpm has a database")
