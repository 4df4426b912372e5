"""What `gpudock cdi generate` and `diff` share: a plan for this machine, and the specification made of it."""

import os
from typing import TYPE_CHECKING, cast

from gpudock import publish
from gpudock.cdi import project
from gpudock.cdi.validate import problems
from gpudock.cli.earlier import Earlier, earlier
from gpudock.cli.options import HostOptions
from gpudock.cli.terminal import say
from gpudock.errors import RefusedError, UsageError
from gpudock.facts.base import Missing
from gpudock.gpu.extras import extras
from gpudock.plan.quote import quote
from gpudock.plan.request import ALL, NONE, VOID, parse_visible_devices
from gpudock.plan.select import select
from gpudock.refresh import cycle, install, paths

if TYPE_CHECKING:
    from gpudock.cdi.schema import Spec
    from gpudock.facts.snapshot import Snapshot
    from gpudock.plan.document import Plan

SETTINGS = cycle.Settings()


def specification(host: HostOptions, options: project.Options, mode: str, hook_path: str | None) -> "Spec":
    """The specification of one mode. As root, on the machine itself, what it refers to is made too."""
    if hook_path and not os.path.isabs(hook_path):
        raise UsageError(
            f"--hook-path {quote(hook_path)} is no absolute path.", why="engines start hooks by their path"
        )
    if mode in cycle.EXTRA_KINDS:
        return _checked(_beside(host.load(), options, mode), options)
    where = paths.default_paths()
    snapshot = host.for_refresh()
    _check_mode(mode, wsl=snapshot.system.wsl)
    made = cycle.compiled(snapshot, where, SETTINGS)
    plan = cycle.plan_path(made.plan, where)
    program = (hook_path, os.path.basename(hook_path)) if hook_path else install.planned(where.libexec)
    complete = cycle.options(snapshot, program, plan)
    complete = options._replace(hook=complete.hook, groups=complete.groups, device_ids=_named(made.plan, options))
    spec = _checked(_projected(made.plan, complete, mode), options)
    if os.geteuid() != 0 or host.snapshot:
        say(f"only printed: {plan} and the driver tree are made by: sudo gpudock refresh")
        return spec
    paths.check(where)
    with publish.lock(where.lock):  # a refresh at the same time would take the staging folders away
        cycle.prepared(made, where, SETTINGS)
        installed = install.installed(where.libexec)
    if hook_path or installed == program:
        return spec
    return _projected(made.plan, complete._replace(hook=(*installed, "--plan", plan)), mode)


def _beside(snapshot: "Snapshot", options: project.Options, mode: str) -> "Spec":
    """What a machine has beside its GPUs can be used without one, and without the driver's files."""
    nodes = {node.path: node for node in snapshot.nodes}
    sockets = () if isinstance(snapshot.driver, Missing) else snapshot.driver.sockets
    found = extras(nodes, snapshot.kernel_driver.capabilities, sockets)
    own_kind = (options.vendor, options.device_class) != (project.VENDOR, project.CLASS)
    kind = f"{options.vendor}/{options.device_class}" if own_kind else cycle.EXTRA_KINDS[mode]
    return project.beside(cast("Plan", {"extras": found}), mode, kind)  # all of a plan that it looks at


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


def source(host: HostOptions) -> HostOptions:
    """Where a refresh with these options reads the machine: without any, where it did the last time."""
    return _before(host).host


def previewed(host: HostOptions) -> cycle.Preview:
    """What `gpudock refresh` would write now."""
    where = paths.default_paths()
    before = _before(host)
    settings = SETTINGS._replace(library_links=before.library_links)
    return cycle.preview(before.host.for_refresh(), install.planned(where.libexec), where, settings)


def _before(host: HostOptions) -> Earlier:
    return earlier(paths.default_paths()) if host == HostOptions() else Earlier(host, library_links=False)
