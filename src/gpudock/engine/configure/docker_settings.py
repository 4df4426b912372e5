"""Settings of docker that people change by hand, as keys of daemon.json. Pure."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from gpudock.engine.configure.daemon_json import Document
from gpudock.engine.configure.wish import Settings
from gpudock.errors import InputError, RefusedError, UsageError
from gpudock.plan.quote import quote

MIRRORS, USERNS, DATA_ROOT, LIVE_RESTORE = "registry-mirrors", "userns-remap", "data-root", "live-restore"
LOG_DRIVER, LOG, ULIMITS, SHM, NODE = (
    "log-driver",
    "log-opts",
    "default-ulimits",
    "default-shm-size",
    ("node-generic-resources"),
)
KEYS = (MIRRORS, USERNS, DATA_ROOT, LIVE_RESTORE, LOG, ULIMITS, SHM, NODE)
LISTS, OBJECTS = (MIRRORS, NODE), (LOG, ULIMITS)
RELOADED = (MIRRORS, LIVE_RESTORE)  # what a running docker takes without a restart
TOLD = (MIRRORS, LIVE_RESTORE, DATA_ROOT, USERNS, NODE)  # what `docker info` says of it
ROTATED = ("json-file", "local")  # log drivers that know max-size and max-file
_SIZE = re.compile(r"[1-9]\d*(?:\.\d+)?(?:[kmgt]i?b?|b)?", re.IGNORECASE)
_ULIMIT = re.compile(r"([a-z]+)=(-?\d+|unlimited)(?::(-?\d+|unlimited))?")
_NODE = re.compile(r"([A-Za-z][\w.-]*)=([\w.:-]+)")
_NAMES = (
    *("core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio"),
    *("rttime", "sigpending", "stack"),
)


def check(wanted: Settings) -> Settings:
    """Raises UsageError for what docker would refuse."""
    for url in wanted.mirrors:
        _check_mirror(url)
    for size, option in ((wanted.log_size, "--log-max-size"), (wanted.shm_size, "--default-shm-size")):
        if size is not None and not _SIZE.fullmatch(size):
            raise UsageError(f"{option} {quote(size)} is no size.", mend="write it as 64m or 16g")
    if wanted.log_files is not None and wanted.log_files < 1:
        raise UsageError("--log-max-files must be at least 1.")
    if wanted.data_root is not None and (not wanted.data_root.startswith("/") or not wanted.data_root.strip("/")):
        raise UsageError("--data-root must be an absolute path of a folder, and not /.")
    for text in wanted.ulimits:
        _ulimit(text)
    for text in wanted.node:
        if not _NODE.fullmatch(text):
            raise UsageError(f"{quote(text)} is no resource of a node.", mend="write NAME=VALUE: gpu=GPU-8f3c...")
    return wanted


def _check_mirror(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise UsageError(f"The mirror {quote(url)} is no address.", why=str(error)) from error
    if parts.scheme not in {"http", "https"} or not host:
        raise UsageError(f"The mirror {quote(url)} is no address.", mend="write https://HOST or https://HOST:PORT")
    if parts.username is not None or parts.query or parts.fragment or parts.path.strip("/"):
        why = "docker takes no user, path, query or fragment there"
        raise UsageError(f"The mirror {quote(url)} must be scheme, host and port only.", why=why)


def _ulimit(text: str) -> tuple[str, dict[str, Any]]:
    found = _ULIMIT.fullmatch(text)
    if not found or found[1] not in _NAMES:
        why = f"NAME=SOFT[:HARD]; names are {', '.join(_NAMES)}"
        raise UsageError(f"{quote(text)} is no limit.", why=why, mend="write memlock=unlimited or nofile=65536:1048576")
    soft, hard = (-1 if word == "unlimited" else int(word) for word in (found[2], found[3] or found[2]))
    if soft < -1 or hard < -1 or (hard != -1 and (soft > hard or soft == -1)):
        raise UsageError(f"{quote(text)} is no limit.", why="the soft limit must not be above the hard one")
    return found[1], {"Name": found[1], "Soft": soft, "Hard": hard}


def applied(now: Document, wanted: Settings) -> Document:
    """The file with these settings. Raises InputError for a file whose keys are of another kind."""
    _check_kinds(now)
    for url in wanted.mirrors:
        there = now.value.get(MIRRORS) or []
        if url.rstrip("/") not in {each.rstrip("/") for each in there}:
            now = now.put(MIRRORS, value=[*there, url])
    plain = {
        USERNS: wanted.userns,
        DATA_ROOT: wanted.data_root,
        LIVE_RESTORE: wanted.live_restore,
        SHM: wanted.shm_size,
    }
    for key, value in plain.items():
        if value is not None and now.value.get(key) != value:
            now = now.put(key, value=value)
    now = _rotating(now, wanted)
    for text in wanted.ulimits:
        name, limit = _ulimit(text)
        if (now.value.get(ULIMITS) or {}).get(name) != limit:
            now = now.put(ULIMITS, name, value=limit)
    return _with_node(now, wanted.node)


def _check_kinds(now: Document) -> None:
    for keys, kind, shape in ((LISTS, list, "a list: [ ... ]"), (OBJECTS, dict, "an object: { ... }")):
        for key in keys:
            if not isinstance(now.value.get(key), kind | None):
                raise InputError(f"{now.where}: {key} must be {shape}.", mend="mend it; nothing was changed")
    for key in LISTS:
        if not all(isinstance(each, str) for each in now.value.get(key) or []):
            raise InputError(f"{now.where}: {key} must be a list of texts.", mend="mend it; nothing was changed")


def _rotating(now: Document, wanted: Settings) -> Document:
    if wanted.log_size is None and wanted.log_files is None:
        return now
    driver = now.value.get(LOG_DRIVER, ROTATED[0])
    if driver not in ROTATED:
        why = f"{now.where} has the log driver {quote(str(driver))}, which keeps its logs elsewhere"
        raise RefusedError("Docker does not rotate these logs.", why=why, mend="leave --log-max-size and -files out")
    for key, value in (("max-size", wanted.log_size), ("max-file", wanted.log_files)):
        if value is not None and (now.value.get(LOG) or {}).get(key) != str(value):
            now = now.put(LOG, key, value=str(value))
    if driver == ROTATED[0] and "max-file" in now.value[LOG] and "max-size" not in now.value[LOG]:
        raise UsageError("--log-max-files needs --log-max-size.", why="docker refuses one without the other")
    return now


def _with_node(now: Document, texts: tuple[str, ...]) -> Document:
    if not texts:
        return now
    kinds = {text.partition("=")[0] for text in texts}
    there = now.value.get(NODE) or []
    after = [*(each for each in there if each.partition("=")[0] not in kinds), *dict.fromkeys(texts)]
    return now.put(NODE, value=after) if after != there else now


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings in which two files differ."""
    return tuple(key for key in KEYS if before.get(key) != after.get(key))


def notes(now: Document, after: Document, wanted: Settings, *, listens: bool) -> list[str]:
    """What a person should know before. `listens`: the runtime is told of DOCKER_RESOURCE_..."""
    found = []
    if any(url.startswith("http:") for url in wanted.mirrors):
        found.append("a mirror without TLS: whoever is on the way can give you another image than you asked for")
    keys = changed(now.value, after.value)
    if LOG in keys or ULIMITS in keys or SHM in keys:
        found.append(
            f"{', '.join(k for k in (LOG, ULIMITS, SHM) if k in keys)}: new containers only; others keep theirs"
        )
    if NODE in keys and not listens:
        found.append(
            "a service that asks for such a resource is told in a variable which one it got; for the runtime to\n"
            "  listen to it: --default --swarm-resource DOCKER_RESOURCE_NAME (the resource's name in capital letters)"
        )
    return found
