"""Runs one command of the test machine and says, when it fails, what it said."""

import subprocess
from collections.abc import Mapping, Sequence


class CommandFailed(AssertionError):  # noqa: N818 - it tells what happened, as a test's report should
    """A command that had to succeed did not: the message carries its arguments, exit code and the end of its output."""


def run(
    argv: Sequence[str], *, env: Mapping[str, str] | None = None, check: bool = True, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """Runs argv without a standard input; stdout and stderr are text. Raises CommandFailed if check and the exit code is not 0."""
    try:
        done = subprocess.run(
            argv,
            env=env,
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
        )
    except FileNotFoundError as error:
        raise CommandFailed(f"{argv[0]} is not installed: run 'tools/system.sh test' as root") from error
    if check and done.returncode != 0:
        said = (done.stdout[-2000:] + done.stderr[-4000:]).strip()
        raise CommandFailed(f"{' '.join(argv)}\nended with {done.returncode}:\n{said}")
    return done
