"""Puts the code that runs at container start where only root can change it, behind a path that never changes.

Sources with __pycache__, compiled by the very Python that will run them, in a folder named by their content;
`current` leads to it and is switched by a rename. A running hook keeps the folder that it was started from.
"""

import contextlib
import hashlib
import os
import re
import time

import gpudock
from gpudock import proc
from gpudock.errors import HostError
from gpudock.publish import insecure, kept_by_us, make_folder, sync_folder, sync_tree, usual_umask
from gpudock.refresh import entry
from gpudock.refresh import settings as administrator
from gpudock.refresh.paths import CONFIG, ROOT, Paths
from gpudock.start.command import FLAGS
from gpudock.start.device_files import FLAG as WITHHOLD

PARTS = ("__init__.py", "errors.py", "plan", "start")
FREEZER = os.path.join(os.path.dirname(__file__), "freeze.py")  # a program: importing it would cost as much as refresh
FREEZE = ("-I", "-S", "-B", "-X", "no_debug_ranges")  # columns for tracebacks would be half of a file
ENTRIES = ("hook", "runtime")  # modules of start
PYTHONS = ("/usr/bin/python3", "/bin/python3", "/usr/local/bin/python3", "/run/current-system/sw/bin/python3")
OLDEST = (3, 9)
OLD = 86400.0  # seconds; whatever was started from a folder that was replaced so long ago has ended
_MADE_HERE = re.compile(r"\d[^/]*-[0-9a-f]{12}|\..+\.[0-9a-f]{8}\.tmp")


def installed(
    libexec: str, *, where: Paths = ROOT, config: str = CONFIG, run: proc.Runner = proc.run
) -> tuple[str, ...]:
    """Install the start files below `libexec` unless these very ones are there. Returns the hook: program, argv.

    `where` and the settings in the file `config` are what the runtime will go by.
    """
    package = os.path.dirname(gpudock.__file__)
    sources = _sources(package)
    made = entry.files(package, administrator.read(config), where)
    folder = f"{libexec}/{gpudock.__version__}-{_hash(sources, made)}"
    try:
        if not (kept_by_us(folder) and kept_by_us(f"{folder}/hook.py")):
            with usual_umask():
                _install(folder, sources, made, run)
        switch(libexec, os.path.basename(folder))
        tidy(libexec)
    except OSError as error:
        mend = "run it as root (sudo)" if isinstance(error, PermissionError) else ""
        raise HostError(f"Cannot install the start files in {libexec}.", why=str(error), mend=mend) from error
    return planned(libexec, config)


def planned(libexec: str, config: str = CONFIG) -> tuple[str, ...]:
    """The hook as `installed` would return it, without installing anything."""
    chosen = administrator.read(config)
    try:
        with open(f"{libexec}/current/python", encoding="utf-8") as file:
            python = file.read().strip()
    except OSError:
        python = PYTHONS[0]
    lookup = () if chosen.lookup == "walk" else ("--lookup", chosen.lookup)
    withhold = (WITHHOLD,) if chosen.withhold_device_files else ()
    return (python, os.path.basename(python), *FLAGS, f"{libexec}/current/hook.py", *withhold, *lookup)


def _sources(package: str) -> dict[str, str]:
    """Path below the installed folder -> file of the running gpudock."""
    found = {f"{name}.py": f"{package}/start/launch.py" for name in ENTRIES}
    found["entry.py"] = f"{package}/start/entry.py"
    for part in PARTS:
        path = f"{package}/{part}"
        names = sorted(os.listdir(path)) if os.path.isdir(path) else [""]
        for name in names:
            if (part + name).endswith(".py"):
                found[os.path.join("gpudock", part, name).rstrip("/")] = os.path.join(path, name).rstrip("/")
    return found


def _hash(sources: dict[str, str], made: dict[str, entry.File]) -> str:
    digest = hashlib.sha256(repr((made, *_pythons())).encode())
    for name, path in sorted(sources.items()):
        with open(path, "rb") as file:
            digest.update(name.encode() + b"\0" + file.read() + b"\0")
    return digest.hexdigest()[:12]


def _pythons() -> list[tuple[str, str, int, int]]:
    """What system_python chooses from, as far as it shows without starting one: another one compiles anew.

    All of them: which is too old only a process would tell.
    """
    found = []
    for path in PYTHONS:
        if os.path.exists(path) and insecure(path) is None:
            info = os.stat(path)
            found.append((path, os.path.realpath(path), info.st_size, info.st_mtime_ns))
    return found


def _install(folder: str, sources: dict[str, str], made: dict[str, entry.File], run: proc.Runner) -> None:
    import shutil  # noqa: PLC0415  start-up time: most often all is installed already

    python = system_python(run)
    make_folder(os.path.dirname(folder))
    staging = f"{os.path.dirname(folder)}/.{os.path.basename(folder)}.{os.urandom(4).hex()}.tmp"
    try:
        os.mkdir(staging, 0o755)
        for name, source in sources.items():
            target = f"{staging}/{name}"
            os.makedirs(os.path.dirname(target), 0o755, exist_ok=True)
            shutil.copyfile(source, target)
            os.chmod(target, 0o644)
        _write(f"{staging}/python", python + "\n", 0o644)
        for name, part in made.items():
            _write(f"{staging}/{name}", entry.filled(part.text, folder, python, FLAGS), part.mode)
        modules = (f"gpudock.start.{name}" for name in ENTRIES)
        compiled = run(proc.Command((python, *FREEZE, FREEZER, staging, folder, *modules), env={}))
        if not compiled.ok:
            raise HostError(f"{python} cannot compile the start files.", why=compiled.err.strip()[-300:])
        put(staging, folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _write(path: str, text: str, mode: int) -> None:
    with open(path, "x", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)


def put(staging: str, folder: str) -> None:
    """Give a folder that is whole its own name. What is there is not ours, or others can change it: it goes."""
    sync_tree(staging)
    if os.path.lexists(folder):
        _remove(folder)
    os.rename(staging, folder)
    sync_folder(os.path.dirname(folder))


def switch(libexec: str, name: str) -> None:
    """Let `current` lead to the folder `name` beside it."""
    current = f"{libexec}/current"
    before = os.readlink(current) if os.path.islink(current) else name
    if os.path.islink(current) and before == name:
        return
    with contextlib.suppress(FileNotFoundError):
        os.utime(f"{libexec}/{before}")  # from now on it is old
    temporary = f"{libexec}/.current.{os.urandom(4).hex()}.tmp"
    os.symlink(name, temporary)
    os.rename(temporary, current)
    sync_folder(libexec)


def tidy(folder: str) -> None:
    """Remove what `current` no longer leads to since a day, and what an installation that was killed left."""
    current = os.readlink(f"{folder}/current")
    for name in os.listdir(folder):
        path = f"{folder}/{name}"
        with contextlib.suppress(OSError):  # a read-only file system, or another gpudock at the same: it may stay
            if name != current and _MADE_HERE.fullmatch(name) and time.time() - os.lstat(path).st_mtime > OLD:
                _remove(path)


def _remove(path: str) -> None:
    """Renamed first, so that no half of it looks whole."""
    import shutil  # noqa: PLC0415  start-up time: most often all is installed already

    doomed = f"{os.path.dirname(path)}/.{os.path.basename(path).lstrip('.')}.{os.urandom(4).hex()}.tmp"
    os.rename(path, doomed)
    if os.path.isdir(doomed) and not os.path.islink(doomed):
        shutil.rmtree(doomed, ignore_errors=True)
    else:
        os.unlink(doomed)


def system_python(run: proc.Runner) -> str:
    """A Python that nobody but root (or this very user, for a rootless engine) can change. Raises HostError."""
    rejected: list[str] = []
    for candidate in PYTHONS:
        if not os.path.exists(candidate):
            continue
        problem = insecure(candidate) or _version_problem(candidate, run)
        if problem is None:
            return candidate
        rejected.append(f"{candidate}: {problem}")
    raise HostError(
        "No Python that may run as root at container start.",
        why="; ".join(rejected) or "none in " + ", ".join(PYTHONS),
        mend="install the distribution's python3 (3.9 or newer)",
    )


def _version_problem(python: str, run: proc.Runner) -> str | None:
    answer = run(
        proc.Command((python, "-I", "-S", "-c", "import sys; print(*sys.version_info[:2])"), env={}, timeout=10)
    )
    try:
        version = tuple(int(word) for word in answer.out.split())
    except ValueError:
        version = ()
    return None if answer.ok and version >= OLDEST else f"it is not Python {OLDEST[0]}.{OLDEST[1]} or newer"
