"""Operating system facts of the distributions that people use, and of machines that tell nothing."""

from pathlib import Path

import pytest

from gpudock.facts.base import Missing
from gpudock.facts.system import System
from gpudock.host import system
from gpudock.host.root import Root
from unit.recorded import fill

DEBIAN = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nNAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\n'
UBUNTU = 'PRETTY_NAME="Ubuntu 22.04.4 LTS"\nVERSION_ID="22.04"\nID=ubuntu\nID_LIKE=debian\n'
ROCKY = '# comment\nNAME=\'Rocky Linux\'\nVERSION_ID="9.4"\nID="rocky"\nPRETTY_NAME="Rocky \\"Linux\\" 9.4 \\$1"\n'


def read(folder: Path, files: dict[str, str]) -> System:
    root = fill(folder, files)
    return system.read(root, Root(root.folder + "/proc"), Root(root.folder + "/sys"))


def test_debian_with_systemd_and_the_unified_hierarchy(tmp_path: Path) -> None:
    facts = read(
        tmp_path,
        {
            "/etc/os-release": DEBIAN,
            "/proc/sys/kernel/osrelease": "6.1.0-25-amd64\n",
            "/proc/sys/kernel/random/boot_id": "f9b94362-83dc-41a6-8849-be4d88680a50\n",
            "/proc/1/comm": "systemd\n",
            "/sys/fs/cgroup/cgroup.controllers": "cpuset cpu io\n",
        },
    )
    assert (facts.os_id, facts.os_version, facts.os_name) == ("debian", "12", "Debian GNU/Linux 12 (bookworm)")
    assert (facts.kernel, facts.boot_id) == ("6.1.0-25-amd64", "f9b94362-83dc-41a6-8849-be4d88680a50")
    assert (facts.cgroup_version, facts.init, facts.wsl, facts.selinux) == (2, "systemd", False, "disabled")


def test_a_hybrid_hierarchy_counts_as_version_1(tmp_path: Path) -> None:
    facts = read(tmp_path, {"/sys/fs/cgroup/unified/cgroup.controllers": "", "/sys/fs/cgroup/devices/tasks": ""})
    assert facts.cgroup_version == 1


@pytest.mark.parametrize(
    ("release", "wsl"), [("5.15.153.1-microsoft-standard-WSL2", True), ("6.5.0-1018-azure", False)]
)
def test_wsl_is_told_by_its_kernel(tmp_path: Path, release: str, wsl: bool) -> None:
    facts = read(tmp_path, {"/proc/sys/kernel/osrelease": release, "/etc/os-release": UBUNTU})
    assert facts.wsl is wsl
    assert facts.os_version == "22.04"


@pytest.mark.parametrize(("enforce", "state"), [("1", "enforcing"), ("0", "permissive")])
def test_red_hat_with_selinux(tmp_path: Path, enforce: str, state: str) -> None:
    facts = read(tmp_path, {"/usr/lib/os-release": ROCKY, "/sys/fs/selinux/enforce": enforce})
    assert facts.selinux == state
    assert (facts.os_id, facts.os_name) == ("rocky", 'Rocky "Linux" 9.4 $1')


def test_nothing_is_guessed(tmp_path: Path) -> None:
    facts = read(tmp_path, {})
    told = (facts.os_id, facts.os_version, facts.os_name, facts.kernel, facts.boot_id, facts.init, facts.cgroup_version)
    assert all(isinstance(fact, Missing) and fact.reason for fact in told)


def test_control_characters_do_not_reach_a_terminal(tmp_path: Path) -> None:
    assert read(tmp_path, {"/etc/os-release": "PRETTY_NAME=\x1b[2Jgone\n"}).os_name == "\ufffd[2Jgone"
