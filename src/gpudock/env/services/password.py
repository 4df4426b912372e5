"""Passwords in the forms that Jupyter reads, and tokens."""

import hashlib
import secrets

TOKEN_BYTES = 24  # as many as Jupyter takes itself
_SALT_BYTES = 6


def token() -> str:
    return secrets.token_hex(TOKEN_BYTES)


def argon2(password: str) -> str:
    """argon2:$argon2id$..., with the parameters of jupyter_server and notebook 6.1 and newer."""
    from argon2 import PasswordHasher  # noqa: PLC0415  start-up time

    return "argon2:" + PasswordHasher(memory_cost=10240, time_cost=10, parallelism=8).hash(password)


def sha1(password: str) -> str:
    """sha1:SALT:DIGEST, which notebooks before 6.1 understand alone. Weak: whoever reads it can try many passwords."""
    salt = secrets.token_hex(_SALT_BYTES)
    return f"sha1:{salt}:{hashlib.sha1(password.encode() + salt.encode()).hexdigest()}"  # noqa: S324  Jupyter's form
