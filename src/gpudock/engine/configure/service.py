"""Who started an engine, and so who can restart it: systemd, a service script, or somebody by hand."""

import os
import re
import signal
from typing import NamedTuple

from gpudock import proc
from gpudock.engine.configure import flags
from gpudock.errors import EngineError, HostError
from gpudock.host.root import Root
from gpudock.plan.quote import quote

SYSTEMD = "/run/systemd/system"
FOLDERS = ("/etc/systemd/system", "/run/systemd/system", "/usr/local/lib/systemd/system", "/usr/lib/systemd/system")
PATIENCE = 120.0  # seconds for systemctl: containers may take their time to stop
_UNIT = re.compile(r"/([^/\n]+\.service)(?=/|$)", re.MULTILINE)


class Manager(NamedTuple):
    """None of the three: it was started by hand."""

    unit: str = ""  # of systemd
    user: bool = False  # of the user's own systemd
    script: str = ""  # below /etc/init.d

    @property
    def restart(self) -> tuple[str, ...]:
        """The command; () when there is none."""
        if self.script:
            return ("service", self.script, "restart")
        return self._systemctl("restart")

    @property
    def stop(self) -> tuple[str, ...]:
        """The command, which also ends the socket that would start it again; () when there is none."""
        if self.script:
            return ("service", self.script, "stop")
        words = self._systemctl("stop")
        return (*words, self.unit.replace(".service", ".socket")) if self.unit == "docker.service" else words

    @property
    def reload(self) -> tuple[str, ...]:
        """The command; () when the process gets a HUP instead."""
        return self._systemctl("reload")

    def _systemctl(self, verb: str) -> tuple[str, ...]:
        return ("systemctl", *(("--user",) if self.user else ()), verb, self.unit) if self.unit else ()


def manager(machine: Root, processes: Root, pid: int | None, name: str, pid_file: str = "") -> Manager:
    """Of the running process `pid`, or of the service `name` when nothing runs."""
    if machine.stat(SYSTEMD) is not None:
        if pid is None:
            return Manager(f"{name}.service") if unit_files(machine, f"{name}.service") else Manager()
        found = _UNIT.findall(processes.text(f"/{pid}/cgroup") or "")
        unit = next((each for each in reversed(found) if name in each), "")
        return Manager(unit, user=any(each.startswith("user@") for each in found)) if unit else Manager()
    script = machine.stat(f"/etc/init.d/{name}") is not None
    started = pid is None or (machine.text(pid_file, 32) or "").strip() == str(pid)
    return Manager(script=name) if script and started else Manager()


def unit_files(machine: Root, unit: str) -> tuple[tuple[str, str], ...]:
    """(path, text) of a unit and of its drop-ins, as systemd puts them together; () when there is no such unit."""
    main = next(((path, text) for folder in FOLDERS if (text := machine.text(path := f"{folder}/{unit}"))), None)
    if main is None:
        return ()
    parts: dict[str, str] = {}
    for folder in reversed(FOLDERS):  # a name in an earlier folder hides the same name in a later one
        parts |= {name: f"{folder}/{unit}.d/{name}" for name in machine.names(f"{folder}/{unit}.d")}
    paths = [path for name, path in sorted(parts.items()) if name.endswith(".conf")]
    return (main, *((path, machine.text(path) or "") for path in paths))


def docker_flags(machine: Root, found: Manager) -> tuple[flags.Flag, ...]:
    """What the unit or the script will start dockerd with the next time."""
    if found.unit and not found.user:
        return flags.of_unit(flags.unit(unit_files(machine, found.unit)), machine.text)
    if found.script:
        files = ("/etc/default/docker", "/etc/sysconfig/docker")
        return tuple(flag for path in files for flag in flags.of_options(machine.text(path) or "", path))
    return ()


def restart(found: Manager, run: proc.Runner) -> None:
    """Raises EngineError with what the service manager said."""
    if found.script and not run(proc.Command(found.restart, timeout=PATIENCE)).ok:
        # Debian's script for docker cannot restart what does not run.
        _do(("service", found.script, "start"), run)
    elif not found.script:
        _do(found.restart, run)


def stop(found: Manager, run: proc.Runner) -> None:
    """Raises EngineError with what the service manager said."""
    _do(found.stop, run)


def reload(found: Manager, pid: int, run: proc.Runner) -> None:
    """Let the engine read its configuration again, which stops no container."""
    if found.reload:
        _do(found.reload, run)
        return
    try:
        os.kill(pid, signal.SIGHUP)
    except OSError as error:
        mend = "run it as root (sudo)" if isinstance(error, PermissionError) else ""
        raise HostError(
            f"Process {pid} cannot be told to reload.", why=error.strerror or str(error), mend=mend
        ) from error


def _do(argv: tuple[str, ...], run: proc.Runner) -> None:
    answer = run(proc.Command(argv, timeout=PATIENCE))
    if not answer.ok:
        lines = [line for line in answer.err.splitlines() if line.strip()] or [f"exit code {answer.code}"]
        raise EngineError(f"{' '.join(argv)} failed.", why=quote(lines[0], 300))
