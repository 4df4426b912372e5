"""A simulated machine in a folder: driver root, dev root, and what the driver adds to /proc and /sys.

It is built beside the folder and renamed, so the folder is either whole or not there. The libraries know the folder's
path: beside it (the host) they look at its dev/, elsewhere (a container) at /dev.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator

import msgspec

from gpudock import proc, publish
from gpudock.errors import HostError, InputError, RefusedError, UsageError
from gpudock.testing.simulate import compiler, description, header, kernel, libraries, models, nodes, userspace
from gpudock.testing.simulate.machine import Description

MARK = "simulated.json"
_ASIDE = ".building"
_ARCHITECTURES = ("x86_64", "aarch64")


def build(
    machine: Description, folder: str, *, runner: proc.Runner, layout: str = "debian", replace: bool = False
) -> None:
    """Make `machine` in `folder`; needs root and a C compiler. Majors that the real machine uses are moved.

    Raises RefusedError if `folder` exists, unless it holds an older simulation and `replace` is given; HostError,
    InputError and UsageError otherwise. After an error `folder` is as it was.
    """
    machine = description.decode(description.encode(machine))  # a value made in code is checked like a file
    _check_faults(machine)
    architecture = os.uname().machine
    if architecture not in _ARCHITECTURES:
        raise HostError(f"GPUs cannot be simulated on {architecture}.", why="only x86_64 and aarch64 are known")
    library_folder = libraries.library_folder(layout, architecture)
    folder = _canonical(folder)
    _check_target(folder, replace)
    machine = nodes.with_free_majors(machine, nodes.registered_majors())
    with _staged(folder) as stage:
        nodes.make(nodes.nodes(machine), stage)
        with compiler.compiler(runner, header.text(machine, folder), stage) as cc:
            userspace.install(cc, stage, machine.driver, library_folder)
        texts = userspace.texts(machine.driver) | kernel.texts(machine, architecture)
        for path, text in texts.items():
            userspace.write(stage, path, text.encode("ascii"))
        userspace.link_all(stage, kernel.links(machine))
        userspace.write(stage, MARK, description.encode(machine))
        for path, _, _ in os.walk(stage):
            os.chmod(path, 0o755)  # noqa: S103  folders of a driver are readable, whatever the umask
        _exchange(stage, folder)


def upgrade(folder: str, driver: str, *, runner: proc.Runner) -> None:
    """Rebuild the simulation in `folder` as after an update to driver version `driver` and a reboot."""
    machine = read(folder)
    cuda = models.cuda_version(models.branch_of(driver))
    newer = msgspec.structs.replace(machine, driver=driver, module=None, cuda=cuda)
    build(newer, folder, runner=runner, layout=_layout_of(folder), replace=True)


def read(folder: str) -> Description:
    """The description of the simulation in `folder`. Raises RefusedError if there is none."""
    try:
        return description.decode(publish.read_capped(os.path.join(folder, MARK), 4 << 20))
    except OSError as error:
        raise RefusedError(
            f"{folder} is not a simulated driver root.", why=f"{MARK}: {error.strerror}", mend="name another folder"
        ) from error


def remove(folder: str) -> None:
    """Remove the simulation in `folder`; refuses anything else."""
    read(folder)
    folder = _canonical(folder)
    try:
        old = _aside(folder)
        os.rename(folder, old)  # never half there
        shutil.rmtree(old)
    except OSError as error:
        raise HostError(f"{folder} cannot be removed.", why=f"{error.filename}: {error.strerror}") from error


def _layout_of(folder: str) -> str:
    machine = os.uname().machine
    for layout in libraries.LAYOUTS:
        if os.path.lexists(os.path.join(folder, libraries.library_folder(layout, machine), "libnvidia-ml.so.1")):
            return layout
    raise RefusedError(f"{folder} has lost its libnvidia-ml.so.1.", mend="build the simulation anew")


def _canonical(folder: str) -> str:
    parent, name = os.path.split(os.path.abspath(folder))
    if not name:
        raise UsageError("The root folder cannot become a simulated driver root.", mend="name a new folder")
    return os.path.join(os.path.realpath(parent), name)


def _check_faults(machine: Description) -> None:
    unknown = sorted(set(machine.faults) - compiler.functions())
    if unknown:
        raise InputError(
            f"The simulated driver has no function {unknown[0]}, so it cannot go wrong.",
            why="faults name functions of NVML or CUDA, such as nvmlInit_v2 or cuInit",
        )


def _check_target(folder: str, replace: bool) -> None:
    if not os.path.lexists(folder):
        return
    if os.path.islink(folder) or not replace:
        raise RefusedError(
            f"{folder} exists already.",
            mend="name a new folder, or replace the simulation that is there with --replace",
        )
    read(folder)


@contextlib.contextmanager
def _staged(folder: str) -> Iterator[str]:
    """A new folder beside `folder`. What killed builds have left there goes first."""
    parent, name = os.path.split(folder)
    publish.make_folder(parent)
    try:
        with _only_builder(parent):
            for left in os.listdir(parent):
                if left.startswith(f".{name}.") and left.endswith(_ASIDE):
                    shutil.rmtree(os.path.join(parent, left))
            stage = _aside(folder)
            try:
                yield stage
            finally:
                if os.path.lexists(stage):
                    shutil.rmtree(stage)
    except OSError as error:
        raise HostError(f"{folder} cannot be built.", why=f"{error.filename}: {error.strerror}") from error


def _aside(folder: str) -> str:
    """A new empty folder beside `folder`, under a name that the next build there removes."""
    parent, name = os.path.split(folder)
    return tempfile.mkdtemp(prefix=f".{name}.", suffix=_ASIDE, dir=parent)


@contextlib.contextmanager
def _only_builder(parent: str) -> Iterator[None]:
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise HostError(f"Another program builds in {parent}.", mend="wait until it has ended") from error
        yield
    finally:
        os.close(fd)


def _exchange(stage: str, folder: str) -> None:
    """Put `stage` in the place of `folder`."""
    if not os.path.lexists(folder):
        os.rename(stage, folder)
        return
    old = _aside(folder)
    os.rename(folder, old)
    try:
        os.rename(stage, folder)
    except OSError:
        os.rename(old, folder)
        raise
    shutil.rmtree(old)
