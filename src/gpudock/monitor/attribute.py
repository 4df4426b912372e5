"""Who is behind the processes on the GPUs: asks /proc, the engines and the accounts, and hands it to gather."""

from collections.abc import Mapping, Sequence

from gpudock.host.root import Root
from gpudock.monitor import gather, owner
from gpudock.monitor.accounts import Accounts
from gpudock.monitor.cgroup import made, together
from gpudock.monitor.gather import Home
from gpudock.monitor.known import Containers, Known, Wanted
from gpudock.monitor.pods import Pods
from gpudock.monitor.processes import Processes, Seen, own_namespace
from gpudock.monitor.sample import Container, Engine, Person, Process, Use
from gpudock.monitor.use import Uses

HOME_EVERY = 10  # looks: names of accounts and pods may become known later
READ_EVERY = 3 * HOME_EVERY  # looks: to read all processes again costs more than five looks
USE_EVERY = 5  # looks: cgroups cost more to read than all processes
NAMES = 1.0  # seconds at the start, so that nobody is remembered by a number whom a directory knows
APART = "gpudock sees other process ids than the driver tells: it runs in a container that needs --pid=host"


class Machine:
    """This machine's processes, containers and people. `wait`: seconds to wait for engines at each look.

    `simulated`: the process ids are not a driver's but were written by somebody here.
    """

    def __init__(
        self,
        root: Root,
        proc: Root,
        sys: Root,
        engines: Containers,
        *,
        commands: bool = False,
        wait: float = 0.0,
        simulated: bool = False,
    ) -> None:
        self._processes = Processes(proc, commands=commands)
        self._accounts, self._pods, self._uses = Accounts(root, max(wait, NAMES)), Pods(root), Uses(sys)
        self._engines, self._wait = engines, wait
        self._looks = 0
        self._used: dict[str, Use] = {}
        self._seen: Mapping[int, Seen] = {}
        self._wishes: dict[int, tuple[Seen, tuple[Wanted, ...]]] = {}
        self._all_wanted: set[Wanted] = set()
        self._known: dict[Wanted, Known] = {}
        self._at_home: dict[int, Home] = {}
        self.problems = (APART,) if own_namespace(proc) and not simulated else ()

    def engines(self) -> tuple[Engine, ...]:
        return self._engines.engines()

    def look(self, told: Sequence[Process]) -> tuple[tuple[Process, ...], tuple[Container, ...], tuple[Person, ...]]:
        """The driver's processes with all that can be said of them, their containers, and the people."""
        homes: Mapping[int, Home] = {} if self.problems else self._homes({each.pid for each in told})
        processes = gather.processes(told, homes)
        containers = gather.containers(processes, homes, self._use(homes))
        return processes, containers, gather.people(processes)

    def _homes(self, pids: set[int]) -> Mapping[int, Home]:
        anew = self._looks % HOME_EVERY == 0
        seen = self._processes.look(pids, anew=self._looks % READ_EVERY == 0)
        same = seen is self._seen and not anew
        if not same:
            before = {} if anew else self._wishes
            self._seen, self._wishes = seen, {pid: self._wish(each, before.get(pid)) for pid, each in seen.items()}
            # The engines that are asked here do not know what the kubelet started.
            self._all_wanted = {each for _, all_of in self._wishes.values() for each in all_of if each.engine != "cri"}
        known = self._engines.find(self._all_wanted, self._wait)
        if not same or known != self._known:
            self._known, self._at_home = known, self._found(known, {} if anew else self._at_home)
        return self._at_home

    def _found(self, known: Mapping[Wanted, Known], before: Mapping[int, Home]) -> dict[int, Home]:
        homes = {}
        for pid, (seen, wanted) in self._wishes.items():
            place, hit = _container(seen, wanted, known)
            there = before.get(pid)
            same = there is not None and there.seen is seen and there.hit is hit and there.place == place
            homes[pid] = there if there is not None and same else self._home(seen, place, hit)
        return homes

    def _wish(self, seen: Seen, before: tuple[Seen, tuple[Wanted, ...]] | None) -> tuple[Seen, tuple[Wanted, ...]]:
        """The containers that a process may be in; what was found out of this very process before."""
        return before if before is not None and before[0] is seen else (seen, self._wanted(seen))

    def _wanted(self, seen: Seen) -> tuple[Wanted, ...]:
        if not seen.place.ids or seen.uid is None:  # without a user it has ended meanwhile
            return ()
        user = owner.engine_user(seen.place, seen.uid, self._accounts)
        *inside, outermost = seen.place.ids  # a docker's container may run inside of a podman's
        form = seen.place.engine
        around = Wanted(outermost, user, form)
        return (*(Wanted(each, user, form if form == "cri" else "") for each in inside), around)

    def _home(self, seen: Seen, place: Wanted | None, hit: Known | None) -> Home:
        told = hit.container if hit else None
        # In an engine of his own everybody can label a container as if it were of any pod.
        pod = self._pods.pod(seen.place, told if place and not place.user else None)
        user = "" if seen.uid is None else self._accounts.name(seen.uid)
        whose = owner.owner(seen.place, told, pod, seen.uid, self._accounts)
        return gather.home(seen, place, hit, user=user, pod=pod, owner=whose)

    def _use(self, homes: Mapping[int, Home]) -> dict[str, Use]:
        inside = {each.place.key: each for each in homes.values() if each.place}
        if self._looks % USE_EVERY == 0 or inside.keys() - self._used.keys():
            places = {key: (each.place.id, dict(each.seen.place.paths)) for key, each in inside.items() if each.place}
            self._used = self._uses.look(places)
        self._looks += 1
        return self._used


def _container(
    seen: Seen, wanted: Sequence[Wanted], known: Mapping[Wanted, Known]
) -> tuple[Wanted | None, Known | None]:
    """The deepest that an engine has; without one the outermost that may be one.

    Who is in a container, or was given a part of the tree of cgroups, can name a cgroup there after any container. The
    machine's engine says where its own really is, unless its first process has left or is not ours to see; what a
    user's own engine says is of nobody but that user anyway.
    """
    claimed = None
    for each in wanted:
        hit = known.get(each)
        if hit is not None and (each.user or seen.place.by_mounts or _inside(seen, hit, each.id)):
            return each, hit
        if hit is None or each.id not in hit.place.ids:
            claimed = each
    return claimed, None


def _inside(seen: Seen, hit: Known, container: str) -> bool:
    return made(seen.place, container) or together(seen.place, hit.place, container)
