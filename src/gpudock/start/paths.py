"""Paths as text. `os.path` would do it, but importing that takes a tenth of a container's start: see launch.py."""


def join(folder: str, path: str) -> str:
    """`path` as it is meant in `folder`."""
    return path if path.startswith("/") else f"{folder}/{path}"


def normal(path: str) -> str:
    """Without `.`, `..` and slashes that mean nothing; from the root."""
    parts: "list[str]" = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in {"", "."}:
            parts.append(part)
    return "/" + "/".join(parts)


def encoded(path: str) -> bytes:
    """As the kernel gets it. Raises UnicodeEncodeError for half of a surrogate pair."""
    return path.encode("utf-8", "surrogateescape")


def decoded(path: bytes) -> str:
    """The other way."""
    return path.decode("utf-8", "surrogateescape")
