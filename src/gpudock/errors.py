"""The one error that users see, and its exit codes.

    GpudockError            what happened, why, how to mend it
    |- UsageError       2   the command line or a request cannot be understood
    |- InputError       3   a file or document given to gpudock is broken, hostile or of another version
    |- HostError        4   this machine lacks something: driver, device node, tool, permission, disk space
    |- RefusedError     5   understood, but must not be done: unmet requirement, unknown device, somebody else's file
    |- EngineError      6   no engine, engine not running, or engine too old for what is asked

Rooms derive their own from these. Standard library only, and Python >= 3.9: this module runs at container start.
"""


class GpudockError(Exception):
    """An expected error: printed as three short parts, never as a traceback."""

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.mend = mend

    def __str__(self) -> str:
        """One line for logs; the command line prints the parts on lines of their own."""
        parts = [self.what]
        if self.why:
            parts.append("(" + self.why + ")")
        if self.mend:
            parts.append("To mend it: " + self.mend)
        return " ".join(parts)


class UsageError(GpudockError):
    exit_code = 2


class InputError(GpudockError):
    exit_code = 3


class HostError(GpudockError):
    exit_code = 4


class RefusedError(GpudockError):
    exit_code = 5


class EngineError(GpudockError):
    exit_code = 6
