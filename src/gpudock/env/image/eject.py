"""An environment without gpudock: its Dockerfile with what belongs to it, a compose file, or a dev container. Pure."""

import json
from typing import Any

from gpudock.env.image.dockerfile import DOCKERFILE, Written
from gpudock.env.naming import WORKSPACE, Names
from gpudock.env.recipe import Recipe
from gpudock.env.services import table
from gpudock.env.services.table import Served
from gpudock.plan import gpus_flag
from gpudock.plan.request import NONE, VOID, parse_gpus

COMPOSE, DEVCONTAINER = "compose.yaml", "devcontainer.json"
_USER = "dev"
_HEAD = """# {name}, without gpudock: made by `gpudock env eject compose`.
#     UID=$(id -u) GID=$(id -g) {secrets}docker compose up --build
"""


def compose(recipe: Recipe, names: Names, written: Written) -> Written:
    """The context with a compose file: the environment's shell, and a service for each of its services."""
    import yaml  # noqa: PLC0415  start-up time

    base = {"build": ".", "image": names.name, "init": True, **_limits(recipe), **_gpus(recipe)}
    base["volumes"] = [f"..:{WORKSPACE}", *recipe.volumes]
    if recipe.env_files:
        base["env_file"] = list(recipe.env_files)
    user = {"GPUDOCK_UID": "${UID:?}", "GPUDOCK_GID": "${GID:?}", "GPUDOCK_SHELL": recipe.user.shell}
    variables = {**user, **{name: _escaped(value) for name, value in recipe.env.items()}}
    shell: dict[str, Any] = {**base, "environment": variables, "stdin_open": True, "tty": True}
    if recipe.ports:
        shell["ports"] = list(recipe.ports)
    services = {names.name: shell}
    secrets = ""
    for served in table.services(recipe, root=False):
        if served.name == "vnc":
            continue
        name, argv = _secret(served)
        secrets += f"{name}=... " if name else ""
        services[served.name] = {
            **base,
            "environment": {**variables, **({name: f"${{{name}:?}}"} if name else {})},
            "command": [_escaped(word) for word in argv],
            "ports": [f"{served.address}:{served.wished}:{served.port}"],
        }
    text = yaml.safe_dump({"services": services}, sort_keys=False, width=120)
    files = {COMPOSE: (_HEAD.format(name=names.name, secrets=secrets) + text, 0o644)}
    return Written({**written.files, **files})


def _secret(served: Served) -> tuple[str, tuple[str, ...]]:
    """The variable by which a service gets its token, and its command without gpudock's files."""
    if served.name == "jupyter":
        return "JUPYTER_TOKEN", served.argv[served.argv.index("jupyter") :]
    if served.name == "code":
        at = served.argv.index("--config")
        return "PASSWORD", (*served.argv[:at], *served.argv[at + 2 :])
    return "", served.argv


def _escaped(value: str | None) -> str | None:
    """Compose's own variables begin with a dollar."""
    return value.replace("$", "$$") if value else value


def _limits(recipe: Recipe) -> dict[str, Any]:
    told = recipe.resources
    found = {
        "mem_limit": told.memory, "memswap_limit": told.memory_swap, "cpus": told.cpus, "cpuset": told.cpuset,
        "shm_size": told.shm_size, "pids_limit": told.pids,
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def _gpus(recipe: Recipe) -> dict[str, Any]:
    if not recipe.gpus or parse_gpus(recipe.gpus).devices in {NONE, VOID}:
        return {}
    wanted = gpus_flag.fields(recipe.gpus)
    count = wanted.get("count", ["all"])[0]
    which: dict[str, Any] = {"count": int(count) if count.isdecimal() else "all"}
    if "device" in wanted:
        which = {"device_ids": wanted["device"]}
    device = {"driver": "nvidia", **which, "capabilities": ["gpu"]}
    return {"deploy": {"resources": {"reservations": {"devices": [device]}}}}


def devcontainer(recipe: Recipe, names: Names, written: Written) -> Written:
    """The context with devcontainer.json. Its tools want a user in the image, whose id they change to the caller's."""
    gpus = ["--gpus", recipe.gpus] if _gpus(recipe) else []
    flags = {
        "memory": "--memory", "memory_swap": "--memory-swap", "cpus": "--cpus", "cpuset": "--cpuset-cpus",
        "shm_size": "--shm-size", "pids": "--pids-limit",
    }  # fmt: skip
    limits = [f"{flag}={value}" for key, flag in flags.items() if (value := getattr(recipe.resources, key)) is not None]
    code = recipe.served.get("code")
    told = {
        "name": names.name,
        "build": {"dockerfile": DOCKERFILE, "context": "."},
        "workspaceMount": f"source=${{localWorkspaceFolder}},target={WORKSPACE},type=bind",
        "workspaceFolder": WORKSPACE,
        "remoteUser": _USER,
        "updateRemoteUserUID": True,
        "overrideCommand": True,
        "runArgs": [*gpus, *limits],
        "containerEnv": {name: value for name, value in recipe.env.items() if value is not None},
        "forwardPorts": [each.port for each in table.services(recipe, root=False)],
        "customizations": {"vscode": {"extensions": list(code.extensions) if code else []}},
    }
    shell = {"bash": "/bin/bash", "zsh": "/bin/zsh"}.get(recipe.user.shell, "/bin/sh")
    user = (
        f"\n# Dev containers make their own user.\nRUN useradd --create-home --shell {shell} {_USER}\nENTRYPOINT []\n"
    )
    files = {
        DOCKERFILE: (written.dockerfile + user, 0o644),
        DEVCONTAINER: (json.dumps(told, indent=2) + "\n", 0o644),
    }
    return Written({**written.files, **files})
