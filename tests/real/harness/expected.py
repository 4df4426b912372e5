"""What a container gets of a driver: the data of tests/data/drivers, written from what the packages really contain."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

from real.harness.layout import Layout

Capabilities = tuple[str, ...]  # any one of them brings the file
_DATA = Path(__file__).resolve().parents[2] / "data/drivers"
_FILES = {"470": "470", "535": "535", "550": "550", "580": "580-h200"}


@dataclass(frozen=True)
class Expected:
    libraries: dict[str, Capabilities]  # by file name: "libcuda.so.550.163.01"
    libraries32: dict[str, Capabilities]  # compat32 besides
    binaries: dict[str, Capabilities]  # by program name
    config: dict[str, Capabilities]  # by path in the container
    xorg: dict[str, Capabilities]  # by file name
    data: dict[str, Capabilities]  # by path below the library folder
    firmware: tuple[str, ...]  # paths in the container; whatever the capabilities
    links: dict[
        str, str
    ]  # beside the libraries or Xorg modules: SONAMEs and names that programs open, and their targets
    links32: dict[str, str]
    optional: dict[str, str]  # files of the driver that a container may have or lack, and why

    def may_have(self, name: str) -> bool:
        """Whether a file that is not asked for is no mistake either, by its name or path in a container."""
        return name in self.optional or f"{name.partition('.so.')[0]}.so" in self.optional

    def selected(self, *capabilities: str) -> "Expected":
        """What these capabilities bring; links whose target they do not bring are gone."""
        wanted = set(capabilities)

        def chosen(files: dict[str, Capabilities]) -> dict[str, Capabilities]:
            return {name: owners for name, owners in files.items() if not wanted.isdisjoint(owners)}

        libraries, xorg = chosen(self.libraries), chosen(self.xorg)
        libraries32 = chosen(self.libraries32) if "compat32" in wanted else {}
        return Expected(
            libraries=libraries,
            libraries32=libraries32,
            binaries=chosen(self.binaries),
            config=chosen(self.config),
            xorg=xorg,
            data=chosen(self.data),
            firmware=self.firmware,
            links={name: target for name, target in self.links.items() if _end(target, self.links) in libraries | xorg},
            links32={
                name: target for name, target in self.links32.items() if _end(target, self.links32) in libraries32
            },
            optional=self.optional,
        )


def _end(target: str, links: dict[str, str]) -> str:
    """The file at the end of a chain of links."""
    name = target.rpartition("/")[2]
    return _end(links[name], links) if name in links else name


def expected(branch: str, version: str) -> Expected:
    """Everything, for all capabilities: branch "470", "535", "550" or "580" (the H200 host)."""
    rows = json.loads((_DATA / f"{_FILES[branch]}.json").read_text().replace("{version}", version))

    def named(kind: str) -> dict[str, Capabilities]:
        return {name: tuple(capabilities) for name, capabilities in rows[kind].items()}

    return Expected(
        libraries=named("libraries"),
        libraries32=named("libraries32"),
        binaries=named("binaries"),
        config=named("config"),
        xorg=named("xorg"),
        data=named("data"),
        firmware=tuple(rows["firmware"]),
        links=rows["links"],
        links32=rows["links32"],
        optional=rows["optional"],
    )


def expected_of(layout: Layout) -> Expected:
    """The same for a layout: some hosts call a file otherwise, or cannot have it. Not for "wsl", which is its own world."""
    whole = expected(layout.branch, layout.version)
    config = {}
    for path, capabilities in whole.config.items():
        here = layout.differs.get(path, path)
        if here is not None:
            config[here] = capabilities
    if layout.compat32:
        return replace(whole, config=config)
    return replace(whole, config=config, libraries32={}, links32={})
