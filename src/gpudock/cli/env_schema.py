"""`gpudock env schema`: the JSON Schema of gpudock.yaml."""

import json

from gpudock.cli.terminal import show
from gpudock.cli.verb import Verb


def _schema() -> None:
    """Print the JSON Schema of gpudock.yaml, by which editors complete and check it.

    gpudock init puts it beside the file, in .gpudock/schema.json, and names it in the first line.
    """
    from gpudock.env.recipe import schema as made

    show(json.dumps(made(), indent=2))


schema = Verb(_schema, ())
