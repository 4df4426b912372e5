"""How `gpudock cdi generate` comes to its specification, and makes what that refers to."""

import os
from typing import TYPE_CHECKING, cast

from gpudock import publish
from gpudock.cdi import project
from gpudock.cdi.validate import problems
from gpudock.cli.options import with_engines
from gpudock.cli.terminal import say
from gpudock.errors import RefusedError, UsageError
from gpudock.facts.base import Missing
from gpudock.gpu.extras import extras
from gpudock.plan.quote import quote
from gpudock.plan.request import ALL, NONE, VOID, parse_visible_devices
from gpudock.plan.select import select
from gpudock.refresh import install, making, paths

if TYPE_CHECKING:
    from collections.abc import Callable

    from gpudock.cdi.schema import Spec
    from gpudock.facts.snapshot import Snapshot
    from gpudock.plan.document import Plan

SETTINGS = making.Settings()


def specification(
    taken: "Callable[[], Snapshot]", options: project.Options, mode: str, hook_path: str | None, *, print_only: bool
) -> "Spec":
    """The specification of the GPUs. As root, unless `print_only`, what it refers to is made too."""
    where = paths.default_paths()
    snapshot = taken() if print_only else with_engines(taken())
    _check_mode(mode, wsl=snapshot.system.wsl)
    made = making.compiled(snapshot, where, SETTINGS)
    plan = making.plan_path(made.plan, where)
    program = (hook_path, os.path.basename(hook_path)) if hook_path else install.planned(where.libexec)
    complete = making.options(snapshot, program, plan)
    complete = options._replace(hook=complete.hook, groups=complete.groups, device_ids=_named(made.plan, options))
    spec = _checked(_projected(made.plan, complete, mode), options)
    if os.geteuid() != 0 or print_only:
        say(f"only printed: {plan} and the driver tree are made by: sudo gpudock refresh")
        return spec
    paths.check(where)
    with publish.lock(where.lock):  # a refresh at the same time would take the staging folders away
        making.prepared(made, where, SETTINGS)
        installed = install.installed(where.libexec, where=where)
    if hook_path or installed == program:
        return spec
    return _projected(made.plan, complete._replace(hook=(*installed, "--plan", plan)), mode)


def beside(snapshot: "Snapshot", options: project.Options, mode: str) -> "Spec":
    """What a machine has beside its GPUs can be used without one, and without the driver's files."""
    nodes = {node.path: node for node in snapshot.nodes}
    sockets = () if isinstance(snapshot.driver, Missing) else snapshot.driver.sockets
    found = extras(nodes, snapshot.kernel_driver.capabilities, sockets)
    own_kind = (options.vendor, options.device_class) != (project.VENDOR, project.CLASS)
    kind = f"{options.vendor}/{options.device_class}" if own_kind else making.EXTRA_KINDS[mode]
    # All of a plan that the projection looks at:
    return _checked(project.beside(cast("Plan", {"extras": found}), mode, kind), options)


def _named(plan: "Plan", options: project.Options) -> tuple[str, ...]:
    """The devices asked for, by the index that the projection knows them by. Raises UsageError and RefusedError."""
    asked = parse_visible_devices(",".join(options.device_ids), "--device-id")
    if asked.devices in {NONE, VOID}:
        raise UsageError(
            "--device-id names no device.", why="a specification without one is invalid", mend="leave it out"
        )
    return (ALL,) if asked.devices == ALL else tuple(device.name for device in select(plan, asked))


def _checked(spec: "Spec", options: project.Options) -> "Spec":
    """Only what the user named can make our own specification invalid."""
    wrong = problems(spec)
    if wrong:
        raise UsageError(
            f"--vendor {quote(options.vendor)} and --class {quote(options.device_class)} make no valid specification.",
            why=quote(wrong[0], 200),
            mend="use letters, digits, dots and dashes, as in nvidia.com and gpu",
        )
    return spec


def _projected(plan: "Plan", options: project.Options, mode: str) -> "Spec":
    return project.management(plan, options) if mode == "management" else project.gpus(plan, options)


def _check_mode(mode: str, *, wsl: bool) -> None:
    if mode == "wsl" and not wsl:
        raise RefusedError("This machine is not WSL.", mend="leave --mode out")
    if mode == "nvml" and wsl:
        raise UsageError("WSL knows no device nodes of single GPUs.", mend="use --mode wsl, or leave it out")
