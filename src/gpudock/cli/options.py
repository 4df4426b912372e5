"""Options of every command that reads the host, and the one way from them to a snapshot."""

import os
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple, TypeVar

import click

from gpudock.cli.terminal import say_simulated
from gpudock.facts.snapshot import Snapshot

Command = TypeVar("Command", bound=Callable[..., Any])


class HostOptions(NamedTuple):
    """Where the facts come from: this machine, other folders of it, a simulated host, or a file."""

    driver_root: str | None = None
    dev_root: str | None = None
    simulated: str | None = None
    snapshot: str | None = None

    def load(self, *, engines: bool = False, packages: bool = False, announce: bool = True) -> Snapshot:
        """Read the machine, or the snapshot file. Raises UsageError for options that exclude each other.

        `announce`: say on standard error when the machine is simulated.
        """
        snapshot = load_snapshot(*self, engines=engines, packages=packages)
        if announce and snapshot.roots.simulated:
            say_simulated()
        return snapshot

    def for_refresh(self, *, announce: bool = True) -> Snapshot:
        """As `load`. Engines take half a second to ask; a specification depends on them only when it has to carry
        group ids, for nodes that are not open to all.
        """
        snapshot = self.load(announce=announce)
        if self.snapshot or all(node.gid == 0 or node.mode & 0o006 == 0o006 for node in snapshot.nodes):
            return snapshot
        import msgspec

        from gpudock import proc
        from gpudock.host import engines, surroundings
        from gpudock.host.root import Root

        found = engines.read(proc.run, surroundings.of_caller(Root("/"), Root("/proc")))
        return msgspec.structs.replace(snapshot, engines=found)

    def over(self, other: "HostOptions") -> "HostOptions":
        """These, and those of `other` where nothing was given here."""
        return HostOptions(*(mine or theirs for mine, theirs in zip(self, other, strict=True)))


def load_snapshot(
    driver_root: str | None,
    dev_root: str | None,
    simulated: str | None,
    snapshot: str | None,
    *,
    engines: bool = False,
    packages: bool = False,
) -> Snapshot:
    """A snapshot of the given folders, or out of a file ("-": standard input)."""
    from gpudock.errors import UsageError

    if snapshot:
        if driver_root or dev_root or simulated:
            raise UsageError("--snapshot cannot be combined with --driver-root, --dev-root or --simulated.")
        return _from_file(snapshot)

    from gpudock import proc
    from gpudock.host import cdi_specs, roots
    from gpudock.host import snapshot as host_snapshot

    return host_snapshot.take(
        roots.roots_for(driver_root, dev_root, simulated),
        run=proc.run,
        engines=engines,
        packages=packages,
        cdi_folders=tuple(dict.fromkeys((*cdi_specs.FOLDERS, *_own_cdi_folder()))),
    )


def _own_cdi_folder() -> tuple[str, ...]:
    """The folder that refresh writes to, when that is another one: a user's own, or one of GPUDOCK_CDI_DIR."""
    from gpudock.refresh.paths import default_paths

    return (default_paths().cdi,)


def _from_file(path: str) -> Snapshot:
    from gpudock.errors import InputError, RefusedError
    from gpudock.host import codec
    from gpudock.publish import read_capped

    try:
        return codec.decode(read_capped("/dev/stdin" if path == "-" else path, codec.LIMIT))
    except RefusedError as error:
        raise InputError(error.what, why="a snapshot is never that large") from error
    except OSError as error:
        raise InputError(f"The snapshot {path} cannot be read.", why=os.strerror(error.errno or 0)) from error
    except InputError as error:
        raise InputError(f"{path}: {error.what}", why=error.why, mend=error.mend) from error


def host_options(command: Command) -> Command:
    """Gives a command the parameter `host: HostOptions`."""

    @click.option("--driver-root", metavar="FOLDER", help="Where the driver's files are. [default: /]")
    @click.option("--dev-root", metavar="FOLDER", help="The folder that holds dev/. [default: the driver root]")
    @click.option("--simulated", metavar="FOLDER", help="Use the simulated GPUs of this folder.")
    @click.option("--snapshot", metavar="FILE", help="Use this snapshot instead of the machine.")
    @wraps(command)
    def with_host(
        *arguments: Any,  # noqa: ANN401  the wrapped command's own
        driver_root: str | None,
        dev_root: str | None,
        simulated: str | None,
        snapshot: str | None,
        **others: Any,  # noqa: ANN401
    ) -> Any:  # noqa: ANN401
        return command(*arguments, host=HostOptions(driver_root, dev_root, simulated, snapshot), **others)

    return with_host  # type: ignore[return-value]
