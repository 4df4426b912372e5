"""The REST API's texts for people, byte for byte as nvidia-docker 1 aligned them. Made of the JSON values alone."""

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any

LINKS = (
    "N/A",
    "Cross CPU socket",
    "Same CPU socket",
    "Host PCI bridge",
    "Multiple PCI switches",
    "Single PCI switch",
    "Same board",
)
Line = tuple[str, str | None]  # label, and the value that is aligned with those of the lines around it


def info(values: dict[str, Any]) -> str:
    version = values["Version"]
    blocks: list[list[Line]] = [
        [("Driver version:", _or(version["Driver"])), ("Supported CUDA version:", _or(version["CUDA"]))]
    ]
    blocks += [_info_lines(index, device) for index, device in enumerate(values["Devices"])]
    return _text(blocks)


def status(values: dict[str, Any], infos: dict[str, Any]) -> str:
    pairs = enumerate(zip(values["Devices"], infos["Devices"], strict=True))
    return _text([_status_lines(index, now, device) for index, (now, device) in pairs])


def _info_lines(index: int, device: dict[str, Any]) -> list[Line]:
    pci, memory, clocks = device["PCI"], device["Memory"], device["Clocks"]
    ecc = {None: "N/A", True: "true", False: "false"}[memory["ECC"]]
    return [
        (f"Device #{index}", None),
        ("  Model:", _or(device["Model"])),
        ("  UUID:", device["UUID"]),
        ("  Path:", device["Path"]),
        ("  Family:", _or(device["Family"])),
        ("  Arch:", _or(device["Arch"])),
        ("  Cores:", _or(device["Cores"])),
        ("  Power:", _or(device["Power"], " W")),
        ("  CPU Affinity:", f"NUMA node{device['CPUAffinity']}"),
        ("  PCI", None),
        ("    Bus ID:", pci["BusID"]),
        ("    BAR1:", _or(pci["BAR1"], " MiB")),
        ("    Bandwidth:", _or(pci["Bandwidth"], " MB/s")),
        ("  Memory", None),
        ("    ECC:", ecc),
        ("    Global:", _or(memory["Global"], " MiB")),
        ("    Constant:", _or(memory["Constant"], " KiB")),
        ("    Shared:", _or(memory["Shared"], " KiB")),
        ("    L2 Cache:", _or(memory["L2Cache"], " KiB")),
        ("    Bandwidth:", _or(memory["Bandwidth"], " MB/s")),
        ("  Clocks", None),
        ("    Cores:", _or(clocks["Cores"], " MHz")),
        ("    Memory:", _or(clocks["Memory"], " MHz")),
        *_peers(device["Topology"]),
    ]


def _peers(topology: list[dict[str, Any]] | None) -> list[Line]:
    if not topology:
        return [("  P2P Available:", "None")]
    return [("  P2P Available", None), *((f"    {each['BusID']} - {LINKS[each['Link']]}", None) for each in topology)]


def _status_lines(index: int, now: dict[str, Any], device: dict[str, Any]) -> list[Line]:
    use, memory, pci, clocks = now["Utilization"], now["Memory"], now["PCI"], now["Clocks"]
    errors, traffic = memory["ECCErrors"], pci["Throughput"]
    return [
        (f"Device #{index}", None),
        ("  Power:", _of(now["Power"], device["Power"], " W")),
        ("  Temperature:", _or(now["Temperature"], " °C")),
        ("  Utilization", None),
        ("    GPU:", _or(use["GPU"], " %")),
        ("    Memory:", _or(use["Memory"], " %")),
        ("    Encoder:", _or(use["Encoder"], " %")),
        ("    Decoder:", _or(use["Decoder"], " %")),
        ("  Memory", None),
        ("    Global:", _of(memory["GlobalUsed"], device["Memory"]["Global"], " MiB")),
        ("    ECC Errors", None),
        ("      L1 Cache:", _or(errors["L1Cache"])),
        ("      L2 Cache:", _or(errors["L2Cache"])),
        ("      Global:", _or(errors["Global"])),
        ("  PCI", None),
        ("    BAR1:", _of(pci["BAR1Used"], device["PCI"]["BAR1"], " MiB")),
        ("    Throughput", None),
        ("      RX:", _or(traffic["RX"], " MB/s")),
        ("      TX:", _or(traffic["TX"], " MB/s")),
        ("  Clocks", None),
        ("    Cores:", _or(clocks["Cores"], " MHz")),
        ("    Memory:", _or(clocks["Memory"], " MHz")),
        *_processes(now["Processes"]),
    ]


def _processes(processes: list[dict[str, Any]] | None) -> Iterator[Line]:
    if not processes:
        yield "  Processes:", "None"
        return
    yield "  Processes", None
    for each in processes:
        yield "    - PID:", str(each["PID"])
        yield "      Name:", each["Name"]
        yield "      Memory:", _or(each["MemoryUsed"], " MiB")


def _or(value: object, unit: str = "") -> str:
    return "N/A" if value in (None, "") else f"{value}{unit}"


def _of(value: int | None, limit: int | None, unit: str) -> str:
    return "N/A" if value is None or limit is None else f"{value} / {limit}{unit}"


def _text(blocks: Iterable[list[Line]]) -> str:
    return "".join("\n" + "".join(_aligned(lines)) for lines in blocks) + "\n"


def _aligned(lines: list[Line]) -> Iterator[str]:
    for has_value, group in groupby(lines, key=lambda line: line[1] is not None):
        rows = list(group)
        width = max(len(label) for label, _ in rows) + 2
        for label, value in rows:
            yield f"{label.ljust(width)}{value}\n" if has_value else f"{label}\n"
