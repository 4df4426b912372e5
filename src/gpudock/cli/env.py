"""`gpudock env VERB`: environments. The everyday verbs are at the top level too."""

from gpudock.cli.verb import Verbs

INIT = ("env_init", "init", "Write a first, commented gpudock.yaml.")
LOCK = ("env_lock", "lock", "Settle base, packages and CUDA in gpudock.lock; check it.")
BUILD = ("env_build", "build", "Build the image of gpudock.lock.")

env = Verbs(
    """Environments: one file in a folder, gpudock.yaml, one command to a running notebook with the right CUDA.

    \b
    gpudock init && gpudock up
    """,
    {
        "init": INIT,
        "lock": LOCK,
        "build": BUILD,
        "images": ("env_images", "images", "List images of environments, and what uses them."),
        "rmi": ("env_images", "rmi", "Remove an image that nothing uses."),
        "eject": ("env_eject", "eject", "Write Dockerfile, compose file or dev container."),
        "schema": ("env_schema", "schema", "Print the JSON Schema of gpudock.yaml, for editors."),
    },
)
