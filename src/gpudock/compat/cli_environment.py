"""What the variables and the configuration say to `nvidia-docker`: NV_DOCKER, NV_GPU, and which nvidia-docker to be."""

import os
import re
from collections.abc import Mapping
from typing import Any

from gpudock.errors import InputError, UsageError
from gpudock.plan.quote import quote
from gpudock.refresh.paths import CONFIG

MODE = "GPUDOCK_NVIDIA_DOCKER"
TABLE = "nvidia_docker"
DEFAULT_MODE = 2


def mode(environment: Mapping[str, str], config: str = CONFIG) -> int:
    """1 or 2: whose behaviour is wanted. The variable wins over the file. Raises UsageError and InputError."""
    text = environment.get(MODE, "")
    if text:
        if text not in {"1", "2"}:
            raise UsageError(f"{MODE}={quote(text)} is not a mode of nvidia-docker.", mend=f"set {MODE} to 1 or 2")
        return int(text)
    return _configured(config) if os.path.exists(config) else DEFAULT_MODE


def _configured(config: str) -> int:
    import tomllib  # noqa: PLC0415  start-up time: most machines have no such file

    try:
        with open(config, "rb") as file:
            table: Any = tomllib.load(file).get(TABLE, {})
    except (OSError, ValueError, RecursionError) as error:  # ValueError: no TOML, or no UTF-8
        raise InputError(f"{config} cannot be read.", why=str(error), mend="mend or remove the file") from error
    if not isinstance(table, dict):
        raise InputError(f"{config}: {TABLE} must be a table.", mend=f"write [{TABLE}] on a line of its own")
    unknown = next((key for key in table if key != "mode"), None)
    if unknown is not None:  # a mistyped key would be the other mode, silently
        raise InputError(f"{config}: [{TABLE}] has only mode, not {quote(unknown)}.", mend="mend or remove that line")
    found = table.get("mode", DEFAULT_MODE)
    if isinstance(found, bool) or found not in (1, 2):
        raise InputError(f"{config}: [{TABLE}] mode must be 1 or 2, not {quote(str(found))}.")
    return int(found)


def docker(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The words that every docker command begins with: NV_DOCKER's, without any quoting, or `docker`."""
    return tuple(environment.get("NV_DOCKER", "").split()) or ("docker",)


def gpus(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The devices of NV_GPU, whatever blanks and commas stand between them."""
    return tuple(filter(None, re.split(r"[\s,]+", environment.get("NV_GPU", ""))))
