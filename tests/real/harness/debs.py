"""Many packages of several suites and architectures of the machine's own archive, fetched a few at a time."""

import os
import platform
import re
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from real.harness.archive import codename, mirror
from real.harness.commands import CommandFailed, run

_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_CAT = "/usr/lib/apt/apt-helper"  # reads an index whatever it is compressed with
_ENV = {**os.environ, "LC_ALL": "C"}
_AT_ONCE = 4
_ATTEMPTS = 3
_CONF = """
Dir::Etc::sourcelist "{state}/sources.list";
Dir::Etc::sourceparts "/dev/null";
Dir::Etc::preferences "/dev/null";
Dir::Etc::preferencesparts "/dev/null";
Dir::State::lists "{state}/lists";
Dir::State::status "{state}/status";
Dir::Cache "{state}";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Log "{state}";
APT::Architecture "amd64";
APT::Architectures {{ "amd64"; "i386"; }};
APT::Sandbox::User "root";
Acquire::Languages "none";
Acquire::Retries "3";
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
"""


@dataclass(frozen=True)
class Deb:
    request: str  # as apt understands it: "libcuda1:i386/trixie"
    file: str  # name of the file that apt makes of it
    size: int  # bytes


class Shelf:
    """A private view of the archive: its index and its packages live in one folder, the machine's own stay as they are.

    `kinds` are lines of "architecture components", such as "amd64 main contrib"; they hold for each suite.
    """

    def __init__(self, folder: Path, suites: Iterable[str], kinds: Iterable[str]) -> None:
        if platform.freedesktop_os_release()["ID"] != "debian":
            raise CommandFailed(f"driver packages come from a Debian archive, and this machine is {codename()}")
        self.folder = folder
        (folder / "lists/partial").mkdir(parents=True)
        (folder / "status").touch()
        address = mirror()
        lines = [
            f"deb [arch={architecture} signed-by={_KEYRING}] {address} {suite} {components}\n"
            for suite in suites
            for architecture, components in (kind.split(" ", 1) for kind in kinds)
        ]
        (folder / "sources.list").write_text("".join(lines))
        (folder / "apt.conf").write_text(_CONF.format(state=folder))
        # A mirror that is just being renewed misses some index; only a package that is then missing is an error.
        self._updated = run([*self._apt("apt-get"), "update", "-qq"], env=_ENV, timeout=300, check=False).stderr

    def made_from(self, source: str, suite: str, architecture: str, component: str) -> list[str]:
        """Names of the binary packages of a source package."""
        form = "$(RELEASE) $(ARCHITECTURE) $(COMPONENT) $(FILENAME)"
        targets = self._run("apt-get", "indextargets", "--format", form, "Identifier: Packages").splitlines()
        files = [line.rsplit(" ", 1)[1] for line in targets if line.startswith(f"{suite} {architecture} {component} ")]
        names = []
        for stanza in "".join(run([_CAT, "cat-file", file]).stdout for file in files).split("\n\n"):
            fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line and line[0] != " ")
            if fields and fields.get("Source", fields["Package"]).partition(" ")[0] == source:
                names.append(fields["Package"])
        return names

    def look_up(self, suite: str, names: Iterable[str]) -> dict[str, Deb]:
        """What apt would fetch from a suite for each "name:architecture"."""
        asked = list(dict.fromkeys(names))
        told = self._run("apt-get", "download", "--print-uris", *(f"{name}/{suite}" for name in asked))
        files = {row[1]: int(row[2]) for row in (line.split(" ") for line in told.splitlines())}
        found = {}
        for name in asked:
            package, _, architecture = name.partition(":")
            wanted = re.compile(rf"{re.escape(package)}_[^_]+_({architecture}|all)\.deb")
            for file in filter(wanted.fullmatch, files):
                found[name] = Deb(f"{name}/{suite}", file, files[file])
        if missing := set(asked) - found.keys():
            raise CommandFailed(f"{suite} has no driver packages {', '.join(sorted(missing))}")
        return found

    def fetch(self, debs: Iterable[Deb], into: Path) -> dict[Deb, Path]:
        """Downloads into a new folder, a few at a time; apt verifies each against the signed index."""
        into.mkdir()
        places = {deb: into / deb.file for deb in debs}
        said = ""
        for _ in range(_ATTEMPTS):
            missing = {deb.file: deb for deb, place in places.items() if not place.exists()}
            if not missing:
                return places
            running = [self._start(share, into) for share in _shares(list(missing.values()))]
            said = "\n".join(process.communicate(timeout=1200)[0] for process in running)
        raise CommandFailed(f"driver packages could not be fetched in {_ATTEMPTS} attempts:\n{said[-4000:]}")

    def _start(self, debs: list[Deb], into: Path) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["apt-get", "-c", str(self.folder / "apt.conf"), "-qq", "download", *(deb.request for deb in debs)],
            cwd=into,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _run(self, program: str, *arguments: str) -> str:
        try:
            return run([*self._apt(program), *arguments], env=_ENV, timeout=300).stdout
        except CommandFailed as failure:
            raise CommandFailed(f"{failure}\napt-get update had said:\n{self._updated[-2000:]}") from failure

    def _apt(self, program: str) -> tuple[str, ...]:
        return program, "-c", str(self.folder / "apt.conf")


def _shares(debs: list[Deb]) -> list[list[Deb]]:
    """Shares of about the same number of bytes."""
    shares: list[list[Deb]] = [[] for _ in range(min(_AT_ONCE, len(debs)))]
    for deb in sorted(debs, key=lambda each: each.size, reverse=True):
        min(shares, key=lambda share: sum(each.size for each in share)).append(deb)
    return shares
