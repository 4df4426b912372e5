"""Where things of gpudock are in a container."""

RUN = "/run/gpudock"  # in memory: never in an image, gone when the container stops
READY = RUN + "/ready"  # the secrets are there
SECRETS = "/run/secrets"  # the same, for the recipe's own
LOGS = "/tmp/gpudock"  # noqa: S108  in the container; every user may write there, and a stopped one keeps it
