"""`gpudock configure containerd`: for Kubernetes, and whatever else uses its CRI plugin."""

import base64
import binascii
import json
import os
import re
from typing import Any

from gpudock import proc
from gpudock.engine.configure import answered, change, containerd_toml, containers, drop_in, flags, service, toml_text
from gpudock.engine.configure.by_files import ByFiles
from gpudock.engine.configure.wish import ENTRY, Wish
from gpudock.errors import EngineError
from gpudock.host.engine_cri import CONTAINERD_CONFIG, CONTAINERD_SOCKET
from gpudock.host.root import Root

NAME = "conf.d/99-gpudock.toml"


def config_path(machine: Root, wanted: str | None) -> str:
    """What the user names, else what the service is told, else the usual one."""
    if wanted:
        return wanted
    unit = flags.unit(service.unit_files(machine, "containerd.service"))
    found = flags.of_unit(unit, machine.text)
    given = flags.given(found, "config") or flags.given(found, "c")
    return given.value if given and given.value else CONTAINERD_CONFIG


def plan(wish: Wish, machine: Root, processes: Root, config: str, run: proc.Runner, *, restart: bool) -> ByFiles:
    """Raises GpudockError for what must not or cannot be changed; changes nothing."""
    file = change.read(machine, config)
    now = containerd_toml.read(file.data, config, _major(run))
    effective, problem = _dump(run, config)
    if problem and file.data is not None:
        raise EngineError(f"containerd does not read {config} as it is.", why=problem, mend="mend it first")
    changes: list[change.Change] = []
    place = _drop_in(config)
    mine = drop_in.read(machine, place)
    if now.merges:
        old = toml_text.plain(toml_text.parse(mine.data, place))
        text = containerd_toml.drop_in_file(now, wish, effective, old)
        changes += [change.FileChange(mine, text)] if text != mine.data else []
        after = containerd_toml.imported(now, place)
    else:
        after = containerd_toml.configured(now, wish, effective)
    if after != (file.data or b""):
        fresh = not now.our_names and mine.data is None
        changes.append(change.FileChange(file, after, keep=fresh))

    def answer() -> str:
        dumped, wrong = _dump(run, config)
        return wrong or containerd_toml.wrong(effective, dumped, wish)

    manager = _manager(machine, processes)
    return ByFiles("containerd", tuple(changes), answer, run, manager, CONTAINERD_SOCKET, restart)


def undo(machine: Root, processes: Root, config: str, run: proc.Runner, *, restart: bool) -> ByFiles:
    file = change.read(machine, config)
    major = _major(run)
    now = containerd_toml.read(file.data, config, major)
    kept = file.before()
    before = None if kept is None else containerd_toml.read(kept, file.backup, major)
    place = _drop_in(config)
    mine = drop_in.read(machine, place)
    changes: list[change.Change] = []
    after = containerd_toml.undone(now, before, place)
    gone = not after.strip() and before is not None
    if after != (file.data or b"") or gone:
        changes.append(change.FileChange(file, None if gone else after, forget=True))
    changes += [change.FileChange(mine, None)] if mine.data is not None else []

    def refuse() -> None:
        if changes and machine.stat(CONTAINERD_SOCKET):  # ctr waits long for one that does not run
            remove = "delete their pods: kubectl delete pod NAME; others: ctr containers delete NAME"
            containers.refuse(using(run), (ENTRY,), remove, "or take --undo back to when they have ended")

    manager = _manager(machine, processes)
    return ByFiles(
        "containerd",
        tuple(changes),
        lambda: _dump(run, config)[1],
        run,
        manager,
        CONTAINERD_SOCKET,
        restart,
        refuse=refuse,
    )


def using(run: proc.Runner, words: tuple[str, ...] = ("ctr",)) -> tuple[containers.Container, ...]:
    """Containers of every namespace whose options name our program; nothing of a containerd that does not run."""
    spaces = run(proc.Command((*words, "namespaces", "list", "--quiet"), timeout=answered.SECONDS))
    found: list[containers.Container] = []
    for space in spaces.out.split() if spaces.ok else ():
        listed = run(
            proc.Command((*words, "--namespace", space, "containers", "list", "--quiet"), timeout=answered.SECONDS)
        )
        for name in listed.out.split():
            told = run(
                proc.Command((*words, "--namespace", space, "containers", "info", name), timeout=answered.SECONDS)
            )
            if told.ok and _ours(told.out):
                found.append(containers.Container(name, ENTRY, f"namespace {space}"))
    return tuple(found)


def _ours(info: str) -> bool:
    """The options are a protobuf message; the program's path stands in it as it is."""
    try:
        value = toml_text.get(json.loads(info), ("Runtime", "Options", "value"))
        return f"/current/{ENTRY}".encode() in base64.b64decode(value or "", validate=True)
    except (ValueError, TypeError, RecursionError, binascii.Error):
        return False


def _drop_in(config: str) -> str:
    return os.path.join(os.path.dirname(config), NAME)


def _manager(machine: Root, processes: Root) -> service.Manager:
    return service.manager(machine, processes, None, "containerd")


def _major(run: proc.Runner) -> int:
    """containerd github.com/containerd/containerd/v2 2.1.9 ..."""
    answer = run(proc.Command(("containerd", "--version"), timeout=answered.SECONDS))
    match = re.search(r"\sv?(\d+)\.\d+\.\d+", answer.out)
    return int(match[1]) if match else 0


def _dump(run: proc.Runner, config: str) -> tuple[dict[str, Any], str]:
    """The settings in force with all imports and defaults, and why there are none."""
    words = ("--config", config, "config", "dump") if os.path.exists(config) else ("config", "default")
    return answered.toml(run, "containerd", *words)
