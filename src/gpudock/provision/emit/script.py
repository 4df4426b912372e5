"""A plan as one shell script: what runs here, and what other machines get. Pure but for its two files of shell text."""

import importlib.resources

from gpudock import __version__
from gpudock.provision.install.plan import Plan
from gpudock.provision.install.step import Step, quoted

INDENT = "    "


def render(plan: Plan) -> str:
    """POSIX sh, as dash and bash run it."""
    parts = [
        _head(plan),
        _text("prelude.sh"),
        "# ---- the steps ----\n",
        *map(_step, plan.steps),
        _titles(plan),
        _text("main.sh"),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts)


def _head(plan: Plan) -> str:
    wish = plan.wish
    system = "WSL 2" if plan.target.wsl else f"{plan.target.system.id} {plan.target.system.version}"
    lines = [
        "#!/bin/sh",
        f"# Made by gpudock {__version__}: Docker and NVIDIA GPUs for {system}.",
        "# Each step says what it does, looks whether it is done, does it, looks again, and can take it back.",
        "# Run it as root, as often as you like: it does what is left. sh THIS-FILE check | list | undo",
        "# POSIX sh. Not in it: curl piped into a shell, apt-key, unchecked keys, rm of anything it has not made.",
    ]
    if plan.unverified:
        lines += [f"# UNVERIFIED: {plan.unverified}: never executed by gpudock's tests. Read it before you run it."]
    lines += [
        "",
        "set -eu",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "export PATH",
        "umask 022",
        "",
    ]
    for name, value in (
        ("REMOVE_OLD", wish.remove_old),
        ("COMMIT_OLD", wish.commit_old),
        ("REMOVE_CONTAINERS", wish.remove_containers),
    ):
        lines.append(f"{name}=${{{name}:-{'yes' if value else 'no'}}}")
    if wish.proxy:
        lines += [f"export {name}={quoted(wish.proxy)}" for name in ("http_proxy", "https_proxy")]
        lines += [f"export no_proxy={quoted(wish.no_proxy)}"] if wish.no_proxy else []
    return "\n".join(lines) + "\n"


def _step(step: Step) -> str:
    """Three functions. Here-documents must stay at the beginning of their lines."""
    words = [f"# {line}" for line in step.describe().splitlines()]
    bodies = [
        f"{name}_{step.id}() {{\n{_indented(body)}\n}}"
        for name, body in (("check", step.check), ("apply", step.apply), ("undo", step.undo))
    ]
    return "\n".join([*words, *bodies]) + "\n"


def _indented(body: str) -> str:
    lines, inside = [], False
    for line in body.splitlines():
        lines.append(line if inside or not line else INDENT + line)
        if inside and line == "END":
            inside = False
        elif "<<'END'" in line:
            inside = True
    return "\n".join(lines)


def _titles(plan: Plan) -> str:
    cases = "\n".join(f"{INDENT}{step.id}) printf '%s\\n' {quoted(step.title)} ;;" for step in plan.steps)
    names = " ".join(step.id for step in plan.steps)
    return f'STEPS="{names}"\n\ntitle() {{\n{INDENT}case $1 in\n{cases}\n{INDENT}esac\n}}\n'


def _text(name: str) -> str:
    return importlib.resources.files("gpudock.provision.emit").joinpath(name).read_text(encoding="utf-8")
