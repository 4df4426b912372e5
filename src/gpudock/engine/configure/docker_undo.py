"""`gpudock configure docker --undo`: in an order in which no docker crashes and no container loses its runtime."""

from typing import NamedTuple

from gpudock import proc
from gpudock.engine.configure import (
    change,
    containers,
    daemon_json,
    docker_file,
    flags,
    hook_name,
    live,
    set_record,
    work,
)
from gpudock.engine.configure.change import Change, FileChange
from gpudock.engine.configure.daemon_json import Document
from gpudock.engine.configure.docker_settings import DATA_ROOT
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
    settings: tuple[str, ...] = ()  # those that were set by gpudock and are taken back

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
        if self._nothing:
            return [NOTHING]
        reload = "docker reloads in steps: another default first, then without the runtime; no container is stopped"
        return [*self._described(), *([reload] if self._steps else [])]

    def _described(self) -> list[str]:
        return work.described([*([self._last] if self._names or self.settings else []), *self.links])

    @property
    def _nothing(self) -> bool:
        return not (self._names or self.settings or self.links)

    def apply(self) -> list[str]:
        if self._nothing:
            return [NOTHING]
        self._refuse_used()
        docker_file.validate(self.daemon, self.stages.final, self.run)
        running = live.Live(self.daemon, self.run)
        if self._names or self.settings:
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
        rest = self.stages.final.features != self.known.now.features or self.links or self.settings
        if not rest:
            return confirmed
        if self.restart and self.daemon.manager.restart:
            running.restart(live.Goal({}, None))
            return [*confirmed, "docker was restarted"]
        what = ", ".join(self.settings) or "CDI and --gpus"
        return [*confirmed, f"docker forgets the rest, {what}, when it is restarted the next time"]


def plan(daemon: Daemon, machine: Root, run: proc.Runner, *, restart: bool) -> Undo:
    known = docker_file.read(machine, daemon)
    record = change.read(machine, daemon.config + set_record.NAME)
    ours = set_record.read(record.data, record.path)
    without, left = set_record.restored(known.now, ours)
    stages = daemon_json.undone(without, known.before, daemon.info.default_runtime)
    links: list[Change] = [*hook_name.removal(machine, daemon.process.path if daemon.process else PATHS)]
    links += [FileChange(record, None)] if record.data is not None else []
    notes = [f"{key} was changed since gpudock set it, and is left as it is" for key in left]
    if DATA_ROOT in ours and DATA_ROOT not in left:
        notes.append(f"docker goes back to its data as they were when they were copied to {ours[DATA_ROOT]['set']}")
    settings = tuple(key for key in ours if key not in left and key in known.now.value)
    return Undo(daemon, known, stages, tuple(links), run, restart, tuple(notes), settings)
