"""What an environment's image and container are called: by its name, and by a key of its user and folder. Pure.

Two users, and two folders, with environments of the same name never meet.
"""

import hashlib
import re
from typing import NamedTuple

RECIPE_FILE = "gpudock.yaml"
LOCK_FILE = "gpudock.lock"
WORKSPACE = "/workspace"  # where the project's folder is in the container
ENTRY = "/usr/local/libexec/gpudock/entry"  # ENTRYPOINT of every image that gpudock makes
SHORTEST_ID = 6  # digits by which an image may be named
_LONGEST = 40  # a host name's part has at most 63 letters


class Names(NamedTuple):
    name: str  # of the environment; the container's host name
    key: str  # 8 hexadecimal digits

    @property
    def container(self) -> str:
        return f"gpudock-{self.name}-{self.key}"

    @property
    def repository(self) -> str:
        return f"gpudock/{self.name}-{self.key}"

    def image(self, lock: str) -> str:
        """`lock`: the lock's whole hash."""
        return f"{self.repository}:{lock[:12]}"


def names(wished: str, *, uid: int, folder: str) -> Names:
    """`wished`: the recipe's name, "" for the folder's. `uid`: the real one. `folder`: absolute, links resolved."""
    return Names(cleaned(wished or folder.rstrip("/").rpartition("/")[2]), key(uid, folder))


def cleaned(text: str) -> str:
    """The text as a host name and an image's name allow it: lower case letters, digits, single hyphens."""
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return words[:_LONGEST].strip("-") or "env"


def key(uid: int, folder: str) -> str:
    return hashlib.sha256(f"{uid}:{folder}".encode(errors="surrogateescape")).hexdigest()[:8]
