"""Where things of gpudock are in a container."""

RUN = "/run/gpudock"  # in memory: never in an image, gone when the container stops
READY = RUN + "/services"  # what the container runs; put there after the secrets
SECRETS = "/run/secrets"  # the same, for the recipe's own
CODE_EXTENSIONS = "/opt/code-server-extensions"  # of the image
LOGS = "/tmp/gpudock"  # noqa: S108  in the container; every user may write there, and a stopped one keeps it
