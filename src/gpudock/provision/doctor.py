"""All checks, and what they find on a machine: what is wrong first. Pure."""

from typing import TYPE_CHECKING

from gpudock.provision.check import SEVERITIES, Check, Finding, Mend, found
from gpudock.provision.checks import (
    cdi,
    containers,
    daemon_json,
    docker,
    driver,
    gpus,
    images,
    system,
    toolkit,
    versions,
    wsl,
)

if TYPE_CHECKING:
    from gpudock.facts.snapshot import Snapshot

SUBJECTS = {
    "The driver": (driver.CHECKS, versions.CHECKS),
    "GPUs and device nodes": (gpus.CHECKS,),
    "CDI specifications": (cdi.CHECKS,),
    "Docker and podman": (docker.CHECKS, daemon_json.CHECKS),
    "NVIDIA's toolkit and control groups": (toolkit.CHECKS,),
    "Running containers, and nvidia-docker": (containers.CHECKS,),
    "Images": (images.CHECKS,),
    "System, disks, network": (system.CHECKS,),
    "WSL": (wsl.CHECKS,),
}
CHECKS: tuple[Check, ...] = tuple(each for lists in SUBJECTS.values() for part in lists for each in part)
EXIT_CODES = {"error": 4, "warning": 1, "note": 0}  # 4: as every error that says what the machine lacks


def findings(machine: "Snapshot") -> list[Finding]:
    """The worst first; of one severity the most basic first."""
    seen = [finding for each in CHECKS for finding in found(each, machine)]
    return sorted(seen, key=lambda finding: SEVERITIES.index(finding.severity))


def exit_code(seen: list[Finding]) -> int:
    return max((EXIT_CODES[finding.severity] for finding in seen), default=0)


def mends(machine: "Snapshot", seen: list[Finding]) -> list[tuple[Finding, Mend]]:
    """The safe fixes for these findings, each command once."""
    offered: dict[tuple[str, ...], tuple[Finding, Mend]] = {}
    for finding in seen:
        for mend in finding.check.mend(machine) if finding.check.mend else ():
            offered.setdefault(mend.argv, (finding, mend))
    return [*offered.values()]
