"""`gpudock configure podman`: one drop-in file, which podman merges into its other settings."""

import os
from collections.abc import Mapping

from gpudock import proc
from gpudock.engine.configure import change, containers, drop_in, toml_text
from gpudock.engine.configure.by_files import ByFiles
from gpudock.engine.configure.wish import Wish
from gpudock.errors import RefusedError
from gpudock.host.root import Root
from gpudock.plan.quote import quote

SYSTEM = "/etc/containers"
NAME = "containers.conf.d/gpudock.conf"
RUNTIMES = ("engine", "runtimes")
DEFAULT = ("engine", "runtime")
OTHER_USERS = "Containers of other users were not looked at; podman shows them to their owners only."
SECONDS = 30.0


def path(uid: int, config_home: str) -> str:
    return f"{SYSTEM}/{NAME}" if uid == 0 else os.path.join(config_home, "containers", NAME)


def plan(wish: Wish, machine: Root, where: str, environment: Mapping[str, str], run: proc.Runner) -> ByFiles:
    _no_other_file(environment)
    file = drop_in.read(machine, where)
    names = dict.fromkeys((*drop_in.names(file, RUNTIMES), wish.name))
    default = _default(file)
    if wish.default is not None:
        default = wish.name if wish.default else None
    engine: dict[str, object] = {"runtimes": {name: [wish.program] for name in names}}
    after = drop_in.text({"engine": {"runtime": default, **engine} if default else engine})
    changes = (change.FileChange(file, after),) if after != file.data else ()
    return ByFiles("podman", changes, lambda: _answer(run, wish, default), run)


def undo(machine: Root, where: str, environment: Mapping[str, str], run: proc.Runner) -> ByFiles:
    _no_other_file(environment)
    file = drop_in.read(machine, where)
    names = drop_in.names(file, RUNTIMES)
    changes = (change.FileChange(file, None),) if file.data is not None else ()

    def refuse() -> None:
        instead = "to take only the default away: gpudock configure podman --no-default"
        containers.refuse(containers.of_podman(run) if names else (), names, "podman rm --force NAME", instead)

    notes = (OTHER_USERS,) if where.startswith(SYSTEM) and changes else ()
    return ByFiles("podman", changes, lambda: _works(run), run, notes=notes, refuse=refuse)


def _no_other_file(environment: Mapping[str, str]) -> None:
    other = environment.get("CONTAINERS_CONF")
    if other:
        raise RefusedError(
            "Podman would not read what is configured.",
            why=f"CONTAINERS_CONF is set: podman reads {quote(other)} and nothing else",
            mend="unset CONTAINERS_CONF",
        )


def _default(file: change.ConfigFile) -> str | None:
    if file.data is None:
        return None
    found = toml_text.get(toml_text.plain(toml_text.parse(file.data, file.path)), DEFAULT)
    return found if isinstance(found, str) else None


def _answer(run: proc.Runner, wish: Wish, default: str | None) -> str:
    form = "{{.Host.OCIRuntime.Name}} {{.Host.OCIRuntime.Path}}"
    named = run(proc.Command(("podman", "--runtime", wish.name, "info", "--format", form), timeout=SECONDS))
    if not named.ok or named.out.split() != [wish.name, wish.program]:
        return _said(named) or f"podman info with this runtime says {quote(named.out.strip(), 200)}"
    if default != wish.name:
        return ""
    usual = run(proc.Command(("podman", "info", "--format", form), timeout=SECONDS))
    return "" if usual.out.split()[:1] == [default] else _said(usual) or "another file sets another default runtime"


def _works(run: proc.Runner) -> str:
    answer = run(proc.Command(("podman", "info", "--format", "{{.Host.OCIRuntime.Name}}"), timeout=SECONDS))
    return "" if answer.ok or answer.code == proc.NOT_FOUND else _said(answer) or f"exit code {answer.code}"


def _said(answer: proc.Result) -> str:
    lines = [line for line in answer.err.splitlines() if line.strip()]
    return quote(lines[-1], 300) if lines else ""
