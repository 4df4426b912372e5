"""`gpudock cdi`: specifications generated, listed, shown, validated and compared."""

import os
import sys

import click

from gpudock.cli.options import HostOptions, host_options

MODES = ("auto", "nvml", "wsl", "management", "imex", "gds", "mofed", "gdrcopy", "nvswitch")


@click.group()
def cdi() -> None:
    """Generate, list, show, validate and compare CDI specifications.

    `gpudock refresh` keeps the specification that engines use. These commands look at it, or make others.
    """


@cdi.command()
@host_options
@click.option(
    "--output", "-o", type=click.Path(), help="File to write; its ending sets the format. Default: standard output."
)
@click.option("--format", "form", type=click.Choice(["yaml", "json"]), help="Default: the file's ending, else yaml.")
@click.option("--mode", "--discovery-mode", type=click.Choice(MODES), default="auto", show_default=True)
@click.option(
    "--device-name-strategy",
    "strategies",
    multiple=True,
    type=click.Choice(["index", "uuid", "type-index"]),
    help="How devices are called; repeatable. Default: index and uuid.",
)
@click.option(
    "--device-id", "--device", "device_ids", multiple=True, help="Only this GPU: index, 0:1, UUID; repeatable."
)
@click.option("--vendor", "--cdi-vendor", default="nvidia.com", show_default=True)
@click.option("--class", "--cdi-class", "device_class", default="gpu", show_default=True)
@click.option("--no-all-device", is_flag=True, help="Do not define the device `all`.")
@click.option(
    "--hook-path", "--nvidia-cdi-hook-path", type=click.Path(), help="Another hook program; gets --plan FILE."
)
def generate(
    host: HostOptions,
    *,
    output: str | None,
    form: str | None,
    mode: str,
    strategies: tuple[str, ...],
    device_ids: tuple[str, ...],
    vendor: str,
    device_class: str,
    no_all_device: bool,
    hook_path: str | None,
) -> None:
    """Generate a specification, by default as YAML on standard output.

    As root it also builds what the specification refers to: driver tree, start plan, hook. Without root (or with
    --snapshot) it is only printed.
    """
    from gpudock.cdi import codec, project
    from gpudock.cli import generation
    from gpudock.cli.output import write

    options = project.Options(
        hook=(),
        vendor=vendor,
        device_class=device_class,
        strategies=strategies or ("index", "uuid"),
        device_ids=device_ids or ("all",),
        all_device=not no_all_device and device_ids != ("none",),
    )
    spec = generation.specification(host, options, mode, hook_path)
    ending = "json" if (output or "").endswith(".json") else "yaml"
    data = codec.encode(spec, "json" if (form or ending) == "json" else "yaml")
    write(output or "-", data)


@cdi.command("list")
@click.option(
    "--spec-dir", "folders", multiple=True, help="Folder to look in; repeatable. Default: /etc/cdi, /var/run/cdi."
)
def list_devices(folders: tuple[str, ...]) -> None:
    """List the devices that engines find, by their full names."""
    from gpudock.cdi import store

    count = 0
    for spec in store.found(folders or _folders()):
        if spec.error:
            print(f"gpudock: {spec.path}: {spec.error}", file=sys.stderr)
        for name in spec.devices():
            print(f"{spec.kind}={name}")
            count += 1
    if not count:
        print("gpudock: no CDI devices. To make them: sudo gpudock refresh", file=sys.stderr)


@cdi.command()
@click.argument("name", required=False)
@click.option("--spec-dir", "folders", multiple=True, help="Folder to look in; repeatable.")
def show(name: str | None, folders: tuple[str, ...]) -> None:
    """Show a specification as YAML: a file, a device (nvidia.com/gpu=0), or by default gpudock's own."""
    from gpudock.cdi import codec, store
    from gpudock.errors import RefusedError
    from gpudock.refresh.paths import default_paths

    path = name or default_paths().spec
    if "=" not in path:
        sys.stdout.buffer.write(codec.encode(store.load(path), "yaml"))
        return
    kind, _, device = path.partition("=")
    for spec in store.found(folders or _folders()):
        if spec.kind == kind and device in spec.devices():
            entries = spec.document["devices"]
            kept = [entry for entry in entries if isinstance(entry, dict) and entry.get("name") == device]
            shown = codec.encode({**spec.document, "devices": kept}, "yaml")
            sys.stdout.buffer.write(f"# {spec.path}\n".encode(errors="surrogateescape") + shown)
            return
    raise RefusedError(f"No CDI specification defines {path}.", mend="gpudock cdi list")


@cdi.command()
@click.argument("files", nargs=-1)
@host_options
def validate(files: tuple[str, ...], host: HostOptions) -> None:
    """Check specifications: their form, and whether they fit this machine. Default: all that engines read.

    Exit code 5 when something is wrong, 4 when there is none.
    """
    from gpudock.cdi import store
    from gpudock.cdi.validate import problems
    from gpudock.errors import HostError
    from gpudock.refresh.current import outdated

    specs = [store.SpecFile(path, store.load(path)) for path in files] or list(store.found(_folders()))
    if not specs:
        raise HostError("There is no CDI specification.", mend="sudo gpudock refresh")
    loaded = host.load().kernel_driver.version
    wrong = 0
    for spec in specs:
        machine = store.machine(spec.path, driver=loaded if isinstance(loaded, str) else None, folders=_folders())
        found = [spec.error] if spec.error else [*problems(spec.document, machine), *outdated(spec.document)]
        print(f"{spec.path}: {f'wrong ({len(found)})' if found else 'ok'}")
        for problem in found:
            print(f"  {problem}")
        wrong += bool(found)
    sys.exit(5 if wrong else 0)


def _folders() -> tuple[str, ...]:
    """Where engines look, and where gpudock was told to put its own."""
    from gpudock.cdi import store
    from gpudock.refresh.paths import default_paths

    return tuple(dict.fromkeys((*store.FOLDERS, default_paths().cdi)))


@cdi.command()
@host_options
def diff(host: HostOptions) -> None:
    """Show what `gpudock refresh` would change. Exit code 1 when there is a difference."""
    import difflib
    import json

    from gpudock.cdi import codec, store
    from gpudock.cli.generation import previewed

    preview = previewed(host)
    present = os.path.exists(preview.path)
    old = codec.encode(store.load(preview.path), "yaml").decode().splitlines() if present else []
    new = codec.encode(json.loads(preview.spec), "yaml").decode().splitlines()
    lines = list(difflib.unified_diff(old, new, preview.path, "after gpudock refresh", lineterm=""))
    print("\n".join(lines) if lines else f"{preview.path} is up to date")
    sys.exit(1 if lines else 0)
