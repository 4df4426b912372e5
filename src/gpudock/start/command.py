"""What the shell entry has found in the OCI command line: see entry.sh. It is not taken apart a second time."""

from gpudock.errors import UsageError
from gpudock.plan.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

FIELDS: "Final" = 6
FLAGS: "Final" = ("-I", "-S", "-E", "-B", "-X", "utf8")  # of the Python that runs hook and runtime


class Command(Value):
    """`arguments` are those of the OCI command line as it came, for the real runtime."""

    __slots__ = ("arguments", "bundle", "config", "log", "preserved", "real", "settings")
    arguments: "tuple[str, ...]"
    bundle: str  # folder
    config: str  # path of its config.json
    log: str  # the file of --log, "" without
    preserved: int  # descriptors from 3 on that the container gets
    real: str  # the runtime that does the work
    settings: str  # path of settings.json

    def __init__(self, argv: "list[str]") -> None:
        if len(argv) < FIELDS:
            raise UsageError("This program is started by gpudock-runtime, not by hand.")
        settings, real, bundle, config, log, preserved = argv[:FIELDS]
        number = int(preserved) if preserved.isascii() and preserved.isdigit() and len(preserved) < 6 else 0
        self._set(
            arguments=tuple(argv[FIELDS:]),
            bundle=bundle,
            config=config,
            log=log,
            preserved=number,
            real=real,
            settings=settings,
        )
