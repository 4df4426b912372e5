"""[runtime] of gpudock's own configuration file: what the runtime accepts of containers."""

import os
from collections.abc import Mapping

from gpudock.engine.configure import change, toml_text
from gpudock.errors import RefusedError
from gpudock.host.root import Root
from gpudock.refresh import settings


def plan(machine: Root, config: str, wanted: Mapping[str, object]) -> change.FileChange | None:
    """The change that makes these keys so; None when they are. Raises InputError for keys and values that are none."""
    if not wanted:
        return None
    if os.geteuid() != 0:
        raise RefusedError(
            f"Only root changes {config}: it says what containers may ask for.",
            why=f"asked was for {', '.join(wanted)}",
            mend="run it with sudo, or leave those options out",
        )
    file = change.read(machine, config)
    after = toml_text.edited(file.data, config, {(settings.TABLE, key): value for key, value in wanted.items()})
    settings.check(toml_text.plain(toml_text.parse(after, config)).get(settings.TABLE), config)
    return change.FileChange(file, after) if after != (file.data or b"") else None
