"""`gpudock refresh`: driver tree, plan and CDI specification for the machine as it is now."""

import sys
from typing import TYPE_CHECKING

import click

from gpudock.cli.options import HostOptions, host_options

if TYPE_CHECKING:
    from gpudock.refresh.cycle import Outcome, Preview, Settings
    from gpudock.refresh.paths import Paths


@click.command()
@host_options
@click.option("--capabilities", "wanted", multiple=True, metavar="A,B", help="Also build the driver with just these.")
@click.option(
    "--way", type=click.Choice(["link", "reflink", "bind", "copy"]), help="Place driver files in this way only."
)
@click.option("--library-links", is_flag=True, help="Also link libraries into each image's own library folder.")
@click.option("--adopt", is_flag=True, help="Take over from NVIDIA's toolkit: set its specification and units aside.")
@click.option("--undo", is_flag=True, help="Give back what --adopt took over.")
@click.option("--install-units", is_flag=True, help="Refresh at boot and on driver changes, by systemd and udev.")
@click.option("--dry-run", is_flag=True, help="Say what would be done; change nothing.")
@click.option("-q", "--quiet", is_flag=True, help="Say nothing when all is well.")
def refresh(
    host: HostOptions,
    *,
    wanted: tuple[str, ...],
    way: str | None,
    library_links: bool,
    adopt: bool,
    undo: bool,
    install_units: bool,
    dry_run: bool,
    quiet: bool,
) -> None:
    """Make driver tree and CDI specification fit the machine as it is now.

    Run it as root after installing gpudock and after each driver upgrade (--install-units does that by itself). It
    reads the machine, builds the driver tree that containers mount, installs the code that runs at container start in
    a folder of root's, and switches the CDI specification over in one step. Running it again changes nothing.

    When NVIDIA's toolkit has written a specification for the same devices, that one is left alone and used, unless
    --adopt is given. Without a usable driver or GPU the exit code is 4 and gpudock's own specification is removed.
    """
    from gpudock import proc
    from gpudock.plan import capabilities
    from gpudock.refresh import adopt as adoption
    from gpudock.refresh import cycle, install, paths, place, program, units

    where = paths.default_paths()
    settings = cycle.Settings(
        wanted=tuple(capabilities.parse(names) for names in wanted),
        ways=tuple(known for known in place.WAYS if way in {None, known}),
        library_links=library_links,
    )
    done: list[str] = []
    if undo:
        done = adoption.undo(where, proc.run)
    elif dry_run:
        done = _preview_lines(_previewed(host, where, settings))
    else:
        _refuse_snapshot(host)
        if adopt:
            others = cycle.foreign(host.load())
            done = adoption.adopt([spec.path for spec in others], where, proc.run)
        outcome = cycle.refresh(host.for_refresh, lambda: install.installed(where.libexec), where, settings)
        done += _outcome_lines(outcome)
        if install_units:
            done += units.install(program.installed(), proc.run)
    if not quiet:
        print("\n".join(done))


def _refuse_snapshot(host: HostOptions) -> None:
    from gpudock.errors import UsageError

    if host.snapshot:
        raise UsageError(
            "A snapshot file is another machine's, or an old state of this one.",
            why="driver tree and specification are made from the machine itself",
            mend="leave --snapshot out, or add --dry-run",
        )


def _previewed(host: HostOptions, where: "Paths", settings: "Settings") -> "Preview":
    from gpudock.refresh import cycle, install

    return cycle.preview(host.for_refresh(), install.planned(where.libexec), where, settings)


def _preview_lines(preview: "Preview") -> list[str]:
    if preview.foreign:
        return [f"would leave {spec.path} alone: it already defines these devices" for spec in preview.foreign]
    lines = [f"would write {preview.path}" if preview.changed else f"{preview.path} is up to date"]
    for label, variant in preview.plan["variants"].items():
        lines.append(f"  {label}: {len(variant['libraries'])} library names in {variant['folder']}")
    return lines


def _outcome_lines(outcome: "Outcome") -> list[str]:
    for spec in outcome.foreign:
        print(
            f"gpudock: {spec.path} already defines these devices; it was left alone and is used.\n"
            "  To let gpudock take over: sudo gpudock refresh --adopt   (--undo gives it back)",
            file=sys.stderr,
        )
    removed = [f"removed {path}" for path in outcome.removed]
    if outcome.spec is None:
        return removed
    plan = outcome.plan
    simulated = "SIMULATED " if plan["simulated"] else ""
    lines = [
        f"{simulated}driver {plan['driver'] or 'of unknown version'}, {len(plan['gpus'])} GPUs",
        f"{outcome.spec} {'written' if outcome.changed else 'is up to date'}",
    ]
    return lines + removed
