"""What is ready to be loaded: two dashboards for Grafana, and alert rules for Prometheus."""

import os
from collections.abc import Mapping

_FOLDER = os.path.dirname(__file__)
NAMES = ("gpudock-gpus.json", "gpudock-people.json", "gpudock-alerts.yml")


def files() -> Mapping[str, bytes]:
    found = {}
    for name in NAMES:
        with open(os.path.join(_FOLDER, name), "rb") as file:
            found[name] = file.read()
    return found
