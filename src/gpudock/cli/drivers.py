"""`gpudock drivers`: NVIDIA's drivers that this machine could install."""

import sys
from typing import TYPE_CHECKING

import click

from gpudock.cli.by_click import host_options
from gpudock.cli.options import HostOptions

if TYPE_CHECKING:
    from gpudock.provision.install.drivers import Listing

HEAD = ("VERSION", "PACKAGE", "FROM", "CUDA", "SUITS", "LIFE")


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
@host_options
def drivers(host: HostOptions, *, as_json: bool) -> None:
    """List NVIDIA's drivers that this machine could install, with the CUDA that each runs, and which suit its GPUs.

    Asks apt, ubuntu-drivers and dnf, whichever are here, for what they know now (after apt-get update). The GPUs are
    told by their PCI numbers, so no driver is needed for it. To install one: gpudock install --driver.
    """
    from datetime import UTC, datetime

    from gpudock import proc
    from gpudock.provision.install import drivers as known
    from gpudock.provision.install import versions

    taken = host.load(announce=True)
    found = versions.of_drivers(proc.run) if host == HostOptions() else ()
    listing = known.listing(taken, found, datetime.now(UTC).strftime("%Y-%m"))
    if as_json:
        import msgspec

        plain = {**listing._asdict(), "rows": [each._asdict() for each in listing.rows]}
        sys.stdout.buffer.write(msgspec.json.format(msgspec.json.encode(plain), indent=2) + b"\n")
        return
    from gpudock.cli.terminal import show

    show(rendered(listing))


def rendered(listing: "Listing") -> str:
    from gpudock.provision.install import branches

    rows = [HEAD, *(tuple(each) for each in listing.rows)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(
        [
            f"GPUs: {', '.join(listing.generations) or 'none'}: {listing.advice}",
            f"loaded: {listing.loaded or 'no driver'}",
            "",
            *table,
            "",
            f"CUDA: the newest with all features ({branches.CUDA_SOURCE}).",
            f"Life: as of {branches.AS_OF} ({branches.LIFE_SOURCE}).",
        ]
    )
