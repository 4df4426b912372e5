"""What is to be done to one engine, before it is done: shown by --dry-run, done by the same object."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from gpudock.engine.configure.change import Change
from gpudock.errors import GpudockError


class Work(Protocol):
    @property
    def notes(self) -> tuple[str, ...]:
        """What a person should know before."""

    def describe(self) -> list[str]:
        """The changes of files as differences, and what happens to the engine."""

    def apply(self) -> list[str]:
        """Do it all or nothing, and say what was done and what is left to do. Raises GpudockError."""


def described(changes: Iterable[Change]) -> list[str]:
    return [text for each in changes if (text := each.describe())]


def make(changes: Sequence[Change]) -> None:
    """All or none."""
    for number, each in enumerate(changes):
        try:
            each.apply()
        except BaseException:
            take_back(changes[:number])
            raise


def take_back(changes: Sequence[Change]) -> None:
    """As many as can be; then raises GpudockError for the others."""
    problem: GpudockError | None = None
    for each in reversed(changes):
        try:
            each.revert()
        except GpudockError as error:
            problem = error
    if problem:
        raise problem


def failed(error: GpudockError, then: str) -> GpudockError:
    """The same error, with what became of the engine."""
    error.why = f"{error.why}; {then}" if error.why else then
    return error
