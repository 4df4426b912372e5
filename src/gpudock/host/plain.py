"""Text of others (driver, engines, package managers) made fit for one line of a terminal and of a snapshot."""


def one_line(text: str, limit: int = 300) -> str:
    """White space folded, control characters replaced, cut to `limit` characters."""
    folded = " ".join(text.split())
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in folded)
    return shown if len(shown) <= limit else shown[: limit - 1] + "\N{HORIZONTAL ELLIPSIS}"
