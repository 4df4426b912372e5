"""What was read of a machine: frozen values without behaviour. Import the modules; this package re-exports nothing."""

import sys

# Where typing_extensions is installed (starlette and textual want it) msgspec imports it, which takes twice as long as
# msgspec itself and gives nothing that typing has not had since Python 3.11. Who is in a hurry imports facts first.
if "typing_extensions" not in sys.modules:
    sys.modules["typing_extensions"] = None  # type: ignore[assignment]
    import msgspec  # noqa: F401

    del sys.modules["typing_extensions"]
