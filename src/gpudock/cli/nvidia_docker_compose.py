"""The program `nvidia-docker-compose`, as it was: every service of a compose file gets GPUs."""

import os
import sys

from gpudock.cli.compose import carried_out, session
from gpudock.cli.main import bounded, print_error
from gpudock.errors import GpudockError


def main() -> None:
    """Become the compose program, or exit with the error class's code."""
    sys.exit(bounded(lambda: _called(tuple(sys.argv[1:])), _failed))


def _called(given: tuple[str, ...]) -> int:
    from gpudock.compat.compose import drop_in, words

    try:
        scanned = words.scan(given, drop_in.GRAMMAR)
    except words.HelpAsked:
        print(drop_in.HELP, end="")
        return 0
    return carried_out(drop_in.start(scanned, session(os.environ)), scanned)


def _failed(error: GpudockError) -> int:
    """Scripts look for this one line."""
    from gpudock.compat.compose.project import NoFileError

    if isinstance(error, NoFileError) and not any(word.startswith(("-t", "--template")) for word in sys.argv[1:]):
        print("Missing docker-compose file.")
        print_error(error)
        return 1
    return print_error(error)


if __name__ == "__main__":
    main()
