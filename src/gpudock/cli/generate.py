"""`gpudock cdi generate`: a specification of this machine's GPUs, or of what it has beside them."""

from gpudock.cli.options import HOST, HostOptions, on_host
from gpudock.cli.verb import Option, Verb
from gpudock.errors import UsageError
from gpudock.plan.quote import quote

BESIDE = ("imex", "gds", "mofed", "gdrcopy", "nvswitch")  # what a machine has beside its GPUs
MODES = ("auto", "nvml", "wsl", "management", *BESIDE)
OPTIONS = (
    *HOST,
    Option(
        ("--output", "-o"),
        "output",
        "File to write; its ending sets the format. Default: standard output.",
        metavar="PATH",
    ),
    Option(("--format",), "form", "Default: the file's ending, else yaml.", choices=("yaml", "json")),
    Option(
        ("--mode", "--discovery-mode"),
        "mode",
        "The GPUs: auto, nvml, wsl. All nodes in one device: management. What there is beside GPUs: "
        "imex, gds, mofed, gdrcopy, nvswitch. Default: auto.",
        default="auto",
        metavar="MODE",
        choices=MODES,
    ),
    Option(
        ("--device-name-strategy",),
        "strategies",
        "How devices are called; repeatable. Default: index and uuid.",
        default=(),
        choices=("index", "uuid", "type-index"),
    ),
    Option(
        ("--device-id", "--device-ids", "--device", "--devices"),
        "device_ids",
        "Only these GPUs, such as 0,0:1,GPU-8f3c; repeatable. Default: all.",
        default=(),
    ),
    Option(
        ("--vendor", "--cdi-vendor"),
        "vendor",
        "The devices' kind, before the slash.  [default: nvidia.com]",
        default="nvidia.com",
    ),
    Option(("--class", "--cdi-class"), "device_class", "Their kind, after the slash.  [default: gpu]", default="gpu"),
    Option(("--no-all-device",), "no_all_device", "Do not define the device `all`.", default=False),
    Option(
        ("--hook-path", "--nvidia-cdi-hook-path"),
        "hook_path",
        "Another hook program; gets --plan FILE.",
        metavar="PATH",
    ),
)


def _generate(
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
    if hook_path and not hook_path.startswith("/"):
        raise UsageError(
            f"--hook-path {quote(hook_path)} is no absolute path.", why="engines start hooks by their path"
        )
    taken = host.begin()  # the driver answers while the rest is imported

    from gpudock.cdi import codec, project
    from gpudock.cli import generation
    from gpudock.cli.output import write

    options = project.Options(
        hook=(),
        vendor=vendor,
        device_class=device_class,
        strategies=strategies or ("index", "uuid"),
        device_ids=device_ids or ("all",),
        all_device=not no_all_device,
    )
    if mode in BESIDE:
        spec = generation.beside(taken(), options, mode)
    else:
        spec = generation.specification(taken, options, mode, hook_path, print_only=bool(host.snapshot))
    ending = "json" if (output or "").endswith(".json") else "yaml"
    data = codec.encode(spec, "json" if (form or ending) == "json" else "yaml")
    write(output or "-", data)


generate = Verb(on_host(_generate), OPTIONS)
