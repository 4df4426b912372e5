"""Reads the whole machine into one value. What cannot be read is Missing, with the reason; nothing raises for it."""

import os
import time
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from gpudock import __version__
from gpudock.facts.base import Missing
from gpudock.facts.engine import Engine
from gpudock.facts.gpu import Gpu, KernelDriver, Nvml
from gpudock.facts.snapshot import FORMAT, Roots, Snapshot
from gpudock.facts.system import Package, PackageSource, PciFunction, System
from gpudock.host import cdi_specs, devices, driver_files, kernel, nvml, pci, system
from gpudock.host.later import Later
from gpudock.host.root import Root
from gpudock.proc import Runner


def take(
    roots: Roots,
    *,
    run: Runner,
    engines: bool,
    packages: bool,
    cdi_folders: Iterable[str] = cdi_specs.FOLDERS,
) -> Snapshot:
    """Everything below `roots`. Engines and packages are the slow part (some 100 ms) and are read only when asked for.

    A simulated host lends its GPUs to this machine: operating system, engines and specifications are the machine's.
    """
    proc, sys, driver = Root(roots.proc), Root(roots.sys), Root(roots.driver)
    machine, machine_proc, machine_sys = (
        (Root("/"), Root("/proc"), Root("/sys")) if roots.simulated else (Root(os.path.dirname(roots.proc)), proc, sys)
    )
    host = system.read(machine, machine_proc, machine_sys)
    module = kernel.driver(proc)
    asked_engines = _engines(run, machine, machine_proc) if engines else None
    asked_nvml = _nvml(run, driver, host, module)
    functions = pci.read(sys)
    files = driver_files.read(
        driver,
        loaded=module.version if isinstance(module.version, str) else None,
        architecture=host.architecture,
        run=machine,
        kernel_release=host.kernel if isinstance(host.kernel, str) else "",
    )
    specs = cdi_specs.read(machine, cdi_folders)
    installed, sources = _packages(run, machine) if packages else (Missing("not asked"), ())
    answer, gpus = asked_nvml.result()
    nodes = devices.read(Root(roots.dev), _drm(sys, functions))  # only now: at boot it is NVML that makes them
    if isinstance(answer, Missing):
        gpus = kernel.gpus(proc)
    gpus = tuple(
        msgspec.structs.replace(kernel.known_as_divided(proc, gpu), drm=pci.drm(sys, gpu.bus_id)) for gpu in gpus
    )
    return Snapshot(
        format=FORMAT,
        gpudock=__version__,
        taken=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        roots=roots,
        system=host,
        pci=functions,
        modules=kernel.modules(proc, sys),
        kernel_driver=_with_instances(module, proc, gpus),
        nvml=answer,
        gpus=gpus,
        nodes=nodes,
        driver=files,
        engines=asked_engines.result() if asked_engines else Missing("not asked"),
        cdi_specs=specs,
        packages=installed,
        package_sources=sources,
    )


def _nvml(run: Runner, root: Root, host: System, module: KernelDriver) -> Later[tuple[Nvml | Missing, tuple[Gpu, ...]]]:
    """Started first and awaited last: the driver takes as long to answer as all files take to be read."""
    loaded = module.version if isinstance(module.version, str) else None
    library = nvml.library(root, architecture=host.architecture, loaded=loaded, wsl=host.wsl)
    if library is None:
        return Later(lambda: (Missing(f"no {nvml.LIBRARY} below {root.folder}"), ()))
    return Later(partial(nvml.ask, run, root.host(library)))


def _drm(sys: Root, functions: Sequence[PciFunction]) -> list[str]:
    return [name for function in functions if function.vendor == pci.NVIDIA for name in pci.drm(sys, function.address)]


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
