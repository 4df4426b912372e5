"""`gpudock cdi`: specifications generated, listed, shown, validated and compared."""

from gpudock.cli.verb import Verbs

HELP = """Generate, list, show, validate and compare CDI specifications.

`gpudock refresh` keeps the specification that engines use. These commands look at it, or make others.
"""
cdi = Verbs(
    HELP,
    {
        "diff": ("look", "diff", "Show what gpudock refresh would change."),
        "generate": ("generate", "generate", "Generate a specification."),
        "list": ("look", "list_devices", "List the devices that engines find."),
        "show": ("look", "show_one", "Show a specification, or a device of one, as YAML."),
        "validate": ("look", "validate", "Check whether specifications are right and fit."),
    },
)
