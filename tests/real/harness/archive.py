"""Packages of the machine's own distribution, also of other suites, fetched without touching the machine's package state."""

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from real.harness.commands import CommandFailed, run

# Check-Valid-Until: an archive that is kept still, as continuous integration may have it, serves as well.
_APT_CONF = """
Dir::Etc::sourcelist "{state}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{state}/lists";
Dir::State::status "{state}/status";
Dir::Cache "{state}";
Dir::Cache::archives "{state}/archives";
Dir::Log "{state}";
APT::Sandbox::User "root";
APT::Install-Recommends "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::Check-Valid-Until "false";
"""
_KEYRINGS = {
    "debian": "/usr/share/keyrings/debian-archive-keyring.gpg",
    "ubuntu": "/usr/share/keyrings/ubuntu-archive-keyring.gpg",
}


def distribution() -> str:
    """ID of os-release: debian, ubuntu."""
    return platform.freedesktop_os_release()["ID"]


def codename() -> str:
    """VERSION_CODENAME of os-release: bookworm, noble."""
    return platform.freedesktop_os_release()["VERSION_CODENAME"]


def mirror() -> str:
    """Address of the archive that this machine's apt uses for its own distribution."""
    for attempt in range(2):
        if attempt:  # which archive a source is, apt knows only after an update
            run(["apt-get", "update", "-qq"], timeout=300)
        wanted = "$(ORIGIN)|$(RELEASE)|$(REPO_URI)"
        for line in run(["apt-get", "indextargets", "--format", wanted, "Identifier: Packages"]).stdout.splitlines():
            origin, release, address = line.split("|", 2)
            if origin.lower() == distribution() and release == codename():
                return address.rstrip("/")
    raise CommandFailed(f"this machine's apt sources have no {codename()} archive of {distribution()}")


def source() -> str:
    """The archive of this machine's suite, as mmdebstrap takes it: half of Python is in Ubuntu's second component."""
    return f"deb {mirror()} {codename()} main universe" if distribution() == "ubuntu" else mirror()


def download(suite: str, names: Sequence[str], state: Path, components: str = "main") -> list[Path]:
    """The .deb files of the named packages of a suite and of all that they depend on; state is an empty private folder."""
    (state / "lists/partial").mkdir(parents=True)
    (state / "archives/partial").mkdir(parents=True)
    (state / "status").touch()
    signed = f"[signed-by={_KEYRINGS[distribution()]}]"
    (state / "sources.list").write_text(f"deb {signed} {mirror()} {suite} {components}\n")
    (state / "apt.conf").write_text(_APT_CONF.format(state=state))
    env = {**os.environ, "APT_CONFIG": str(state / "apt.conf"), "DEBIAN_FRONTEND": "noninteractive"}
    run(["apt-get", "update", "-qq"], env=env, timeout=300)
    run(["apt-get", "install", "-qq", "-y", "--download-only", *names], env=env, timeout=600)
    return sorted((state / "archives").glob("*.deb"))


def unpack(packages: Sequence[Path], into: Path) -> None:
    """The files of the packages below a folder; their scripts do not run."""
    into.mkdir(parents=True, exist_ok=True)
    for package in packages:
        run(["dpkg-deb", "-x", str(package), str(into)])


def installed(program: str) -> Path:
    """Path of a program that a package of the distribution installs, whatever else the caller's PATH has before it."""
    found = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise CommandFailed(f"{program} is not installed: run 'tools/system.sh test' as root")
    return Path(found)
