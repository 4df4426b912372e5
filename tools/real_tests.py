"""Runs tests/real as two sessions side by side where there are two processors, else as one: `make real`.

One has the machine as it is. The other one, beside it, has a /tmp, /run, /etc and /dev of its own, so that neither sees
what the other one writes there. Each looks at what it has left; here follows what both share, when both have ended.
"""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from real.harness import leftovers, turn

_ROOT = Path(__file__).resolve().parent.parent
_PREFIX = "gpudock-parts-"
_PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=15", "--durations-min=5")
# Files that run beside all others: about half of the time. None that makes networks of Podman (/var/lib/cni is shared)
# or loop devices (which come up in the machine's /dev alone).
_BESIDE = (
    "test_attribution",
    "test_build",
    "test_configure",
    "test_containers",
    "test_docker_settings",
    "test_doctor",
    "test_driver_upgrade",
    "test_hook_attacks",
    "test_hook_covered",
    "test_hook_devices",
    "test_hook_driver",
    "test_hook_engines",
    "test_hook_images",
    "test_hook_process",
    "test_nvidia_docker_cli",
    "test_nvidia_docker_plugin",
    "test_page",
    "test_real_driver",
    "test_runtime",
    "test_runtime_attacks",
    "test_runtime_oracles",
    "test_runtime_storm",
    "test_runtime_ways",
)
_CACHE = Path("/var/lib/containers")  # of what Podman knows of images: each session has its own
# $1: a folder for it all, $2: this checkout. /tmp comes last: both may lie in there.
_OF_ITS_OWN = f"""set -e
mkdir "$1/dev" && mount -t tmpfs -o mode=755 tmpfs "$1/dev"
for each in /dev/*; do
    if [ -d "$each" ] && [ ! -L "$each" ]; then mkdir "$1$each" && mount --rbind "$each" "$1$each"
    else cp -a "$each" "$1$each"; fi
done
mount --rbind "$1/dev" /dev
cp -ax /etc "$1/etc"
cp -ax /run "$1/run" 2>/dev/null || [ -d "$1/run" ] # where things come and go meanwhile
for each in etc run; do mount --bind "$1/$each" "/$each"; done
mkdir "$1/containers" && mount --bind "$1/containers" {_CACHE}
mkdir -m 1777 "$1/tmp"
case "$2" in /tmp/*) mkdir -p "$1$2" && mount --bind "$2" "$1$2" ;; esac
mount --rbind "$1/tmp" /tmp
cd "$2" && shift 2
exec "$@"
"""


@dataclass
class Part:
    name: str
    log: Path
    process: "subprocess.Popen[bytes]"
    started: float = field(default_factory=time.monotonic)
    seconds: float = 0

    def done(self) -> bool:
        if self.process.poll() is not None and not self.seconds:
            self.seconds = time.monotonic() - self.started
        return bool(self.seconds)

    def progress(self) -> str:
        percents = re.findall(r"\[ *(\d+%)\]", self.text())
        return f"{self.name}: {percents[-1] if percents else 'begun'}"

    def text(self) -> str:
        return self.log.read_text(errors="replace")

    def verdict(self) -> str:
        code = self.process.returncode
        how = "passed" if code == 0 else f"ended by signal {-code}" if code < 0 else f"failed with {code}"
        return f"tests/real, the part {self.name}: {how} after {self.seconds:.0f} s"


def beside(folder: Path) -> list[str]:
    """A command that runs the one after it with folders of its own."""
    return ["unshare", "--mount", "--propagation", "private", "sh", "-c", _OF_ITS_OWN, "sh", str(folder), str(_ROOT)]


def start(name: str, folder: Path, argv: Sequence[str], **variables: str) -> Part:
    # Ctrl-C reaches this program, which hands it on once; a part whose starter was killed ends, too.
    argv = ["setpriv", "--pdeathsig", "INT", *argv]
    env = os.environ | {"GPUDOCK_TESTS_PART": str(folder)} | variables
    log = folder / f"{name}.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            argv, env=env, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
        )
    return Part(name, log, process)


def wait(parts: Sequence[Part]) -> None:
    said = time.monotonic()
    while [part for part in parts if not part.done()]:
        time.sleep(0.5)
        if time.monotonic() - said > 60:
            said = time.monotonic()
            print(", ".join(part.progress() for part in parts), flush=True)


def run(parts: Sequence[Part]) -> int:
    """The exit code. What a part says comes when all have ended, and last what is to be read."""
    interrupted = False
    while True:
        try:
            wait(parts)
            break
        except KeyboardInterrupt:
            interrupted = True
            print("both parts are told to end", flush=True)
            for part in parts:
                if not part.done():
                    part.process.send_signal(signal.SIGINT)  # not to what it runs: it ends that in order
    in_order = sorted(parts, key=lambda part: part.process.returncode != 0)
    for part in in_order:
        print(f"\n===== the part {part.name}\n{part.text()}", flush=True)
    for part in in_order:
        print(part.verdict())
    if interrupted:
        return 130
    return 0 if all(part.process.returncode == 0 for part in parts) else 1


def side_by_side() -> int:
    temporary = Path(tempfile.gettempdir())
    with turn.taken(print):
        for stale in temporary.glob(_PREFIX + "*"):
            leftovers.clear_part(stale)
        leftovers.clear_stale(temporary)
        folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
        traces = leftovers.EngineTraces()
        before = leftovers.Machine.snapshot(folder)
        _CACHE.mkdir(exist_ok=True)  # something to mount on
        try:
            files = [f"tests/real/{name}.py" for name in _BESIDE]
            others = ("tests/real", *(f"--ignore={file}" for file in files))
            code = run(
                [
                    start("beside", folder, [*beside(folder), *_PYTEST, *files], TMPDIR="/tmp"),
                    start("here", folder, [*_PYTEST, *others]),
                ]
            )
        finally:
            leftovers.clear_stale(temporary)
            leftovers.clear_part(folder)
            traces.remove()
        for difference in leftovers.settled_differences(before, folder):
            print(f"the tests left the machine changed: {difference}")
            code = code or 1
    return code


def why_not_side_by_side() -> str:
    """Empty where it can be done."""
    if len(os.sched_getaffinity(0)) < 2:
        return "there is one processor"
    if os.geteuid() != 0:
        return "this needs root"
    with tempfile.TemporaryDirectory(prefix="gpudock-try-") as folder:
        made = not _CACHE.exists()
        _CACHE.mkdir(exist_ok=True)
        tried = subprocess.run([*beside(Path(folder)), "true"], capture_output=True, text=True, check=False)
        if made:
            _CACHE.rmdir()
    return tried.stderr.strip()[-500:] if tried.returncode else ""


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    reason = why_not_side_by_side()
    if reason:
        print(f"tests/real runs as one session: {reason}", flush=True)
        os.execv(sys.executable, [*_PYTEST, "tests/real"])
    return side_by_side()


if __name__ == "__main__":
    sys.exit(main())
