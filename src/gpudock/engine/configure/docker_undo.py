"""`gpudock configure docker --undo`: in an order in which no docker crashes and no container loses its runtime."""

from typing import NamedTuple

from gpudock import proc
from gpudock.engine.configure import containers, daemon_json, docker_file, flags, hook_name, live, work
from gpudock.engine.configure.change import Change, FileChange
from gpudock.engine.configure.daemon_json import Document
from gpudock.engine.configure.dockerd import PATHS, Daemon
from gpudock.errors import GpudockError
from gpudock.host.root import Root

NOTHING = "docker is not configured for gpudock: there is nothing to undo"
DATA = "/var/lib/docker"


class Undo(NamedTuple):
    daemon: Daemon
    known: docker_file.Known
    stages: daemon_json.Undo
    links: tuple[Change, ...]
    run: proc.Runner
    restart: bool
    notes: tuple[str, ...] = ()

    @property
    def _names(self) -> tuple[str, ...]:
        return self.known.now.our_names

    @property
    def _steps(self) -> tuple[Document, ...]:
        """What a running docker has to be led through; nothing when it never heard of our runtime."""
        info = self.daemon.info
        heard = info.default_runtime in self._names or any(info.path(name) is not None for name in self._names)
        return self.stages.live if self.daemon.running and heard else ()

    @property
    def _last(self) -> FileChange:
        """From the file as it is now to what stays of it."""
        text = self.stages.final.text
        if not self.stages.final.value and not text.strip():  # there was no file, or an empty one
            return FileChange(self.known.file, b"{}\n" if self.daemon.explicit else None, forget=True)
        return FileChange(self.known.file, text.encode(), forget=True)

    def describe(self) -> list[str]:
        if not self._names and not self.links:
            return [NOTHING]
        reload = "docker reloads in steps: another default first, then without the runtime; no container is stopped"
        return [*self._described(), *([reload] if self._steps else [])]

    def _described(self) -> list[str]:
        return work.described([*([self._last] if self._names else []), *self.links])

    def apply(self) -> list[str]:
        if not self._names and not self.links:
            return [NOTHING]
        self._refuse_used()
        docker_file.validate(self.daemon, self.stages.final, self.run)
        running = live.Live(self.daemon, self.run)
        if self._names:
            self._lead(running)
        work.make(self.links)
        return [*self._described(), *self._then(running)]

    def _lead(self, running: live.Live) -> None:
        start = FileChange(self.known.file, self.known.file.data)
        try:
            for stage in self._steps:
                running.lead(self.known.file, stage, live.goal(stage, self._names))
            self._last.apply()
        except GpudockError as error:
            start.apply()
            raise work.failed(error, running.rescue(self.known.file, self.known.now)) from error

    def _refuse_used(self) -> None:
        gone = self.stages.gone(self._names)
        if not gone:
            return
        using = containers.of_docker(self.daemon.client, self.run) if self.daemon.running else self._kept()
        instead = "to take only the default away: gpudock configure docker --no-default --restart"
        containers.refuse(using, gone, "docker rm --force NAME", instead)

    def _kept(self) -> tuple[containers.Container, ...]:
        flag = flags.given(self.daemon.flags, "data-root")
        value = self.known.now.value.get("data-root")
        return containers.of_folder(flag.value if flag else value if isinstance(value, str) else DATA)

    def _then(self, running: live.Live) -> list[str]:
        if not self.daemon.running:
            return ["docker does not run"]
        confirmed = ["docker confirms that the runtime is gone; no container was stopped"] if self._steps else []
        rest = self.stages.final.features != self.known.now.features or self.links
        if not rest:
            return confirmed
        if self.restart and self.daemon.manager.restart:
            running.restart(live.Goal({}, None))
            return [*confirmed, "docker was restarted"]
        return [*confirmed, "docker forgets the rest, CDI and --gpus, when it is restarted the next time"]


def plan(daemon: Daemon, machine: Root, run: proc.Runner, *, restart: bool) -> Undo:
    known = docker_file.read(machine, daemon)
    stages = daemon_json.undone(known.now, known.before, daemon.info.default_runtime)
    links = hook_name.removal(machine, daemon.process.path if daemon.process else PATHS)
    return Undo(daemon, known, stages, links, run, restart)
