"""Waiting beside other work."""

import threading

import pytest

from gpudock.host.later import Later
from gpudock.host.plain import one_line


def test_the_call_runs_beside_the_caller() -> None:
    go = threading.Event()
    later = Later(lambda: go.wait(10))
    go.set()
    assert later.result() is True
    assert later.result() is True


def test_its_error_is_raised_where_the_result_is_wanted() -> None:
    later = Later(lambda: 1 // 0)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            later.result()


def test_one_line() -> None:
    assert one_line(" a\n\tb  c ") == "a b c"
    assert one_line("\x1b[31m\0\u202e") == "\ufffd[31m\ufffd\ufffd"
    assert one_line("x" * 1000, 10) == "x" * 9 + "\u2026"
