"""A command line as the program gets it, its outcome as a test wants it: the error itself instead of its text."""

from contextlib import redirect_stderr, redirect_stdout
from io import BytesIO, TextIOWrapper
from typing import NamedTuple

import pytest

from gpudock.cli import terminal
from gpudock.cli.main import called


class Outcome(NamedTuple):
    exit_code: int
    stdout: str
    stderr: str
    exception: Exception | None = None


def invoked(*words: str) -> Outcome:
    """`gpudock WORDS`, in a process that has said nothing yet."""
    out, err = (TextIOWrapper(BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    code, error = 0, None
    with pytest.MonkeyPatch.context() as fresh, redirect_stdout(out), redirect_stderr(err):
        fresh.setattr(terminal, "_said_simulated", False)
        try:
            returned = called(words)
            code = returned if isinstance(returned, int) else 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except Exception as raised:  # noqa: BLE001  the test looks at it
            code, error = 1, raised
    return Outcome(code, _text(out), _text(err), error)


def _text(stream: TextIOWrapper) -> str:
    stream.seek(0)
    return stream.read()
