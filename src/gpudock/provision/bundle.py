"""A snapshot for strangers: no names of users, machines or containers, no addresses, no serial numbers.

It stays a snapshot: `gpudock doctor --snapshot FILE` finds in it what was found on the machine. Pure.
"""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from gpudock.facts.container import ContainerFact
from gpudock.facts.setup import Setup
from gpudock.facts.snapshot import Snapshot

_UUID = re.compile(r"\b(GPU|MIG)-[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}\b")
_ADDRESS = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_ADDRESS_6 = re.compile(r"(?<![\w:])(?:[0-9A-Fa-f]{0,4}:){3,7}[0-9A-Fa-f]{0,4}(?:%\w+)?(?![\w:.])")
_MAC = re.compile(r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b")
_SECRET = re.compile(r"(?<![\w/.-])(?!(?:GPU|MIG)-)(?=[\w+-]*\d)[A-Za-z0-9_+-]{28,}={0,2}(?![\w/.-])")
_AT = re.compile(r"(?<=://)[^/@\s]+@")
_HOST = re.compile(r"(?<=://)([^/\s:\]]+)")
_HOME = re.compile(r"(?<=/home/)[^/\s]+|(?<=/run/user/)\d+")
_PUBLIC = re.compile(
    r"(?:[\w-]+\.)*(?:nvidia\.com|nvidia\.github\.io|docker\.com|docker\.io|debian\.org|ubuntu\.com|fedoraproject\.org"
    r"|redhat\.com|centos\.org|opensuse\.org|launchpadcontent\.net|kubernetes\.io|k8s\.io)"
)
_KEPT_VARIABLES = re.compile(r"NVIDIA_(?:REQUIRE_\w+|DRIVER_CAPABILITIES)|(?:NVIDIA_)?DISABLE_REQUIRES?|CUDA_VERSION")
_LEFT_ALONE = {
    "plan",
    "soname",
    "name",
    "path",
    "host",
    "links",
    "bus_id",
    "address",
    "boot_id",
    "version",
    "kernel",  # 5.10.16.3-microsoft-standard-WSL2 is no address
    "driver",
    "oci",
    "compose",
}  # names of driver files, and versions
_NOBODY = {"root", "dockremap", "docker", "nobody"}


def redacted(snapshot: Snapshot, hostname: str) -> Snapshot:
    words = _Words(snapshot, hostname)
    plain = msgspec.to_builtins(words.renamed(snapshot))
    return msgspec.convert(_walked(plain, words.text, ""), Snapshot)


class _Words:
    """Other words for what is private, the same for the same."""

    def __init__(self, snapshot: Snapshot, hostname: str) -> None:
        self._given: dict[tuple[str, str], str] = {}
        setup = snapshot.setup if isinstance(snapshot.setup, Setup) else Setup()
        people = [
            *(setup.docker_group if isinstance(setup.docker_group, tuple) else ()),
            *(s.user for s in setup.subids),
        ]
        people += [setup.caller.name] if setup.caller else []
        names = [name for name in people if name not in _NOBODY and len(name) > 1]
        addresses = [*(each.address for each in setup.contexts), *(each.address for each in setup.mirrors)]
        hosts = (match[1] for each in addresses for match in _HOST.finditer(_AT.sub("", each)))
        names += [host for host in hosts if not _PUBLIC.fullmatch(host) and len(host) > 2]
        names += [hostname] if len(hostname) > 2 and hostname != "localhost" else []
        self._names = (
            re.compile("|".join(rf"(?<![\w-]){re.escape(name)}(?![\w-])" for name in names)) if names else None
        )

    def other(self, kind: str, word: str) -> str:
        number = 1 + sum(each == kind for each, _ in self._given)
        return self._given.setdefault((kind, word), f"{kind}{number}")

    def renamed(self, snapshot: Snapshot) -> Snapshot:
        """Without what is private as a whole field."""
        replace = msgspec.structs.replace
        setup = snapshot.setup
        if isinstance(setup, Setup):
            setup = replace(
                setup,
                mirrors=tuple(
                    replace(each, address=self.other("https://mirror", each.address)) for each in setup.mirrors
                ),
                contexts=tuple(replace(each, name=self.other("context", each.name)) for each in setup.contexts),
            )
        listed = snapshot.containers
        containers = tuple(map(self._container, listed)) if isinstance(listed, tuple) else listed
        return replace(
            snapshot,
            setup=setup,
            system=replace(snapshot.system, boot_id="00000000-0000-0000-0000-000000000000"),
            containers=containers,
            engines=tuple(
                replace(
                    each,
                    context=self.other("context", each.context) if each.context else None,
                    mirrors=tuple(self.other("https://mirror", mirror) for mirror in each.mirrors),
                )
                for each in snapshot.engines
            )
            if isinstance(snapshot.engines, tuple)
            else snapshot.engines,
            images=tuple(
                replace(
                    each,
                    name=self.other("image", each.name),
                    variables={k: v for k, v in each.variables.items() if _KEPT_VARIABLES.fullmatch(k)},
                )
                for each in snapshot.images
            ),
        )

    def _container(self, each: ContainerFact) -> ContainerFact:
        name = self.other("container", each.name)
        return msgspec.structs.replace(each, id="0" * 12, name=name, image=self.other("image", each.image))

    def text(self, text: str, field: str) -> str:
        text = _UUID.sub(lambda match: f"{match[1]}-{self._number(match[0]):08x}-0000-0000-0000-000000000000", text)
        if self._names:
            text = self._names.sub(lambda match: self.other("user", match[0]), text)
        text = _HOME.sub(lambda match: self.other("user", match[0]), text)
        if field in _LEFT_ALONE:
            return text
        text = _AT.sub("", text)
        text = _HOST.sub(lambda match: match[1] if _PUBLIC.fullmatch(match[1]) else self.other("host", match[1]), text)
        text = _MAC.sub("MAC", text)
        text = _ADDRESS.sub("IP", _ADDRESS_6.sub("IP", text))
        return _SECRET.sub("REMOVED", text)

    def _number(self, uuid: str) -> int:
        return int(self.other("uuid", uuid).removeprefix("uuid"))


def _walked(value: Any, change: Callable[[str, str], str], field: str) -> Any:  # noqa: ANN401  plain JSON
    if isinstance(value, str):
        return change(value, field)
    if isinstance(value, list | tuple):
        return [_walked(each, change, field) for each in value]
    if isinstance(value, dict):
        return {name: _walked(each, change, name) for name, each in value.items()}
    return value
