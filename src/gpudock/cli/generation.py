"""What `gpudock cdi generate` and `diff` share: a plan for this machine, and the specification made of it."""

import os
import sys
from typing import TYPE_CHECKING

from gpudock import publish
from gpudock.cdi import project
from gpudock.errors import RefusedError, UsageError
from gpudock.refresh import cycle, install, paths

if TYPE_CHECKING:
    from gpudock.cdi.schema import Spec
    from gpudock.cli.options import HostOptions
    from gpudock.plan.document import Plan

SETTINGS = cycle.Settings()


def specification(host: "HostOptions", options: project.Options, mode: str, hook_path: str | None) -> "Spec":
    """The specification of one mode. As root, on the machine itself, what it refers to is made too."""
    where = paths.default_paths()
    snapshot = host.load()
    _check_mode(mode, wsl=snapshot.system.wsl)
    made = cycle.compiled(snapshot, where, SETTINGS)
    if mode in cycle.EXTRA_KINDS:
        own_kind = (options.vendor, options.device_class) != (project.VENDOR, project.CLASS)
        kind = f"{options.vendor}/{options.device_class}" if own_kind else cycle.EXTRA_KINDS[mode]
        return project.beside(made.plan, mode, kind)
    if os.geteuid() == 0 and not host.snapshot:
        with publish.lock(where.lock):  # a refresh at the same time would take the staging folders away
            plan = cycle.prepared(made, where, SETTINGS)
            hook = install.installed(where.libexec)
    else:
        plan = cycle.plan_path(made.plan, where)
        hook = install.planned(where.libexec)
        print(f"gpudock: only printed: {plan} and the driver tree are made by: sudo gpudock refresh", file=sys.stderr)
    if hook_path:
        hook = (hook_path, os.path.basename(hook_path))
    complete = options._replace(hook=(*hook, "--plan", plan))
    return _projected(made.plan, complete, mode)


def _projected(plan: "Plan", options: project.Options, mode: str) -> "Spec":
    return project.management(plan, options) if mode == "management" else project.gpus(plan, options)


def _check_mode(mode: str, *, wsl: bool) -> None:
    if mode == "wsl" and not wsl:
        raise RefusedError("This machine is not WSL.", mend="leave --mode out")
    if mode == "nvml" and wsl:
        raise UsageError("WSL knows no device nodes of single GPUs.", mend="use --mode wsl, or leave it out")


def previewed(host: "HostOptions") -> cycle.Preview:
    """What `gpudock refresh` would write now."""
    where = paths.default_paths()
    return cycle.preview(host.for_refresh(), install.planned(where.libexec), where, SETTINGS)
