"""A lock for tests."""

from gpudock.env.image.lock import Base, Lock, Package

HASH = "0123456789abcdef" * 4
LOCK = Lock(
    format=1,
    recipe=HASH,
    base=Base(name="debian:12", image=HASH, digest=f"sha256:{HASH}"),
    architecture="x86_64",
    python="3.11.2",
    cuda="12.8",
    driver="525.60.13",
    architectures=("8.0", "9.0", "12.0+PTX"),
    system_packages=(Package(name="libc6:i386", version="2.36-9+deb12u9", sha256=HASH),),
    python_packages=(
        Package(name="six", version="1.17.0", sha256=HASH),
        Package(name="own", version="1", sha256=HASH, url="https://example.org/own-1.tar.gz"),
    ),
)
