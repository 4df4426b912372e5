"""Writes docs/troubleshooting.md: tools/troubleshooting.md, with all that the doctor's checks say at its mark.

.venv/bin/python tools/troubleshooting.py
"""

from collections.abc import Iterator
from pathlib import Path

from gpudock.provision.check import Check
from gpudock.provision.doctor import SUBJECTS
from gpudock.provision.report import link

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE, PAGE = ROOT / "tools/troubleshooting.md", ROOT / "docs/troubleshooting.md"
MARK = "<!-- checks -->"
MADE = "<!-- Made by tools/troubleshooting.py of tools/troubleshooting.md and the doctor's checks: change those. -->\n"


def page() -> str:
    head, found, rest = TEMPLATE.read_text().partition(MARK)
    assert found, f"{TEMPLATE} has no {MARK}"
    parts = [f"### {subject}\n\n{''.join(map(entry, checks))}" for subject, checks in subjects()]
    return MADE + head + "".join(parts).rstrip() + rest


def subjects() -> Iterator[tuple[str, list[Check]]]:
    yield from ((subject, [each for part in lists for each in part]) for subject, lists in SUBJECTS.items())


def entry(each: Check) -> str:
    seen = "".join(f"- {_literal(message)}\n" for message in each.messages)
    commands = "\n".join(("```sh", *each.fix, "```\n"))
    threads = " · ".join(f"[{_name(reference)}]({link(reference)})" for reference in each.references)
    return "\n".join(
        part
        for part in (
            f"#### {each.title}\n",
            f"`{each.id}`, {each.severity}. {each.cause}\n",
            f"Seen as:\n\n{seen}" if seen else "",
            commands,
            f"{threads}\n" if threads else "",
            "",
        )
        if part or part == ""
    ).replace("\n\n\n", "\n\n")


def _literal(message: str) -> str:
    return f"`` {message} ``" if "`" in message else f"`{message}`"


def _name(reference: str) -> str:
    return reference.removeprefix("https://").partition("/")[0] if reference.startswith("https") else reference


if __name__ == "__main__":
    PAGE.write_text(page())
