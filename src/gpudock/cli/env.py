"""`gpudock env VERB`: environments. The everyday verbs are at the top level too."""

from gpudock.cli.verb import Verbs

LOCK = ("env_lock", "lock", "Settle base, packages and CUDA in gpudock.lock; check it.")
BUILD = ("env_build", "build", "Build the image of gpudock.lock.")

env = Verbs(
    """Environments: one file in a folder, gpudock.yaml, one command to a running notebook with the right CUDA.

    \b
    gpudock init && gpudock up
    """,
    {
        "lock": LOCK,
        "build": BUILD,
        "schema": ("env_schema", "schema", "Print the JSON Schema of gpudock.yaml, for editors."),
    },
)
