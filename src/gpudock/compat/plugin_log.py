"""Log lines as nvidia-docker-plugin wrote them: "nvidia-docker-plugin | 2016/04/21 21:41:35 TEXT"."""

import os
import sys
import time
from collections.abc import Callable

from gpudock.errors import GpudockError

Log = Callable[[str], None]
_LONGEST = 600  # characters


def log(text: str) -> None:
    """One line on standard error. What clients send comes here too: nothing of it may act on a terminal."""
    one_line = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)
    if len(one_line) > _LONGEST:
        one_line = one_line[:_LONGEST] + "…"
    line = f"nvidia-docker-plugin | {time.strftime('%Y/%m/%d %H:%M:%S')} {one_line}\n"
    os.write(sys.stderr.fileno(), line.encode(errors="backslashreplace"))  # whole, from whichever thread


def explained(error: GpudockError) -> str:
    """An error on one line."""
    return f"Error: {error}"
