"""`gpudock simulate`: folders that stand for a machine with GPUs."""

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from gpudock.testing.simulate.machine import Description


@click.group()
def simulate() -> None:
    """Make simulated GPUs, for laptops, CI and tests.

    A simulated machine is a folder with a driver, device nodes and what the kernel says of them. Name it with
    --simulated FOLDER (refresh, cdi, host). Containers then see its GPUs through the same steps as real ones; nothing
    computes. Every output says SIMULATED. Needs root, for the device nodes, and a C compiler.

    \b
    sudo gpudock simulate make /var/lib/gpudock-simulated --gpus 2 --model H200
    sudo gpudock refresh --simulated /var/lib/gpudock-simulated
    sudo gpudock run --gpus 1 debian nvidia-smi -L
    """


@simulate.command()
@click.argument("folder", type=click.Path())
@click.option("--gpus", default=2, show_default=True, type=click.IntRange(0, 32), help="How many GPUs.")
@click.option("--model", default="H200", show_default=True, help="K80, T4, A100, H100, H200 or B200.")
@click.option("--driver", default="580.159.04", show_default=True, help="Driver version.")
@click.option("--mig", multiple=True, metavar="PROFILES", help="MIG layout of each GPU in turn: 3g.71gb,1g.18gb.")
@click.option("--description", type=click.Path(), help="JSON file instead of the options above: see `describe`.")
@click.option("--layout", default="debian", show_default=True, help="Where libraries go: debian or fedora.")
@click.option("--replace", is_flag=True, help="Replace the simulation in FOLDER.")
def make(
    folder: str,
    *,
    gpus: int,
    model: str,
    driver: str,
    mig: tuple[str, ...],
    description: str | None,
    layout: str,
    replace: bool,
) -> None:
    """Make a simulated machine in FOLDER."""
    from gpudock import proc
    from gpudock.cli.terminal import show
    from gpudock.plan.quote import count
    from gpudock.testing.simulate import build

    machine = _described(description) if description else _made(gpus, model, driver, mig)
    build.build(machine, folder, runner=proc.run, layout=layout, replace=replace)
    show(f"SIMULATED: {count(len(machine.gpus), 'GPU')}, driver {machine.driver}, in {folder}")
    show(f"Next: sudo gpudock refresh --simulated {folder}")


@simulate.command(short_help="Print the description of a machine, to be edited.")
@click.option("--gpus", default=2, show_default=True, type=click.IntRange(0, 32), help="How many GPUs.")
@click.option("--model", default="H200", show_default=True, help="K80, T4, A100, H100, H200 or B200.")
@click.option("--driver", default="580.159.04", show_default=True, help="Driver version.")
@click.option("--mig", multiple=True, metavar="PROFILES", help="MIG layout of one GPU, in order.")
def describe(*, gpus: int, model: str, driver: str, mig: tuple[str, ...]) -> None:
    """Print the JSON description of a machine, to be edited and given to `make --description`."""
    from gpudock.testing.simulate import description

    print(description.encode(_made(gpus, model, driver, mig)).decode())


@simulate.command(short_help="Give the machine another driver version.")
@click.argument("folder", type=click.Path())
@click.argument("driver")
def upgrade(folder: str, driver: str) -> None:
    """Give the machine in FOLDER another DRIVER version, as after an upgrade and a reboot."""
    from gpudock import proc
    from gpudock.cli.terminal import show
    from gpudock.testing.simulate import build

    build.upgrade(folder, driver, runner=proc.run)
    show(f"SIMULATED: driver {driver} in {folder}")
    show(f"Next: sudo gpudock refresh --simulated {folder}")


@simulate.command()
@click.argument("folder", type=click.Path())
def remove(folder: str) -> None:
    """Remove the simulated machine in FOLDER."""
    from gpudock.cli.terminal import show
    from gpudock.testing.simulate import build

    build.remove(folder)
    show(f"Removed {folder}. If it was in use: sudo gpudock refresh --driver-root /")


def _made(gpus: int, model: str, driver: str, mig: tuple[str, ...]) -> "Description":
    from gpudock.testing.simulate import description

    return description.make(gpus, model, driver, mig)


def _described(path: str) -> "Description":
    from gpudock.errors import InputError
    from gpudock.publish import read_capped
    from gpudock.testing.simulate import description

    try:
        data = read_capped(path, 4 << 20)
    except OSError as error:
        raise InputError(f"{path} cannot be read.", why=error.strerror or str(error)) from error
    return description.decode(data)
