"""The whole program in root's hands: units and container start never run what a user's environment holds.

/opt/gpudock/VERSION-HASH/{lib,bin/gpudock}, and `current` that leads to it. The packages are copied from the running
environment, so nothing is downloaded.
"""

import hashlib
import importlib.metadata
import os
import re
import shutil
import sys

import gpudock
from gpudock import proc, publish
from gpudock.errors import HostError
from gpudock.publish import kept_by_us, make_folder, usual_umask
from gpudock.refresh.install import put, switch, system_python, tidy
from gpudock.refresh.paths import PROGRAM

LINK = "/usr/local/sbin/gpudock"  # on the path that sudo uses
DEPENDENCIES = ("argon2-cffi", "click", "Jinja2", "msgspec", "PyYAML", "rich", "ruamel.yaml", "tomlkit")
OPTIONAL = ("starlette", "uvicorn", "textual")  # of `gpudock serve` and `gpudock top`, where they are installed
_REQUIREMENT = re.compile(r"([\w.-]+)\s*(?:\[([^]]*)\])?")
ENTRY = """\
#!{python} -I
import sys

if sys.implementation.cache_tag != {tag!r}:
    sys.stderr.write(
        "gpudock: this copy of gpudock cannot run any more: it was made for {tag}, and {python} is now "
        + str(sys.implementation.cache_tag) + ".\\n"
        "  why:  its compiled packages fit one Python version only\\n"
        "  mend: pipx reinstall --python {python} gpudock; "
        'then sudo "$(command -v gpudock)" refresh --install-units\\n'
    )
    sys.exit({code})
sys.path.insert(0, {lib!r})
from gpudock.cli.main import main

main()
"""


def installed(folder: str = PROGRAM, *, run: proc.Runner = proc.run) -> str:
    """Install the running program below `folder` unless this very one is there. Returns the path of its executable."""
    python = _python(run)
    files = _files()
    made = f"{folder}/{gpudock.__version__}-{_hash(files, python)}"
    try:
        if not (kept_by_us(made) and kept_by_us(f"{made}/bin/gpudock")):
            with usual_umask():
                _install(made, python, files)
        switch(folder, os.path.basename(made))
        tidy(folder)
    except OSError as error:
        mend = "run it as root (sudo)" if isinstance(error, PermissionError) else ""
        raise HostError(f"Cannot install gpudock in {folder}.", why=str(error), mend=mend) from error
    return f"{folder}/current/bin/gpudock"


def link_for_sudo(program: str, link: str = LINK) -> list[str]:
    """Let sudo find `program`: it does not look into a user's home, where pipx puts programs. What is there stays."""
    try:
        os.symlink(program, link)
    except (
        OSError
    ):  # there already, or no such folder: then the messages' `sudo gpudock` is found, or is for the user to place
        return []
    return [f"linked {link} to {program}"]


def _python(run: proc.Runner) -> str:
    """The system's, or its own copy of the version that runs, as Ubuntu 22.04 has beside it. Raises HostError."""
    beside = f"/usr/bin/python{sys.version_info[0]}.{sys.version_info[1]}"
    try:
        python = system_python(run)
        _same_version(python, run)
    except HostError:
        if (
            os.path.exists(beside)
            and not publish.insecure(beside)
            and _tag(beside, run) == sys.implementation.cache_tag
        ):
            return beside
        raise
    return python


def _same_version(python: str, run: proc.Runner) -> None:
    """Compiled packages fit one Python version only."""
    tag = _tag(python, run)
    if tag != sys.implementation.cache_tag:
        raise HostError(
            f"gpudock runs on {sys.implementation.cache_tag}, the system's {python} is {tag}.",
            why="its packages cannot be copied into root's hands for another Python version",
            mend=f"install gpudock with the system's Python: pipx reinstall --python {python} gpudock",
        )


def _tag(python: str, run: proc.Runner) -> str:
    answer = run(proc.Command((python, "-I", "-S", "-c", "import sys; print(sys.implementation.cache_tag)"), env={}))
    return answer.out.strip() or "unknown"


def _files() -> dict[str, str]:
    """Path below lib/ -> file of the running environment."""
    package = os.path.dirname(gpudock.__file__)
    found = {
        os.path.join("gpudock", os.path.relpath(folder, package), name): os.path.join(folder, name)
        for folder, _, names in os.walk(package)
        for name in names
        if not name.endswith(".pyc")
    }
    for distribution in _distributions():
        for file in distribution.files or ():
            if ".." not in file.parts and not file.name.endswith(".pyc"):
                found[str(file)] = str(file.locate())
    return {os.path.normpath(name): path for name, path in found.items()}


def _distributions() -> list[importlib.metadata.Distribution]:
    """What gpudock needs, and what that needs, as far as it is installed. Raises HostError."""
    found: dict[tuple[str, str], importlib.metadata.Distribution] = {}
    todo = [(name, "") for name in (*DEPENDENCIES, *OPTIONAL)]
    while todo:
        name, extra = todo.pop(0)
        key = re.sub(r"[-_.]+", "-", name).lower(), extra
        distribution = None if key in found else _distribution(name)
        if distribution is None:
            continue
        found[key] = distribution
        for requirement in distribution.requires or ():
            asked = re.search(r"extra\s*==\s*['\"]([^'\"]+)", requirement)
            needed = _REQUIREMENT.match(requirement)
            if needed and (asked is None or asked[1] == extra):
                todo += [(needed[1], each.strip()) for each in ("", *(needed[2] or "").split(","))]
    return list(found.values())


def _distribution(name: str) -> importlib.metadata.Distribution | None:
    """None: it is not installed, and need not be."""
    try:
        return importlib.metadata.distribution(name)
    except importlib.metadata.PackageNotFoundError as error:
        if name not in DEPENDENCIES:
            return None
        raise HostError(
            f"gpudock cannot be copied into root's hands: the package {name} is not installed as a package.",
            why=f"nothing on the path of {sys.executable} says which files belong to it",
            mend="install gpudock with pipx or pip, which bring its packages, and run that gpudock",
        ) from error


def _hash(files: dict[str, str], python: str) -> str:
    digest = hashlib.sha256(f"{python} {sys.implementation.cache_tag}".encode())
    for name, path in sorted(files.items()):
        with open(path, "rb") as file:
            digest.update(name.encode() + b"\0" + file.read() + b"\0")
    return digest.hexdigest()[:12]


def _install(made: str, python: str, files: dict[str, str]) -> None:
    make_folder(os.path.dirname(made))
    staging = f"{os.path.dirname(made)}/.{os.path.basename(made)}.{os.urandom(4).hex()}.tmp"
    try:
        for name, source in files.items():
            target = f"{staging}/lib/{name}"
            os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
            shutil.copyfile(source, target)
            os.chmod(target, 0o644)
        os.makedirs(f"{staging}/bin", 0o755)
        with open(f"{staging}/bin/gpudock", "x", encoding="utf-8") as file:
            tag, code = sys.implementation.cache_tag, HostError.exit_code
            file.write(ENTRY.format(python=python, lib=made + "/lib", tag=tag, code=code))
        os.chmod(f"{staging}/bin/gpudock", 0o755)  # noqa: S103  an executable
        put(staging, made)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
