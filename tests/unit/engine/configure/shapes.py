"""Configuration files as people have them, and the runtime that is added to them."""

from pathlib import Path

from gpudock.engine.configure.wish import Wish

FOLDER = Path(__file__).parents[3] / "data/configure"
PROGRAM = "/usr/libexec/gpudock/current/gpudock-runtime"
WISH = Wish(PROGRAM)
DAEMON = sorted((FOLDER / "daemon").iterdir())
CONTAINERD = [
    FOLDER / "containerd" / f"{name}.toml" for name in ("kubernetes-2", "nvidia-toolkit-2", "oldest", "empty")
]


def name(path: Path) -> str:
    return path.stem
