"""Programs of NVIDIA's toolkit and low-level runtimes, the toolkit's configuration, and the system's linker."""

import os
import tomllib

from gpudock.facts.base import Missing
from gpudock.facts.setup import Program, Toolkit
from gpudock.host.library_folders import WSL_FOLDER, library_folders
from gpudock.host.plain import one_line
from gpudock.host.root import Root
from gpudock.plan import ldcache
from gpudock.proc import Command, Runner

CONFIG = "/etc/nvidia-container-runtime/config.toml"
FOLDERS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")  # dockerd's usual PATH
TOOLKIT = (
    *("nvidia-container-runtime-hook", "nvidia-container-toolkit", "nvidia-cdi-hook", "nvidia-ctk"),
    *("nvidia-container-cli", "nvidia-container-runtime"),
)
RUNTIMES = ("runc", "crun")
SONAMES = ("libcuda.so.1", "libnvidia-ml.so.1")
SECONDS = 2.0
_CACHE_LIMIT = 16 << 20


def found(machine: Root, run: Runner) -> tuple[Program, ...]:
    programs = []
    for name in (*TOOLKIT, *RUNTIMES):
        for folder in FOLDERS:
            path = f"{folder}/{name}"
            seen = machine.stat(path)
            if seen:
                version = _version(run, machine.host(path)) if name in RUNTIMES else Missing("not asked")
                programs.append(Program(name=name, path=path, changed=max(int(seen.st_ctime), 0), version=version))
                break
    return tuple(programs)


def _version(run: Runner, path: str) -> str | Missing:
    """`runc version 1.1.5+ds1`, `crun version 1.8.1`: the third word of the first line."""
    answer = run(Command((path, "--version"), timeout=SECONDS, env={"PATH": os.defpath}))
    words = answer.out.partition("\n")[0].split()
    return one_line(words[2]) if answer.ok and len(words) > 2 else Missing(f"{path} does not tell")


def toolkit(machine: Root, architecture: str) -> Toolkit | Missing:
    text = machine.text(CONFIG)
    if text is None:
        return Missing(f"there is no {CONFIG}")
    try:
        told = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return Toolkit(path=CONFIG, error=one_line(str(error)))
    cli, runtime = _table(told, "nvidia-container-cli"), _table(told, "nvidia-container-runtime")
    root = cli.get("root") if isinstance(cli.get("root"), str) and cli["root"] else "/"
    mode = runtime.get("mode")
    plain = one_line(str(root))
    return Toolkit(
        path=CONFIG,
        mode=one_line(mode) if isinstance(mode, str) and mode else "auto",
        no_cgroups=cli.get("no-cgroups") is True,
        root=plain if plain.startswith("/") and ".." not in plain.split("/") else "/",
        library=_has_nvml(machine, plain, architecture),
        accept_envvar=told.get("accept-nvidia-visible-devices-envvar-when-unprivileged") is not False,
    )


def _table(told: dict[str, object], name: str) -> dict[str, object]:
    found = told.get(name)
    return found if isinstance(found, dict) else {}


def _has_nvml(machine: Root, root: str, architecture: str) -> bool:
    base = root.rstrip("/")
    folders = (*library_folders(architecture), f"{WSL_FOLDER}/lib")
    if any(machine.stat(f"{base}{folder}/libnvidia-ml.so.1") for folder in folders):
        return True
    return not base and "libnvidia-ml.so.1" in cached(machine)


def cached(machine: Root) -> tuple[str, ...]:
    """Which of SONAMES the system's linker finds, as paths that exist."""
    try:
        entries = ldcache.entries(machine.read("/etc/ld.so.cache", _CACHE_LIMIT))
    except (OSError, ldcache.CacheError):
        return ()
    names = {soname for _, soname, path in entries if soname in SONAMES and machine.stat(path)}
    return tuple(sorted(names))


def ldconfig(run: Runner) -> str | None:
    """Why the system's ldconfig cannot be run; None when it can."""
    path = next((each for each in ("/sbin/ldconfig.real", "/sbin/ldconfig") if os.path.exists(each)), "")
    if not path:
        return None  # musl: there is nothing to run
    answer = run(Command((path, "-V"), timeout=SECONDS, env={"LC_ALL": "C"}))
    return None if answer.ok else one_line(answer.err) or f"it ended with {answer.code}"
