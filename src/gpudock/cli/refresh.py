"""`gpudock refresh`: driver tree, plan and CDI specification for the machine as it is now."""

from typing import TYPE_CHECKING

from gpudock.cli.options import HOST, HostOptions, on_host
from gpudock.cli.terminal import say, show
from gpudock.cli.verb import Option, Verb

if TYPE_CHECKING:
    from gpudock.refresh.cycle import Outcome, Preview
    from gpudock.refresh.making import Settings
    from gpudock.refresh.paths import Paths


OPTIONS = (
    *HOST,
    Option(("--capabilities",), "wanted", "Also build the driver with just these.", default=(), metavar="A,B"),
    Option(("--way",), "way", "Place new trees' files so only.", choices=("link", "reflink", "bind", "copy")),
    Option(
        ("--library-links",),
        "library_links",
        "Also link into each image's library folder.",
        off="--no-library-links",
    ),
    Option(
        ("--adopt",),
        "adopt",
        "Take over from NVIDIA's toolkit: set its specification and units aside.",
        default=False,
    ),
    Option(("--undo",), "undo", "Give back what --adopt took over, and nothing else.", default=False),
    Option(
        ("--install-units",),
        "install_units",
        "Refresh at boot and on driver changes, by systemd and udev.",
        default=False,
    ),
    Option(("--remove-units",), "remove_units", "Take those units away again, and nothing else.", default=False),
    Option(("--dry-run",), "dry_run", "Say what would be done; change nothing.", default=False),
    Option(("-q", "--quiet"), "quiet", "Say nothing when all is well.", default=False),
)


def _refresh(
    host: HostOptions,
    *,
    wanted: tuple[str, ...],
    way: str | None,
    library_links: bool | None,
    quiet: bool,
    **actions: bool,
) -> int:
    """Make driver tree and CDI specification fit the machine as it is now.

    Run it as root after installing gpudock, at each boot and after each driver upgrade (--install-units does the last
    two by itself). It reads the machine, builds the driver tree that containers mount, installs the code that runs at
    container start in a folder of root's, and switches the CDI specification over in one step. Running it again
    changes nothing. Roots and --library-links of the time before hold until others are given.

    When NVIDIA's toolkit has written a specification for the same devices, engines go on using that one and gpudock's
    own is for its runtime alone, unless --adopt is given. Without a usable driver or GPU the exit code is 4 and
    gpudock's own specification is removed.
    """
    from gpudock.cli.earlier import before
    from gpudock.plan import capabilities
    from gpudock.refresh import making, paths, place

    where = paths.default_paths()
    _check(host, actions)
    code = 0
    if actions["undo"] or actions["remove_units"]:
        lines = _taken_back(where, undo=actions["undo"])
    else:
        last = before(host, where)
        settings = making.Settings(
            wanted=tuple(capabilities.parse(names) for names in wanted),
            ways=tuple(known for known in place.WAYS if way in {None, known}),
            library_links=last.library_links if library_links is None else library_links,
        )
        if actions["dry_run"]:
            lines = _preview_lines(_previewed(last.host, where, settings))
        else:
            lines, code = _refreshed(last.host, where, settings, actions)
    if not quiet:
        show("\n".join(lines))
    return code


refresh = Verb(on_host(_refresh), OPTIONS)


def _check(host: HostOptions, actions: dict[str, bool]) -> None:
    from gpudock.errors import UsageError

    alone = [name for name in ("undo", "remove_units", "dry_run") if actions[name]]
    if alone and sum(actions.values()) > 1:
        raise UsageError(f"--{alone[0].replace('_', '-')} cannot be combined with another action.")
    if host.snapshot and not actions["dry_run"]:
        raise UsageError(
            "A snapshot file is another machine's, or an old state of this one.",
            why="driver tree and specification are made from the machine itself",
            mend="leave --snapshot out, or add --dry-run",
        )


def _taken_back(where: "Paths", *, undo: bool) -> list[str]:
    from gpudock import proc
    from gpudock.refresh import adopt, units

    return adopt.undo(where, proc.run) if undo else units.remove(proc.run)


def _refreshed(
    source: HostOptions, where: "Paths", settings: "Settings", actions: dict[str, bool]
) -> tuple[list[str], int]:
    """Lines to print, and the exit code."""
    from gpudock import proc
    from gpudock.errors import HostError
    from gpudock.host.roots import roots_for
    from gpudock.refresh import cycle, install

    settings = settings._replace(roots=roots_for(*source[:3]))

    done: list[str] = []
    if actions["adopt"]:
        from gpudock.refresh import adopt, making

        snapshot = source.load()
        making.compiled(snapshot, where, settings)  # nobody's specification is set aside for one that cannot be made
        others = cycle.foreign(snapshot)
        done = adopt.adopt([spec.path for spec in others], where, proc.run)
    outcome = cycle.refresh(source.for_refresh, lambda: install.installed(where.libexec, where=where), where, settings)
    for warning in outcome.warnings:
        say(warning)
    done += _outcome_lines(outcome)
    code = 0 if outcome.complete else HostError.exit_code  # the unit then tries again
    if not actions["install_units"]:
        return done, code
    show("\n".join(done))  # it is done, whatever becomes of the units
    from gpudock.refresh import program, units

    installed = program.installed()
    return [*units.install(installed, proc.run), *program.link_for_sudo(installed)], code


def _previewed(host: HostOptions, where: "Paths", settings: "Settings") -> "Preview":
    from gpudock.refresh import cycle, install

    return cycle.preview(host.for_refresh(), install.planned(where.libexec), where, settings)


def _preview_lines(preview: "Preview") -> list[str]:
    for warning in preview.warnings:
        say(warning)
    if preview.foreign:
        return [f"would leave {spec.path} alone: it already defines these devices" for spec in preview.foreign]
    lines = [f"would write {preview.path}" if preview.changed else f"{preview.path} is up to date"]
    for label, variant in preview.plan["variants"].items():
        lines.append(f"  {label}: {len(variant['libraries'])} library names in {variant['folder']}")
    return lines


def _outcome_lines(outcome: "Outcome") -> list[str]:
    from gpudock.plan.quote import count

    for spec in outcome.foreign:
        say(
            f"{spec.path} already defines these devices; engines use it, and it was left alone.\n"
            "  gpudock's own driver tree is for its runtime (--runtime gpudock, docker run --gpus).\n"
            "  To let gpudock take over: sudo gpudock refresh --adopt   (--undo gives it back)"
        )
    removed = [f"removed {path}" for path in outcome.removed]
    plan = outcome.plan
    simulated = "SIMULATED " if plan["simulated"] else ""
    lines = [
        f"{simulated}driver {plan['driver'] or 'of unknown version'}, {count(len(plan['gpus']), 'GPU')}",
        f"{outcome.spec} {'written' if outcome.changed else 'is up to date'}",
    ]
    return lines + removed
