"""What apt, ubuntu-drivers and dnf list, and what is known of a branch."""

import pytest

from gpudock.gpu.cuda import newest
from gpudock.proc import NOT_FOUND, Command, Result
from gpudock.provision.install import branches, versions
from gpudock.provision.install.versions import Version
from unit.recorded import Recorder

MADISON = """\
 docker-ce | 5:28.5.2-1~debian.12~bookworm | https://download.docker.com/linux/debian bookworm/stable amd64 Packages
 docker-ce | 5:27.3.1-1~debian.12~bookworm | https://download.docker.com/linux/debian bookworm/stable amd64 Packages
 docker.io | 20.10.24+dfsg1-1+deb12u1+b6 | http://archive.example/debian bookworm/main amd64 Packages
 docker.io | 20.10.24+dfsg1-1+deb12u1 | http://archive.example/debian bookworm/main Sources
"""
DRIVERS = """\
nvidia-driver | 535.261.03-1~deb12u1 | http://archive.example/debian bookworm/non-free amd64 Packages
nvidia-open | 595.58.03-1 | https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64  Packages
"""
UBUNTU = """\
nvidia-driver-580-server-open, (kernel modules provided by linux-modules-nvidia-580-server-open-generic)
nvidia-driver-535-server, (kernel modules provided by linux-modules-nvidia-535-server-generic)
evil\x1b[2J
"""
DNF = """\
Available Packages
nvidia-open.noarch        3:580.95.05-1.fc42    cuda-fedora42-x86_64
kmod-nvidia-latest-dkms.x86_64 3:595.58.03-1.el9 cuda-rhel9-x86_64
nvidia-settings.x86_64    3:580.95.05-1.fc42    cuda-fedora42-x86_64
"""


def test_dockers_of_apt() -> None:
    found = versions.of_docker(Recorder({("apt-cache", "madison"): MADISON}))
    assert [each.version for each in found] == [
        "5:28.5.2-1~debian.12~bookworm",
        "5:27.3.1-1~debian.12~bookworm",
        "20.10.24+dfsg1-1+deb12u1+b6",
    ]
    assert found[2].source == "bookworm/main"


def test_drivers_of_every_program_that_is_here() -> None:
    asked = Recorder(
        {
            ("apt-cache", "pkgnames"): "nvidia-driver\nnvidia-open\nnvidia-settings\nbash\nnvidia-driver-libs\n",
            ("apt-cache", "madison"): DRIVERS,
            ("ubuntu-drivers",): UBUNTU,
            ("dnf",): DNF,
        }
    )
    assert versions.of_drivers(asked) == (
        Version("nvidia-driver", "535.261.03-1~deb12u1", "bookworm/non-free"),
        Version(
            "nvidia-open", "595.58.03-1", "https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64"
        ),
        Version("nvidia-driver-580-server-open", "580", "ubuntu-drivers"),
        Version("nvidia-driver-535-server", "535", "ubuntu-drivers"),
        Version("nvidia-open", "3:580.95.05-1.fc42", "dnf cuda-fedora42-x86_64"),
        Version("kmod-nvidia-latest-dkms", "3:595.58.03-1.el9", "dnf cuda-rhel9-x86_64"),
    )
    assert asked.asked[1].argv == ("apt-cache", "madison", "nvidia-driver", "nvidia-open")


def test_a_machine_without_any_of_them() -> None:
    def nothing(command: Command) -> Result:
        return Result(NOT_FOUND, "", f"{command.argv[0]}: not found")

    assert versions.of_drivers(nothing) == versions.of_docker(nothing) == ()


@pytest.mark.parametrize(
    ("version", "branch", "cuda"),
    [
        ("535.261.03-1~deb12u1", 535, "12.2"),
        ("3:580.95.05-1.fc42", 580, "13.0"),
        ("580", 580, "13.0"),
        ("565.57.01", 565, "12.6"),
        ("390.157-0ubuntu8", 390, "9.1"),
    ],
)
def test_branches(version: str, branch: int, cuda: str) -> None:
    assert branches.branch(version) == branch
    assert newest(branch) == cuda


def test_what_is_no_version_has_no_branch() -> None:
    assert [branches.branch(each) for each in ("", "v580", "12.2")] == [None, None, None]
    assert newest(100) == ""


def test_life() -> None:
    assert branches.life(535, "2026-11") == "long-term, ended 2026-06"
    assert branches.life(580, "2026-11") == "long-term, ends 2028-06"
    assert branches.life(123, "2026-11") == ""
