"""What the client of a container engine sees: the machine's files and its caller's environment."""

import os
from collections.abc import Mapping
from typing import NamedTuple

from gpudock.host.root import Root


class Surroundings(NamedTuple):
    machine: Root
    proc: Root
    environment: Mapping[str, str]
    rootless: bool  # the caller is not root

    def config_home(self) -> str:
        """The caller's ~/.config."""
        given = self.environment.get("XDG_CONFIG_HOME", "")
        return given if given.startswith("/") else os.path.join(self.environment.get("HOME", "/"), ".config")


def of_caller(machine: Root, proc: Root) -> Surroundings:
    return Surroundings(machine, proc, os.environ, os.geteuid() != 0)
