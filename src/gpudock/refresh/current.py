"""The plan that containers get now: read from the specification that is in place, and held against the machine."""

import os
from typing import NamedTuple

from gpudock.cdi import store
from gpudock.errors import GpudockError, HostError
from gpudock.plan.document import Plan
from gpudock.refresh.paths import Paths
from gpudock.start import key, plans


class StaleError(HostError):
    """There is no specification of ours, or it no longer fits the machine."""

    def __init__(self, what: str, why: str = "") -> None:
        super().__init__(what, why=why, mend="sudo gpudock refresh")


class Current(NamedTuple):
    plan: Plan
    plan_path: str
    spec_path: str


def current(paths: Paths, spec: str = "") -> Current:
    """By our specification for engines, or by `spec`. Raises StaleError, or another GpudockError when plan or
    specification cannot be read.
    """
    spec = spec or paths.spec
    if not os.path.exists(spec):
        raise StaleError("The GPUs of this machine are not set up for containers yet.", f"{spec} does not exist")
    path = plan_path(store.load(spec))
    if path is None:
        raise StaleError(f"{spec} names no start plan.")
    return Current(_fitting(path), path, spec)


def _fitting(path: str) -> Plan:
    try:
        plan = plans.read(path)
    except GpudockError as error:
        raise StaleError("The start plan cannot be used.", error.why or error.what) from error
    changed = key.difference(plan["key"])
    if changed:
        raise StaleError("The CDI specification no longer fits this machine.", changed)
    return plan


def outdated(document: dict[str, object]) -> list[str]:
    """Why containers would be refused with this specification of ours, as one sentence; none for anybody else's."""
    path = plan_path(document)
    gone = [word for word in _hook(document) if word.endswith("/hook.py") and not os.path.exists(word)]
    if gone:
        return [f"{gone[0]}, which prepares containers, is gone: sudo gpudock refresh"]
    try:
        if path is not None:
            _fitting(path)
    except StaleError as error:
        return [f"{path}: {error.why}"]
    return []


def plan_path(document: dict[str, object]) -> str | None:
    """The plan that a specification of gpudock names in its hook; None for anybody else's."""
    arguments = _hook(document)
    return arguments[arguments.index("--plan") + 1] if arguments else None


def _hook(document: dict[str, object]) -> list[str]:
    """The arguments of gpudock's hook; none for anybody else's specification."""
    edits = document.get("containerEdits")
    hooks = edits.get("hooks") if isinstance(edits, dict) else None
    for hook in hooks if isinstance(hooks, list) else ():
        arguments = hook.get("args") if isinstance(hook, dict) else None
        if isinstance(arguments, list) and "--plan" in arguments[:-1]:
            return [str(word) for word in arguments]
    return []
