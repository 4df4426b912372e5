"""The two words that every fact is made of."""

import msgspec


class Fact(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """Base of all facts: immutable, and strict when decoded, so that a wrong snapshot is refused and not half read."""


class Missing(Fact, frozen=True, kw_only=False, tag_field="is", tag="missing"):
    """A reading that could not be taken. Never a guess, never zero."""

    reason: str  # one phrase
