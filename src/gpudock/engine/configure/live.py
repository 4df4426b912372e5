"""Brings a running docker to a new daemon.json, and believes only what docker itself then says."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from gpudock import proc
from gpudock.engine.configure import daemon_json, docker_confirm, dockerd, service
from gpudock.engine.configure.change import ConfigFile, FileChange
from gpudock.engine.configure.daemon_json import CDI, Document
from gpudock.engine.configure.dockerd import Daemon, Info
from gpudock.errors import EngineError, GpudockError

FIRST_SHIMS = 23
RELOADED, RESTARTED, STEP = 10.0, 90.0, 0.1  # seconds


class Goal(NamedTuple):
    """What docker has to say of itself in the end. `programs`: None for a runtime that must be gone."""

    programs: dict[str, str | None]
    default: str | None  # None: whichever
    cdi: bool = False
    settings: dict[str, Any] | None = None  # of daemon.json, as far as docker tells them

    @property
    def reloaded(self) -> "Goal":
        """What a reload is enough for."""
        return self._replace(cdi=False, settings=docker_confirm.reloaded(self.settings or {}))

    def missing(self, daemon_says: Info, *, cdi: bool) -> str:
        """What is not so yet, "" when all is."""
        for name, program in self.programs.items():
            if daemon_says.path(name) != program:
                return f"docker info names no runtime {name}" if program else f"docker info still names {name}"
        if self.default is not None and daemon_says.default_runtime != self.default:
            return f"docker info names {daemon_says.default_runtime or 'nothing'} as the default runtime"
        if self.cdi and not cdi:
            return "docker info names no CDISpecDirs"
        return docker_confirm.unmet(self.settings or {}, daemon_says)


def goal(document: Document, names: tuple[str, ...], *, cdi: bool = False) -> Goal:
    """What this file says of these runtimes, and of the default. `cdi`: this docker knows CDI."""
    programs: dict[str, str | None] = dict.fromkeys(names)
    for name in names:
        entry = document.runtimes.get(name)
        if isinstance(entry, dict):
            programs[name] = str(entry.get("path", ""))
    return Goal(programs, document.default, cdi and document.features.get(CDI) is True)


class Live(NamedTuple):
    daemon: Daemon
    run: proc.Runner
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def lacks(self, wanted: Goal) -> str:
        """What is not so yet; docker's own words when it does not answer."""
        answer, info = dockerd.ask(self.daemon.client, self.run)
        return answer.problem or wanted.missing(info, cdi=answer.cdi)

    def lead(self, file: ConfigFile, document: Document, wanted: Goal) -> None:
        """Let docker read this document, which is or becomes the file, without crashing on it.

        Raises EngineError when docker does not say what is wanted in time.
        """
        running_default = dockerd.ask(self.daemon.client, self.run)[1].default_runtime
        safe = daemon_json.safe(document, running_default, shims=self.daemon.major >= FIRST_SHIMS)
        FileChange(file, safe.text.encode()).apply()
        self._reload(wanted._replace(default=safe.default))
        if safe != document:
            FileChange(file, document.text.encode()).apply()

    def _reload(self, wanted: Goal) -> None:
        process = self.daemon.process
        if process is None and not self.daemon.manager.reload:
            raise EngineError("It is not known which process this docker is.", mend="restart it by hand")
        service.reload(self.daemon.manager, process.pid if process else 0, self.run)
        self._await(wanted, RELOADED, "Docker has not taken the new settings.")

    def accepts(self, file: ConfigFile, document: Document) -> None:
        """Raises EngineError when docker cannot read the file as it is now: then it must not be restarted.

        For a docker that cannot be asked to judge a file. A reload of a bad one changes nothing and is not reported.
        """
        since = time.time()
        self.lead(file, document, Goal({}, None))
        end = self.clock() + RELOADED
        words = (*self.daemon.client.words, "events", "--filter", "type=daemon", "--filter", "event=reload")
        while not self.run(proc.Command((*words, "--since", f"{since:.6f}", "--until", f"{time.time():.6f}"))).out:
            if self.clock() > end:
                raise EngineError(
                    f"Docker cannot read {self.daemon.config}, so it was not restarted.",
                    mend=f"see {_log(self.daemon)}",
                )
            self.sleep(STEP)

    def restart(self, wanted: Goal) -> None:
        service.restart(self.daemon.manager, self.run)
        self._await(wanted, RESTARTED, "Docker has not come up with the new settings.")

    def rescue(self, file: ConfigFile, document: Document) -> str:
        """Docker runs on the old file again, whatever the new one did to it; says how that went."""
        unchanged = Goal({}, None)
        try:
            if self.lacks(unchanged) and self.daemon.manager.restart:
                self.restart(unchanged)
            elif file.data is not None:
                self.lead(file, document, unchanged)
        except GpudockError as error:
            return f"the old file is back, but docker does not run: {error}"
        return "the old file is back, and docker runs with it"

    def _await(self, wanted: Goal, seconds: float, what: str) -> None:
        end = self.clock() + seconds
        while lacking := self.lacks(wanted):
            if self.clock() > end:
                raise EngineError(what, why=f"{lacking} after {seconds:g} s", mend=f"see {_log(self.daemon)}")
            self.sleep(STEP)


def _log(daemon: Daemon) -> str:
    if daemon.manager.unit:
        user = "--user " if daemon.manager.user else ""
        return f"what docker said: journalctl {user}-u {daemon.manager.unit} -n 30"
    return "what docker said in its log, for example /var/log/docker.log"
