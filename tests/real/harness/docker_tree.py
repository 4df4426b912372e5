"""A Docker with CDI (25 or newer) for a distribution whose own is older: the engine's programs of a newer suite of the
same archive, with the libraries and the loader that they were linked for, in one folder that nothing else sees.

The programs name their loader and libraries by absolute path, so they run on the machine itself and not in a root of their
own: sockets, CDI specs, driver trees, hooks and the hooks' interpreter are the machine's, as with an installed Docker.
"""

import shutil
import sys
import tempfile
from pathlib import Path

from real.harness import archive, cache
from real.harness.commands import CommandFailed, run

SUITES = ("sid", "trixie")  # 28 and 26 at the time of writing; the first that works is taken
PROGRAMS = ("dockerd", "docker", "containerd", "containerd-shim-runc-v2", "runc", "docker-init")
_PACKAGED_AS = {"docker-init": "tini-static"}
PLUGINS = BUILDX, COMPOSE = "docker-buildx", "docker-compose"  # of docker's client
_PACKAGES = ("docker.io", "docker-cli", "containerd", "runc", *PLUGINS)
_LIBRARIES = "usr/lib/x86_64-linux-gnu"
_LOADER = "ld-linux-x86-64.so.2"
_STEM = "engines/docker-cdi"
_MADE_BY = Path(__file__).read_bytes()  # what runs, even when the file is edited meanwhile


def programs() -> Path:
    """Folder with the programs dockerd, docker, containerd, ..., made on first use (some 10 s)."""
    key = cache.key(_MADE_BY, str(cache.FOLDER))  # the folder's own path is written into the programs
    return cache.kept(_STEM, key, lambda staging: _make(staging, cache.place(_STEM, key))) / "bin"


def _make(staging: Path, final: Path) -> None:
    failures: list[str] = []
    for suite in SUITES:
        try:
            _make_from(suite, staging, final)
        except CommandFailed as failure:
            failures.append(f"{suite}: {failure}")
            shutil.rmtree(staging, ignore_errors=True)
            continue
        if failures:
            sys.stderr.write(f"Docker with CDI comes from {suite}, because of:\n" + "\n".join(failures) + "\n")
        return
    raise CommandFailed("no suite gives a Docker with CDI:\n" + "\n".join(failures))


def _make_from(suite: str, staging: Path, final: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="gpudock-docker-", dir=staging.parent) as temp:
        unpacked = Path(temp, "tree")
        archive.unpack(archive.download(suite, _PACKAGES, Path(temp, "apt")), unpacked)
        (staging / "bin").mkdir(parents=True)
        (staging / "lib").mkdir()
        for library in (unpacked / _LIBRARIES).glob("*.so*"):
            shutil.copy2(library, staging / "lib", follow_symlinks=False)
        for program in (*PROGRAMS, *PLUGINS):
            shutil.move(_find(unpacked, _PACKAGED_AS.get(program, program)), staging / "bin" / program)
    for program in (*PROGRAMS, *PLUGINS):
        if program not in _PACKAGED_AS:
            links = [
                "--set-interpreter",
                str(final / "lib" / _LOADER),
                "--force-rpath",
                "--set-rpath",
                str(final / "lib"),
            ]
            run(["patchelf", *links, str(staging / "bin" / program)])
            run_here = [
                str(staging / "lib" / _LOADER),
                "--library-path",
                str(staging / "lib"),
                str(staging / "bin" / program),
            ]
            run([*run_here, "version" if program in PLUGINS else "-v"])
    (staging / "suite").write_text(suite + "\n")


def _find(tree: Path, program: str) -> Path:
    for folder in ("usr/libexec/docker/cli-plugins", "usr/sbin", "usr/bin", "usr/libexec/docker"):
        if (tree / folder / program).is_file():
            return tree / folder / program
    raise CommandFailed(f"the suite's packages have no program {program}")
