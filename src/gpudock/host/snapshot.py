"""Reads the whole machine into one value. What cannot be read is Missing, with the reason; nothing raises for it."""

import os
import time
from collections.abc import Sequence
from functools import partial

import msgspec

from gpudock import __version__
from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.facts.gpu import Gpu, KernelDriver, Nvml
from gpudock.facts.snapshot import FORMAT, Roots, Snapshot
from gpudock.facts.system import Package, PackageSource
from gpudock.host import kernel, nvml, system
from gpudock.host.later import Later
from gpudock.host.root import Root
from gpudock.proc import Runner


class Taking:
    """A snapshot in the making. NVML and engines are asked at once; the rest is read when the snapshot is wanted, so
    that others can do something in between, such as importing what they need.
    """

    def __init__(
        self,
        roots: Roots,
        *,
        run: Runner,
        engines: bool,
        packages: bool,
        setup: bool = False,
        own_cdi: str = "",
        asked: "Later[tuple[Nvml | Missing, tuple[Gpu, ...]]] | None" = None,
    ) -> None:
        """`asked`: NVML, when it has been asked already (nvml.begin)."""
        self._asked_nvml = asked or nvml.begin(run, roots)
        self._roots, self._run, self._packages, self._setup = roots, run, packages, setup
        self._own_cdi = (own_cdi,) if own_cdi else ()
        self._proc, self._sys, self._driver = Root(roots.proc), Root(roots.sys), Root(roots.driver)
        # A simulated host lends its GPUs to this machine: system, engines and specifications are the machine's.
        self._machine = Root("/") if roots.simulated else Root(os.path.dirname(roots.proc))
        machine_proc = self._machine_proc = Root("/proc") if roots.simulated else self._proc
        self._machine_sys = Root("/sys") if roots.simulated else self._sys
        self._system = system.read(self._machine, machine_proc, self._machine_sys)
        self._module = kernel.driver(self._proc)
        self._asked_engines = _engines(run, self._machine, machine_proc) if engines else None

    def snapshot(self) -> Snapshot:
        """Everything. What cannot be read is Missing."""
        from gpudock.host import cdi_specs, devices, driver_files, pci  # noqa: PLC0415  while NVML is working

        proc, sys, module = self._proc, self._sys, self._module
        functions = pci.read(sys)
        files = driver_files.read(
            self._driver,
            loaded=module.version if isinstance(module.version, str) else None,
            architecture=self._system.architecture,
            run=self._machine,
            kernel_release=self._system.kernel if isinstance(self._system.kernel, str) else "",
        )
        specs = cdi_specs.read(self._machine, dict.fromkeys((*cdi_specs.FOLDERS, *self._own_cdi)))
        installed, sources = _packages(self._run, self._machine) if self._packages else (Missing("not asked"), ())
        answer, gpus = self._asked_nvml.result()
        drm = [name for each in functions if each.vendor == pci.NVIDIA for name in pci.drm(sys, each.address)]
        nodes = devices.read(Root(self._roots.dev), drm)  # only now: at boot it is NVML that makes them
        if isinstance(answer, Missing):
            gpus = kernel.gpus(proc)
        gpus = tuple(
            msgspec.structs.replace(kernel.known_as_divided(proc, gpu), drm=pci.drm(sys, gpu.bus_id)) for gpu in gpus
        )
        taken = Snapshot(
            format=FORMAT,
            gpudock=__version__,
            taken=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            roots=self._roots,
            system=self._system,
            pci=functions,
            modules=kernel.modules(proc, sys),
            kernel_driver=_with_instances(module, proc, gpus),
            nvml=answer,
            gpus=gpus,
            nodes=nodes,
            driver=files,
            engines=self._asked_engines.result() if self._asked_engines else Missing("not asked"),
            cdi_specs=specs,
            packages=installed,
            package_sources=sources,
        )
        return self._with_setup(taken) if self._setup else taken

    def _with_setup(self, taken: Snapshot) -> Snapshot:
        from gpudock.host import surroundings  # noqa: PLC0415  only the doctor wants it
        from gpudock.host.setup.read import Folders, with_setup  # noqa: PLC0415

        where = Folders(self._machine, self._machine_proc, self._machine_sys)
        return with_setup(taken, where, surroundings.of_caller(self._machine, self._machine_proc), self._run)


def take(
    roots: Roots,
    *,
    run: Runner,
    engines: bool,
    packages: bool,
    setup: bool = False,
    own_cdi: str = "",
) -> Snapshot:
    """Everything below `roots`. Engines, packages and the set-up, the slow part, are read only when asked for.

    `own_cdi`: a folder of CDI specifications besides the usual ones.
    """
    return Taking(roots, run=run, engines=engines, packages=packages, setup=setup, own_cdi=own_cdi).snapshot()


def _with_instances(module: KernelDriver, proc: Root, gpus: Sequence[Gpu]) -> KernelDriver:
    stems = {f"gpu{gpu.minor}/gi{each.gi}" for gpu in gpus for each in gpu.instances}
    stems |= {f"gpu{gpu.minor}/gi{each.gi}/ci{each.ci}" for gpu in gpus for each in gpu.instances}
    return msgspec.structs.replace(module, capabilities=kernel.capabilities(proc, stems)) if stems else module


def _engines(run: Runner, machine: Root, proc: Root) -> Later[tuple[Engine, ...]]:
    from gpudock.host import engines, surroundings  # noqa: PLC0415  start-up time: only some verbs want engines

    return Later(partial(engines.read, run, surroundings.of_caller(machine, proc)))


def _packages(run: Runner, machine: Root) -> tuple[tuple[Package, ...] | Missing, tuple[PackageSource, ...]]:
    from gpudock.host import package_sources, packages  # noqa: PLC0415  the same

    return packages.read(machine, run), package_sources.read(machine)
