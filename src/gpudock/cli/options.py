"""Options of every command that reads the host, and the one way from them to a snapshot."""

import os
from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from gpudock.cli.terminal import say_simulated
from gpudock.cli.verb import Option

if TYPE_CHECKING:
    from gpudock.facts.snapshot import Snapshot

Function = TypeVar("Function", bound=Callable[..., Any])


class HostOptions(NamedTuple):
    """Where the facts come from: this machine, other folders of it, a simulated host, or a file."""

    driver_root: str | None = None
    dev_root: str | None = None
    simulated: str | None = None
    snapshot: str | None = None

    def load(
        self, *, engines: bool = False, packages: bool = False, setup: bool = False, announce: bool = True
    ) -> "Snapshot":
        """Read the machine, or the snapshot file. Raises UsageError for options that exclude each other.

        `announce`: say on standard error when the machine is simulated.
        """
        return self.begin(engines=engines, packages=packages, setup=setup, announce=announce)()

    def begin(
        self, *, engines: bool = False, packages: bool = False, setup: bool = False, announce: bool = True
    ) -> "Callable[[], Snapshot]":
        """As `load`, but the driver is only asked; calling the result reads the rest."""
        from gpudock.errors import UsageError

        if self.snapshot:
            if self.driver_root or self.dev_root or self.simulated:
                raise UsageError("--snapshot cannot be combined with --driver-root, --dev-root or --simulated.")
            return lambda: _announced(_from_file(str(self.snapshot)), announce=announce)

        from gpudock import proc
        from gpudock.host import nvml, roots

        where = roots.folders_for(self.driver_root, self.dev_root, self.simulated)
        asked = nvml.begin(proc.run, where)
        known = where.fact()  # while NVML is working, facts first: see there

        from gpudock.host.snapshot import Taking

        wanted = {"engines": engines, "packages": packages, "setup": setup}
        taking = Taking(known, run=proc.run, **wanted, own_cdi=_own_cdi_folder(), asked=asked)
        return lambda: _announced(taking.snapshot(), announce=announce)

    def for_refresh(self, *, announce: bool = True) -> "Snapshot":
        """As `load`, with what a specification of this machine may need besides."""
        snapshot = self.load(announce=announce)
        return snapshot if self.snapshot else with_engines(snapshot)

    def over(self, other: "HostOptions") -> "HostOptions":
        """These, and those of `other` where nothing was given here."""
        return HostOptions(*(mine or theirs for mine, theirs in zip(self, other, strict=True)))


def with_engines(snapshot: "Snapshot") -> "Snapshot":
    """Engines take half a second to ask; a specification depends on them only when it has to carry group ids, for nodes
    that are not open to all.
    """
    if all(node.gid == 0 or node.mode & 0o006 == 0o006 for node in snapshot.nodes):
        return snapshot
    import msgspec

    from gpudock import proc
    from gpudock.host import engines, surroundings
    from gpudock.host.root import Root

    found = engines.read(proc.run, surroundings.of_caller(Root("/"), Root("/proc")))
    return msgspec.structs.replace(snapshot, engines=found)


def _announced(snapshot: "Snapshot", *, announce: bool) -> "Snapshot":
    if announce and snapshot.roots.simulated:
        say_simulated()
    return snapshot


def _own_cdi_folder() -> str:
    """The folder that refresh writes to, which may be another one: a user's own, or that of GPUDOCK_CDI_DIR."""
    from gpudock.refresh.paths import default_paths

    return default_paths().cdi


def _from_file(path: str) -> "Snapshot":
    from gpudock.errors import InputError, RefusedError
    from gpudock.host import codec
    from gpudock.publish import read_capped

    mend = "give it a file that `gpudock host snapshot -o FILE` has written, and that you may read"
    try:
        return codec.decode(read_capped("/dev/stdin" if path == "-" else path, codec.LIMIT))
    except RefusedError as error:
        raise InputError(error.what, why="a snapshot is never that large", mend=mend) from error
    except OSError as error:
        raise InputError(
            f"The snapshot {path} cannot be read.", why=os.strerror(error.errno or 0), mend=mend
        ) from error
    except InputError as error:
        raise InputError(f"{path}: {error.what}", why=error.why, mend=error.mend) from error


HOST = (
    Option(("--driver-root",), "driver_root", "Where the driver's files are. [default: /]", metavar="FOLDER"),
    Option(("--dev-root",), "dev_root", "The folder that holds dev/. [default: the driver root]", metavar="FOLDER"),
    Option(("--simulated",), "simulated", "Use the simulated GPUs of this folder.", metavar="FOLDER"),
    Option(("--snapshot",), "snapshot", "Use this snapshot instead of the machine.", metavar="FILE"),
)


def on_host(function: Function) -> Function:
    """Gives a function that has the parameter `host: HostOptions` those of the options HOST instead."""

    @wraps(function)
    def with_host(
        *arguments: Any,  # noqa: ANN401  the function's own
        driver_root: str | None,
        dev_root: str | None,
        simulated: str | None,
        snapshot: str | None,
        **others: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return function(*arguments, host=HostOptions(driver_root, dev_root, simulated, snapshot), **others)

    return with_host  # type: ignore[return-value]
