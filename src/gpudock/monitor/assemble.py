"""A collector for this machine, or for the simulated GPUs that it was lent."""

import os
from collections.abc import Callable, Mapping

from gpudock import proc
from gpudock.facts.snapshot import Roots
from gpudock.host.root import Root
from gpudock.monitor import clients, watch
from gpudock.monitor.attribute import Machine
from gpudock.monitor.collector import Collector, Listener
from gpudock.monitor.known import Containers
from gpudock.monitor.watch import Watcher


def collector(
    roots: Roots,
    environment: Mapping[str, str],
    *,
    interval: float = 1.0,
    commands: bool = False,
    wait: float = 0.0,
    listeners: tuple[Listener, ...] = (),
    notes: Callable[[], str] = str,
    watcher: Watcher | None = None,
) -> Collector:
    """`wait`: seconds that a look waits for container engines; without it they are shown as soon as they are known."""
    # A simulated host lends its GPUs to this machine: processes and containers are the machine's.
    machine = Root("/") if roots.simulated else Root(os.path.dirname(roots.proc))
    own_proc, own_sys = (Root("/proc"), Root("/sys")) if roots.simulated else (Root(roots.proc), Root(roots.sys))
    engines = Containers(lambda user: clients.clients(user, environment), proc.run, own_proc)
    return Collector(
        watcher or Watcher(lambda: watch.driver(roots)),
        Machine(machine, own_proc, own_sys, engines, commands=commands, wait=wait, simulated=roots.simulated),
        interval=interval,
        simulated=roots.simulated,
        listeners=listeners,
        notes=notes,
    )
