"""Where the REST API's facts come from: the plan in force, read each time, and the driver, asked as seldom as possible.

A driver that hangs costs one waiting request, not one for each client: a failure is remembered for some seconds.
"""

import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from gpudock.compat.plugin_log import Log
from gpudock.errors import GpudockError, HostError
from gpudock.facts.base import Missing
from gpudock.host import nvml_sample
from gpudock.host.root import Root
from gpudock.plan import capabilities
from gpudock.plan.document import Plan
from gpudock.proc import Runner

FRESH = 1.0  # seconds that a sample serves
AGAIN = 10.0  # seconds until a driver that failed is asked again
FOR_EVER = float("inf")

T = TypeVar("T")


class Host(NamedTuple):
    """`limits` by UUID, `cuda` and `numa` by bus id, each empty where nothing could be read."""

    plan: Plan | None
    limits: dict[str, nvml_sample.Limits]
    cuda: dict[str, nvml_sample.Cuda]
    numa: dict[str, int]


class _Asked(Generic[T]):
    """The last answer to one question, asked by one thread at a time."""

    def __init__(self, ask: Callable[[str], T | Missing], fresh: float, log: Log) -> None:
        self._ask, self._fresh, self._log = ask, fresh, log
        self._lock = threading.Lock()
        self._driver, self._until = "", 0.0
        self._last: T | Missing = Missing("not asked yet")

    def get(self, driver: str) -> T | Missing:
        with self._lock:
            if driver != self._driver or time.monotonic() > self._until:
                self._last = self._ask(driver)
                self._driver = driver
                self._until = time.monotonic() + (AGAIN if isinstance(self._last, Missing) else self._fresh)
                if isinstance(self._last, Missing):
                    self._log(f"Error: {self._last.reason}")
            return self._last


class Source:
    """`plan` gives the plan in force or raises a GpudockError; `gpus` tells whether there are some, for which a plan is
    to be.
    """

    def __init__(self, plan: Callable[[], Plan], gpus: Callable[[], bool], run: Runner, log: Log) -> None:
        self._plan, self._gpus, self._log = plan, gpus, log
        self._problem = ""
        nvml, cuda = "lib64/libnvidia-ml.so.1", "lib64/libcuda.so.1"
        self._limits = _Asked(lambda tree: nvml_sample.limits(run, f"{tree}/{nvml}"), FOR_EVER, log)
        self._cuda = _Asked(lambda tree: nvml_sample.cuda(run, f"{tree}/{cuda}"), FOR_EVER, log)
        self._status = _Asked(lambda tree: nvml_sample.status(run, f"{tree}/{nvml}"), FRESH, log)

    def plan(self) -> Plan | None:
        """None when there is no driver or GPU; the log says why, once."""
        try:
            found = self._plan()
        except GpudockError as error:
            if str(error) != self._problem:
                self._problem = str(error)
                self._log(f"Error: {error}")
            return None
        self._problem = ""
        return found

    def served(self) -> Plan | None:
        """The plan that clients are told of; None: there is no GPU. Raises HostError where there are some that are not
        set up: whoever is told of none starts containers without them.
        """
        found = self.plan()
        if found is None and self._gpus():
            raise HostError("There are GPUs, and what containers need for them is not known.", why=self._problem)
        return found

    def host(self) -> Host:
        """What does not change while a driver is loaded. Raises HostError, as `served`."""
        plan = self.served()
        if plan is None:
            return Host(None, {}, {}, {})
        limits, cuda = self._limits.get(_tree(plan)), self._cuda.get(_tree(plan))
        return Host(
            plan,
            {} if isinstance(limits, Missing) else {each.uuid: each for each in limits},
            {} if isinstance(cuda, Missing) else {each.bus_id: each for each in cuda},
            {gpu["bus_id"]: _numa(plan, gpu["bus_id"]) for gpu in plan["gpus"]},
        )

    def status(self, plan: Plan | None) -> dict[str, nvml_sample.Status]:
        """By UUID. Raises HostError when the driver does not answer: no value at all is better than a wrong one."""
        if plan is None:
            return {}
        found = self._status.get(_tree(plan))
        if isinstance(found, Missing):
            raise HostError("The GPUs' status cannot be read.", why=found.reason)
        return {each.uuid: each for each in found}


def _tree(plan: Plan) -> str:
    """The driver tree: its libraries are those of the loaded module, whatever package is installed meanwhile."""
    return plan["variants"][capabilities.label(capabilities.ALL)]["folder"]


def _numa(plan: Plan, bus_id: str) -> int:
    text = Root(plan["key"]["sys"]).text(f"/bus/pci/devices/{bus_id}/numa_node") or ""
    return int(text) if text.strip().isdecimal() else 0
