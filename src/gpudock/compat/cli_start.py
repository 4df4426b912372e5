"""What a call of the drop-in `nvidia-docker` ends in."""

from typing import NamedTuple


class Start(NamedTuple):
    """The docker command to become, and what to say before."""

    argv: tuple[str, ...]
    banner: str = ""  # on standard output
    notes: tuple[str, ...] = ()  # on standard error
    dry_run: bool = False  # print the command instead
    failed: int = 0  # exit code of a docker command before, which has said why: nothing is started
