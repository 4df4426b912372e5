"""Names of people whom /etc/passwd does not have: a directory service tells them, in its own time."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from gpudock.host.root import Root
from gpudock.monitor import accounts
from gpudock.monitor.accounts import Accounts

UID = 70001


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """The directory, which answers while this is set."""
    answers = threading.Event()

    monkeypatch.setattr(accounts, "_asked", lambda _: "alice" if answers.wait(10) else "")
    return answers


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.001)


def test_nobody_waits_for_a_directory_and_its_name_is_shown_when_it_comes(
    answering: threading.Event, tmp_path: Path
) -> None:
    found = Accounts(Root(str(tmp_path)))
    assert found.name(UID) == "#70001"
    answering.set()
    until(lambda: found.name(UID) == "alice")


def test_a_name_stays_while_it_is_asked_for_again(
    answering: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Accounts(Root(str(tmp_path)))
    answering.set()
    until(lambda: found.name(UID) == "alice")
    answering.clear()
    monkeypatch.setattr(accounts, "FRESH", 0.0)
    found._until = 0.0
    assert [found.name(UID) for _ in range(3)] == ["alice"] * 3
    answering.set()


def test_who_looks_once_waits_for_it(answering: threading.Event, tmp_path: Path) -> None:
    threading.Timer(0.05, answering.set).start()
    assert Accounts(Root(str(tmp_path)), wait=10.0).name(UID) == "alice"


def test_but_not_for_ever(answering: threading.Event, tmp_path: Path) -> None:
    found = Accounts(Root(str(tmp_path)), wait=0.05)
    assert [found.name(UID) for _ in range(3)] == ["#70001"] * 3
    answering.set()


def test_a_directory_that_never_answers_has_few_questions_at_a_time_and_one_about_each(
    answering: threading.Event, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    answer = accounts._asked

    def ask(uid: int) -> str:
        asked.append(uid)
        return answer(uid)

    monkeypatch.setattr(accounts, "_asked", ask)
    found = Accounts(Root(str(tmp_path)))
    everybody = [UID + each for each in range(40)]
    for some in (everybody[:2], everybody):
        for _ in range(5):
            found._until = 0.0
            assert [found.name(uid) for uid in some] == [f"#{uid}" for uid in some]
        expected = some[: accounts.MOST]
        until(lambda expected=expected: len(asked) >= len(expected))  # type: ignore[misc]
        assert sorted(asked) == expected
    answering.set()
    until(lambda: [found.name(uid) for uid in everybody] == ["alice"] * 40)
