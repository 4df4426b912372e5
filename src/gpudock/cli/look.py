"""`gpudock cdi list | show | validate | diff`: looks at specifications, and changes none."""

import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from gpudock.cli.by_click import host_options
from gpudock.cli.options import HostOptions
from gpudock.cli.terminal import safe, say, say_simulated, show
from gpudock.errors import GpudockError

if TYPE_CHECKING:
    from gpudock.refresh.cycle import Preview

PLAN_LIMIT = 64 << 20  # bytes


@click.command()
@click.option(
    "--spec-dir", "folders", multiple=True, help="Folder to look in; repeatable. Default: /etc/cdi, /var/run/cdi."
)
def list_devices(folders: tuple[str, ...]) -> None:
    """List the devices that engines find, by their full names."""
    from gpudock.cdi import store

    count = 0
    for spec in store.found(folders or _folders()):
        if spec.error:
            say(f"{spec.path}: {spec.error}")
        if _simulated(spec.document):
            say_simulated()
        for name in spec.devices():
            show(f"{spec.kind}={name}")
            count += 1
    if not count:
        say("no CDI devices. To make them: sudo gpudock refresh")


@click.command()
@click.argument("name", required=False)
@click.option("--spec-dir", "folders", multiple=True, help="Folder to look in; repeatable.")
def show_one(name: str | None, folders: tuple[str, ...]) -> None:
    """Show a specification as YAML: a file, a device (nvidia.com/gpu=0), or by default gpudock's own."""
    from gpudock.cdi import codec, store
    from gpudock.errors import RefusedError
    from gpudock.refresh.paths import default_paths

    path = name or default_paths().spec
    if "=" not in path:
        document = store.load(path)
        if _simulated(document):
            say_simulated()
        sys.stdout.buffer.write(codec.encode(document, "yaml"))
        return
    kind, _, device = path.partition("=")
    for spec in store.found(folders or _folders()):
        if spec.kind == kind and device in spec.devices():
            entries = spec.document["devices"]
            kept = [entry for entry in entries if isinstance(entry, dict) and entry.get("name") == device]
            shown = codec.encode({**spec.document, "devices": kept}, "yaml")
            if _simulated(spec.document):
                say_simulated()
            sys.stdout.buffer.write(f"# {safe(spec.path)}\n".encode() + shown)
            return
    raise RefusedError(f"No CDI specification defines {path}.", mend="gpudock cdi list")


@click.command()
@click.argument("files", nargs=-1)
@host_options
def validate(files: tuple[str, ...], host: HostOptions) -> None:
    """Check specifications: their form, and whether they fit this machine. Default: all that engines read.

    Exit code 5 when something is wrong, 4 when there is none. A --snapshot cannot be used here.
    """
    from gpudock.cdi import store
    from gpudock.cdi.validate import problems
    from gpudock.cli.earlier import before
    from gpudock.errors import HostError, UsageError
    from gpudock.refresh.current import outdated
    from gpudock.refresh.paths import default_paths

    if host.snapshot:
        raise UsageError(
            "cdi validate cannot use a snapshot.",
            why="it looks at the files and device nodes that a specification names, and those are this machine's",
            mend="run it on the machine of the snapshot",
        )
    specs = [store.SpecFile(path, store.load(path)) for path in files] or list(store.found(_folders()))
    if not specs:
        raise HostError("There is no CDI specification.", mend="sudo gpudock refresh")
    loaded = before(host, default_paths()).host.load().kernel_driver.version
    wrong = 0
    for spec in specs:
        machine = store.machine(spec.path, driver=loaded if isinstance(loaded, str) else None, folders=_folders())
        found = [spec.error] if spec.error else [*problems(spec.document, machine), *outdated(spec.document)]
        if _simulated(spec.document):
            say_simulated()
        show("\n  ".join((f"{spec.path}: {f'wrong ({len(found)})' if found else 'ok'}", *found)))
        wrong += bool(found)
    sys.exit(5 if wrong else 0)


def _folders() -> tuple[str, ...]:
    """Where engines look, and where gpudock was told to put its own."""
    from gpudock.cdi import store
    from gpudock.refresh.paths import default_paths

    return tuple(dict.fromkeys((*store.FOLDERS, default_paths().cdi)))


def _simulated(document: Mapping[str, Any]) -> bool:
    """Whether it is ours, and of simulated GPUs. A plan that cannot be read says nothing: others tell of that."""
    import json

    from gpudock.publish import read_capped
    from gpudock.refresh.current import plan_path

    try:
        plan = json.loads(read_capped(plan_path(dict(document)) or "", PLAN_LIMIT))
    except (OSError, ValueError, GpudockError, RecursionError):
        return False
    return isinstance(plan, dict) and plan.get("simulated") is True


@click.command()
@host_options
def diff(host: HostOptions) -> None:
    """Show what `gpudock refresh` would change: how many devices, then line by line.

    Exit code 1 when there is a difference.
    """
    import json

    from gpudock.cdi import store

    preview = _previewed(host)
    for warning in preview.warnings:
        say(warning)
    old = store.load(preview.path) if os.path.exists(preview.path) else {}
    if preview.foreign:
        sys.exit(_left_alone(preview, present=bool(old)))
    new = json.loads(preview.spec)
    if new == old:
        show(f"{preview.path} is up to date")
        sys.exit(0)
    show("\n".join((_summary(old, new), *_compared(old, new, preview.path))))
    sys.exit(1)


def _previewed(host: HostOptions) -> "Preview":
    """What `gpudock refresh` would write now."""
    from gpudock.cli.earlier import before
    from gpudock.refresh import cycle, install, making
    from gpudock.refresh.paths import default_paths

    where = default_paths()
    last = before(host, where)
    settings = making.Settings(library_links=last.library_links)
    return cycle.preview(last.host.for_refresh(), install.planned(where.libexec), where, settings)


def _left_alone(preview: "Preview", *, present: bool) -> int:
    for spec in preview.foreign:
        show(f"{spec.path} already defines these devices: gpudock refresh would leave it alone and write none")
    if present:
        show(f"gpudock refresh would remove {preview.path}")
    return int(present)


def _summary(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    before, after = _by_name(old), _by_name(new)
    changed = sum(before[name] != after[name] for name in before.keys() & after.keys())
    added, removed = len(after.keys() - before.keys()), len(before.keys() - after.keys())
    return f"devices: {added} added, {removed} removed, {changed} changed"


def _by_name(document: Mapping[str, Any]) -> dict[str, object]:
    """What each device does to a container: its own edits, and those of all devices."""
    devices = document.get("devices")
    return {
        str(entry.get("name")): (entry, document.get("containerEdits"))
        for entry in (devices if isinstance(devices, list) else ())
        if isinstance(entry, dict)
    }


def _compared(old: Mapping[str, Any], new: Mapping[str, Any], path: str) -> list[str]:
    import difflib

    from gpudock.cdi import codec

    before, after = (codec.encode(dict(each), "yaml").decode().splitlines() if each else [] for each in (old, new))
    return list(difflib.unified_diff(before, after, path, "after gpudock refresh", lineterm=""))
