"""Somebody else's text inside our messages: an image's variables may hold kilobytes, newlines or terminal escapes."""


def quote(text: str, limit: int = 60) -> str:
    """The text on one line of at most `limit` + 3 characters; as it is when it is plain, else escaped."""
    plain = text and text.isprintable() and not text.endswith((":", ","))  # which would seem to be the sentence's
    shown = text if plain else repr(text[:limit])
    return shown if len(shown) <= limit else shown[:limit] + "..."


def count(number: int, what: str) -> str:
    """ "1 GPU", "2 GPUs"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
