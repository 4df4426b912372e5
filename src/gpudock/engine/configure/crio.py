"""`gpudock configure crio`: one drop-in file, which CRI-O merges into its other settings."""

import glob
import json
from typing import Any

from gpudock import proc
from gpudock.engine.configure import answered, change, containers, drop_in, service, toml_text
from gpudock.engine.configure.by_files import ByFiles
from gpudock.engine.configure.wish import Wish
from gpudock.host.engine_cri import CRIO_SOCKET
from gpudock.host.root import Root

DROP_IN = "/etc/crio/crio.conf.d/99-gpudock.toml"
RUNTIME = ("crio", "runtime")
HANDLER = "io.kubernetes.cri-o.RuntimeHandler"
STATES = "/var/lib/containers/storage/*-containers/*/userdata/config.json"


def plan(wish: Wish, machine: Root, processes: Root, run: proc.Runner, *, restart: bool) -> ByFiles:
    file = drop_in.read(machine, DROP_IN)
    effective, _ = answered.toml(run, "crio", "config")
    part = toml_text.get(effective, RUNTIME) or {}
    names = dict.fromkeys((*drop_in.names(file, (*RUNTIME, "runtimes"), "runtime_path"), wish.name))
    default = _own_default(file)
    if wish.default is not None:
        default = wish.name if wish.default else None
    entry = {**_options(part, set(names)), "runtime_path": wish.program, "runtime_type": "oci"}
    runtime: dict[str, object] = {"default_runtime": default} if default else {}
    runtime["runtimes"] = dict.fromkeys(names, entry)
    after = drop_in.text({"crio": {"runtime": runtime}})
    changes = (change.FileChange(file, after),) if after != file.data else ()
    manager = _manager(machine, processes)
    return ByFiles("crio", changes, lambda: _answer(run, wish, default), run, manager, CRIO_SOCKET, restart)


def undo(machine: Root, processes: Root, run: proc.Runner, *, restart: bool) -> ByFiles:
    file = drop_in.read(machine, DROP_IN)
    names = drop_in.names(file, (*RUNTIME, "runtimes"), "runtime_path")
    changes = (change.FileChange(file, None),) if file.data is not None else ()

    def refuse() -> None:
        remove = "delete their pods: kubectl delete pod NAME"
        containers.refuse(of_files(machine.host(STATES)), names, remove, "or take --undo back to when they have ended")

    manager = _manager(machine, processes)
    return ByFiles(
        "crio",
        changes,
        lambda: answered.toml(run, "crio", "config")[1],
        run,
        manager,
        CRIO_SOCKET,
        restart,
        refuse=refuse,
    )


def of_files(pattern: str) -> tuple[containers.Container, ...]:
    """Containers as CRI-O keeps them on disk."""
    found: list[containers.Container] = []
    for path in glob.glob(pattern):
        try:
            with open(path, encoding="utf-8", errors="replace") as file:
                annotations = json.load(file).get("annotations") or {}
        except (OSError, ValueError, AttributeError):  # half written, or gone meanwhile
            continue
        name = str(annotations.get("io.kubernetes.cri-o.Name", path))
        found.append(containers.Container(name, str(annotations.get(HANDLER, "")), "of CRI-O"))
    return tuple(found)


def _manager(machine: Root, processes: Root) -> service.Manager:
    return service.manager(machine, processes, None, "crio")


def _own_default(file: change.ConfigFile) -> str | None:
    if file.data is None:
        return None
    found = toml_text.get(toml_text.plain(toml_text.parse(file.data, file.path)), (*RUNTIME, "default_runtime"))
    return found if isinstance(found, str) else None


def _options(part: dict[str, Any], own: set[str]) -> dict[str, Any]:
    """Of the runtime that was the default: its monitor, its annotations; what is empty is left to CRI-O."""
    runtimes = part.get("runtimes")
    known = runtimes if isinstance(runtimes, dict) else {}
    for name in (part.get("default_runtime"), "runc", "crun"):
        entry = known.get(name)
        if name not in own and isinstance(entry, dict):
            return {key: value for key, value in entry.items() if value not in ("", [], {}, None)}
    return {}


def _answer(run: proc.Runner, wish: Wish, default: str | None) -> str:
    effective, problem = answered.toml(run, "crio", "config")
    if problem:
        return problem
    if toml_text.get(effective, (*RUNTIME, "runtimes", wish.name, "runtime_path")) != wish.program:
        return f"crio config names no runtime {wish.name}"
    now = toml_text.get(effective, (*RUNTIME, "default_runtime"))
    return "" if default in {None, now} else f"crio config names {now} as the default runtime"
