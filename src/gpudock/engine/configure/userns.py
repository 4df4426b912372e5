"""userns-remap: root in containers is nobody on the host. What it needs of /etc/subuid and /etc/subgid. Pure."""

from typing import NamedTuple

from gpudock.errors import RefusedError
from gpudock.plan.quote import quote

SUBUID, SUBGID = "/etc/subuid", "/etc/subgid"
OWN_USER = "dockremap"  # whom docker makes itself for "default"
NEEDED, FIRST = 65536, 100_000
BREAKS = (
    "userns-remap moves docker to other folders and other users:\n"
    "  - images and containers of the time before are not seen any more (they stay on disk; --undo brings them back)\n"
    "  - --pid host, --network host and --privileged are refused, unless a container also says --userns host\n"
    "  - files in volumes and bind mounts belong to host users; root in a container cannot write to root's files\n"
    "  - it shares no images between users, and GPUs stay usable because their nodes are open to all (mode 0666)"
)


class Range(NamedTuple):
    name: str
    start: int
    size: int

    @property
    def end(self) -> int:
        return self.start + self.size


def ranges(text: str) -> tuple[Range, ...]:
    """The lines that can be understood, as the programs that read these files do."""
    found = []
    for line in text.splitlines():
        parts = line.split(":")
        if len(parts) == 3 and parts[1].strip().isdecimal() and parts[2].strip().isdecimal():
            found.append(Range(parts[0].strip(), int(parts[1]), int(parts[2])))
    return tuple(found)


class Accounts(NamedTuple):
    """The files' texts, "" where there is none."""

    passwd: str
    group: str
    subuid: str
    subgid: str


def check(wanted: str, accounts: Accounts, most: str | None) -> list[str]:
    """Raises RefusedError where docker would not start; gives what else should be known. `most`: the kernel's limit."""
    if most is not None and most.strip() == "0":
        raise RefusedError(
            "This kernel allows no user namespaces.",
            why="/proc/sys/user/max_user_namespaces is 0",
            mend="sysctl -w user.max_user_namespaces=15000, and the same in /etc/sysctl.d",
        )
    user, _, group = wanted.partition(":")
    group = group or user
    if wanted == "default":
        user = group = OWN_USER
        if not _ids(accounts.passwd, user):
            return []  # docker makes the user and its ranges when it starts
    for name, text, kind in ((user, accounts.passwd, "user"), (group, accounts.group, "group")):
        if not _ids(text, name):
            mend = "make it, or use --userns-remap default, for which docker makes its own"
            raise RefusedError(f"There is no {kind} {quote(name)}.", why="userns-remap needs it", mend=mend)
    notes = []
    for name, text, path, option in (
        (user, accounts.subuid, SUBUID, "--add-subuids"),
        (group, accounts.subgid, SUBGID, "--add-subgids"),
    ):
        notes += _check_ranges(name, user, ranges(text), path, option)
    return notes


def _check_ranges(name: str, user: str, all_of_them: tuple[Range, ...], path: str, option: str) -> list[str]:
    own = [each for each in all_of_them if each.name == name]
    total = sum(each.size for each in own)
    if total < NEEDED:
        start = free(all_of_them)
        has = f"{path} has {total} ids for {quote(name)}" if own else f"{path} has no line for {quote(name)}"
        raise RefusedError(
            f"{quote(name)} has too few ids for user namespaces.",
            why=f"{has}; containers use {NEEDED}",
            mend=f"sudo usermod {option} {start}-{start + NEEDED - 1} {user}   (then run this again)",
        )
    others = [each for each in all_of_them if each.name != name]
    shared = sorted({each.name for each in others for mine in own if each.start < mine.end and mine.start < each.end})
    return [f"{path}: the ids of {quote(name)} are also those of {', '.join(map(quote, shared))}"] if shared else []


def free(taken: tuple[Range, ...]) -> int:
    """Where a range of the usual size fits behind all others."""
    return max([FIRST, *(each.end for each in taken)])


def _ids(text: str, name: str) -> bool:
    """Whether there is such an account, by name or number."""
    return any(name in {fields[0], fields[2]} for line in text.splitlines() if len(fields := line.split(":")) > 2)
