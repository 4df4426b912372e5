"""`gpudock configure docker`: the runtime, the default, CDI, and the name that --gpus wants."""

import os
from typing import Any, NamedTuple

from gpudock import proc
from gpudock.engine.configure import daemon_json, data_root, docker_file, hook_name, live, service, settings_plan, work
from gpudock.engine.configure.change import Change, FileChange
from gpudock.engine.configure.daemon_json import CDI, Document
from gpudock.engine.configure.dockerd import PATHS, Daemon
from gpudock.engine.configure.wish import HOOK, Wish
from gpudock.errors import GpudockError
from gpudock.host.root import Root

FIRST_CDI = 25
IN_SNAP = (
    "The docker of a snap sees only its own files: it may not be able to start a program of this machine. "
    "When it cannot, use the distribution's docker or Docker's own packages."
)


class Configure(NamedTuple):
    """One configuration, ready to be made."""

    daemon: Daemon
    wish: Wish
    known: docker_file.Known
    after: Document
    changes: tuple[Change, ...]
    notes: tuple[str, ...]
    reasons: tuple[str, ...]  # why docker has to be restarted, not only reloaded
    run: proc.Runner
    restart: bool
    goal: dict[str, Any]  # of the settings
    move: data_root.Move | None = None

    @property
    def _goal(self) -> live.Goal:
        goal = live.goal(self.after, (self.wish.name,), cdi=self.daemon.major >= FIRST_CDI)
        return goal._replace(settings=self.goal)

    @property
    def _stale(self) -> bool:
        """The running docker does not know what the file says, or will say."""
        return bool(self._goal.reloaded.missing(self.daemon.info, cdi=True))

    def describe(self) -> list[str]:
        moved = [text for each in (self.move,) if each and (text := each.describe())]
        return [*work.described(self.changes), *moved, *self._todo("would be ")]

    def apply(self) -> list[str]:
        docker_file.no_duplicates(self.daemon, self.known.now, self.after)
        if self.move:
            settings_plan.check_stopped(self.daemon, self.move, restart=self.restart)
        validated = docker_file.validate(self.daemon, self.after, self.run)
        work.make(self.changes)
        done = work.described(self.changes)
        running = live.Live(self.daemon, self.run)
        try:
            if not self.restart:
                return [*done, *self._moved(), *self._todo("")]
            return [*done, *self._bring(running, validated=validated), *self._afterwards()]
        except GpudockError as error:
            work.take_back(self.changes)
            told = running.rescue(self.known.file, self.known.now)
            if self.move:
                self.move.take_back()
            raise work.failed(error, told) from error

    def _bring(self, running: live.Live, *, validated: bool) -> list[str]:
        restart = self.daemon.manager.restart
        if not self.daemon.running:
            if not restart:
                return ["docker does not run: the settings hold when it is started"]
            self._moved()
            running.restart(self._goal)
            return ["docker was started and confirms the settings"]
        if self._stale:
            running.lead(self.known.file, self.after, self._goal.reloaded)
        if not self.reasons:
            return ["docker confirms the settings" + (" after a reload: no container was stopped" * self._stale)]
        if not restart:
            return ["docker confirms the runtime", *self._by_hand()]
        if not (validated or self._stale):
            running.accepts(self.known.file, self.after)
        if self.move and self.move.copy:
            service.stop(self.daemon.manager, self.run)
            self._moved()
        running.restart(self._goal)
        return ["docker was restarted and confirms the settings"]

    def _moved(self) -> list[str]:
        """Docker stands still."""
        if not (self.move and self.move.copy):
            return []
        self.move.apply(self.run)
        return [f"copied {self.move.old} to {self.move.new}", *self._afterwards()]

    def _afterwards(self) -> list[str]:
        return [self.move.after] if self.move and self.move.after else []

    def _todo(self, would: str) -> list[str]:
        """What happens, or has to happen, to the running docker."""
        if not self.daemon.running:
            return ["docker does not run: the settings hold when it is started"]
        if self.restart and self.reasons and self.daemon.manager.restart:
            return [f"docker {would}restarted: {' '.join(self.daemon.manager.restart)}{self._stopped()}"]
        if self.restart:
            reload = [f"docker {would}reloaded, which stops no container"] if self._stale else []
            return [*reload, *(self._by_hand() if self.reasons else [])] or ["docker knows it all already"]
        if self.reasons:
            return self._by_hand()
        if self._stale:
            return [f"docker does not know it yet; let it: {self._reload_command()}   (or add --restart)"]
        return ["docker knows it all already"]

    def _by_hand(self) -> list[str]:
        command = self.daemon.manager.restart
        process = self.daemon.process
        if command:
            how = f"{self._sudo()}{' '.join(command)}   (or add --restart){self._stopped()}"
        elif process:
            how = f"stop process {process.pid} and start it again as it was: {' '.join(process.arguments)}"
        else:
            how = "in the way that it was started"
        return [f"docker must be restarted ({'; '.join(self.reasons)}): {how}"]

    def _reload_command(self) -> str:
        process = self.daemon.process
        by_signal = f"kill -HUP {process.pid}" if process else "send its process a HUP"
        return self._sudo() + (" ".join(self.daemon.manager.reload) or by_signal)

    def _sudo(self) -> str:
        return "" if self.daemon.rootless else "sudo "

    def _stopped(self) -> str:
        number = self.daemon.info.containers_running
        if not number or self.daemon.info.live_restore_enabled:
            return ""
        return f"; that stops {number} running container{'s' if number > 1 else ''}"


def plan(daemon: Daemon, wish: Wish, machine: Root, run: proc.Runner, *, restart: bool) -> Configure:
    """Raises GpudockError for what must not or cannot be changed; changes nothing."""
    known = docker_file.read(machine, daemon)
    fresh = not known.now.our_names
    before = known.now if fresh else known.before
    cdi = wish.cdi
    if cdi is None:
        cdi = daemon.major >= FIRST_CDI and not daemon.answer.cdi and CDI not in known.now.features
    settings = settings_plan.plan(daemon, known.now, wish, machine)
    after = daemon_json.configured(settings.after, wish._replace(cdi=cdi), before)
    docker_file.no_duplicates(daemon, known.now, after)
    changes: list[Change] = []
    if after.text != known.now.text:
        changes.append(FileChange(known.file, after.text.encode(), keep=fresh))
    hook, notes = _hook(daemon, wish, machine)
    changes += [each for each in (settings.record, hook.change if hook else None) if each]
    reasons = (*_reasons(daemon, after, hook), *(settings.reasons if daemon.running else ()))
    notes += settings.notes
    if "/snap/" in daemon.config:
        notes.append(IN_SNAP)
    return Configure(
        daemon, wish, known, after, tuple(changes), tuple(notes), reasons, run, restart, settings.goal, settings.move
    )


def _hook(daemon: Daemon, wish: Wish, machine: Root) -> tuple[hook_name.Place | None, list[str]]:
    if not wish.hook:
        return None, []
    path = daemon.process.path if daemon.process else PATHS
    target = os.path.join(os.path.dirname(wish.program), HOOK)
    found = hook_name.find(machine, path, target)
    if found.theirs:
        return found, [f"{found.theirs} is not gpudock's and was left alone; docker finds it for --gpus."]
    if found.nowhere:
        note = f"No folder of docker's PATH ({path}) is safe to put {HOOK} into: docker run --gpus will not work."
        return found, [note]
    return found, []


def _reasons(daemon: Daemon, after: Document, hook: hook_name.Place | None) -> list[str]:
    if not daemon.running:
        return []
    reasons = []
    if after.features.get(CDI) is True and daemon.major >= FIRST_CDI and not daemon.answer.cdi:
        reasons.append("it reads CDI specifications from then on")
    if hook and (hook.change or (hook.ours and _newer(hook.ours, daemon))):
        reasons.append("it looks for what --gpus needs when it starts")
    return reasons


def _newer(path: str, daemon: Daemon) -> bool:
    try:
        return daemon.process is None or os.lstat(path).st_ctime > daemon.process.started
    except OSError:
        return False
