"""Findings as text for people, short by default, and as plain values for --json. Pure."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from gpudock.provision.check import Finding, Mend
from gpudock.provision.doctor import CHECKS, exit_code

if TYPE_CHECKING:
    from gpudock.facts.container import ContainerFact, ImageFact, Software
    from gpudock.facts.snapshot import Snapshot

GUIDE = "docs/troubleshooting.md"
_EVIDENCE = 3  # lines of one finding


def text(seen: list[Finding], *, verbose: bool) -> str:
    parts = ["\n".join(_lines(finding, verbose=verbose)) for finding in seen]
    return "\n\n".join([*parts, _summary(seen)])


def _lines(finding: Finding, *, verbose: bool) -> Iterator[str]:
    yield f"{finding.severity.upper():8}{finding.check.title}  [{finding.check.id}]"
    shown = finding.evidence if verbose else finding.evidence[:_EVIDENCE]
    yield from (f"        {line}" for line in shown)
    if len(shown) < len(finding.evidence):
        yield f"        and {len(finding.evidence) - len(shown)} more"
    if verbose:
        yield f"  cause {finding.check.cause}"
    for number, command in enumerate(finding.fix):
        yield f"{'   mend' if not number else '       '} {command}"
    if verbose:
        yield from (f"    see {link(each)}" for each in finding.check.references)


def _summary(seen: list[Finding]) -> str:
    if not seen:
        return f"Nothing is wrong: {len(CHECKS)} checks."
    counts = {word: sum(finding.severity == word for finding in seen) for word in ("error", "warning", "note")}
    words = [f"{count} {word}{'s' * (count > 1)}" for word, count in counts.items() if count]
    more = "" if all(finding.severity == "note" for finding in seen) else "; causes and threads: --verbose"
    return f"{', '.join(words)} of {len(CHECKS)} checks{more}"


def link(reference: str) -> str:
    """The address of a thread "owner/repo#number"."""
    if reference.startswith("https://"):
        return reference
    place, _, number = reference.partition("#")
    return f"https://github.com/{place}/issues/{number}"


def images(found: "tuple[ImageFact, ...]") -> str:
    """What is in each image."""
    lines: list[str] = []
    for image in found:
        lines.append(f"{image.name}: {image.layers} layers, no code of it was run")
        width = max((len(each.name) for each in image.software), default=0)
        lines += [f"  {each.name:{width}}  {each.version}    {each.where}" for each in image.software]
        lines += [] if image.software else ["  no CUDA, cuDNN or framework was found in it"]
        lines += [f"  forward compatibility: {name}" for name in image.compat]
    return "\n".join(lines)


def container(each: "ContainerFact") -> str:
    """What it is and has."""
    state = "running" if each.running else "not running"
    nodes = ", ".join(each.nodes) if isinstance(each.nodes, tuple) else each.nodes.reason
    driver = f"; driver {each.driver}" if each.driver else ""
    runtime = each.runtime or "not told"
    return (
        f"{each.name} ({each.engine}, {each.image}): {state}, runtime {runtime}\n  GPU nodes: {nodes or 'none'}{driver}"
    )


def offers(mends: list[tuple[Finding, Mend]]) -> str:
    """What --fix would do."""
    lines = []
    for number, (finding, mend) in enumerate(mends, start=1):
        lines += [f"{number}. {' '.join(mend.argv)}", f"   {mend.does}  [{finding.check.id}]"]
        lines.append(f"   to take it back: {mend.undo}")
    return "\n".join(lines)


def plain(seen: list[Finding], machine: "Snapshot") -> dict[str, Any]:
    """For --json."""
    return {
        "exit_code": exit_code(seen),
        "taken": machine.taken,
        "simulated": machine.roots.simulated,
        "checks": len(CHECKS),
        "findings": [
            {
                "id": finding.check.id,
                "severity": finding.severity,
                "title": finding.check.title,
                "evidence": [*finding.evidence],
                "cause": finding.check.cause,
                "fix": [*finding.fix],
                "references": [*map(link, finding.check.references)],
            }
            for finding in seen
        ],
        "images": [
            {
                "name": image.name,
                "software": [_software(each) for each in image.software],
                "compat": [*image.compat],
            }
            for image in machine.images
        ],
    }


def _software(each: "Software") -> dict[str, str]:
    return {"name": each.name, "version": each.version, "where": each.where}
