import hashlib

import argon2

from gpudock.env.services import password


def test_argon2_is_what_jupyter_verifies() -> None:
    form = password.argon2("sesame")
    kind, _, hashed = form.partition(":")
    assert kind == "argon2"
    assert hashed.startswith("$argon2id$")
    assert argon2.PasswordHasher().verify(hashed, "sesame")


def test_sha1_is_what_old_notebooks_verify() -> None:
    kind, salt, digest = password.sha1("sesame").split(":")
    assert (kind, len(salt)) == ("sha1", 12)
    assert hashlib.sha1(b"sesame" + salt.encode()).hexdigest() == digest


def test_each_is_salted_and_tokens_differ() -> None:
    assert password.sha1("a") != password.sha1("a")
    assert password.argon2("a") != password.argon2("a")
    assert len(password.token()) == 48
    assert password.token() != password.token()
