"""A plan as cloud-init's user data: AWS user data, Azure custom data, and whatever else reads it. Pure."""

import base64
import gzip
import textwrap

from gpudock.provision.emit import script
from gpudock.provision.install.plan import Plan

FOLDER = "/var/lib/cloud/scripts/per-boot"  # run at each boot, in the last stage: it goes on after a reboot
NAME = "gpudock-install"
LIMITS = (("AWS user data", 16384), ("Azure custom data", 65535))
DONE = "/var/lib/gpudock/install/cloud-init-done"
RUNNER = f"""\
#!/bin/sh
# At each boot until the plan is done: it goes on after the reboots that a driver may need.
[ ! -e {DONE} ] || exit 0
REBOOT=yes sh /usr/local/sbin/{NAME}.sh run || exit
touch {DONE}
"""


def render(plan: Plan) -> str:
    """Begins with #cloud-config. The script is packed, because clouds limit the size."""
    text = script.render(plan)
    lines = [
        "#cloud-config",
        *(f"# {line}" for line in _about(plan)),
        "write_files:",
        f"  - path: /usr/local/sbin/{NAME}.sh",
        "    permissions: '0700'",
        "    encoding: gz+b64",
        f"    content: {_packed(text)}",
        f"  - path: {FOLDER}/{NAME}",
        "    permissions: '0700'",
        "    content: |",
        textwrap.indent(RUNNER.rstrip("\n"), "      "),
    ]
    return "\n".join(lines) + "\n"


def _about(plan: Plan) -> list[str]:
    lines = [
        "Docker and NVIDIA GPUs, by gpudock; what it does is logged in /var/log/cloud-init-output.log.",
        "The script inside is that of: gpudock install ... --emit sh. To read it here:",
        "  sed -n 's/^    content: \\(H4sI.*\\)/\\1/p' THIS-FILE | base64 -d | gunzip",
        f"It is run by {FOLDER} at each boot until it is done, and reboots by itself where a driver needs it.",
    ]
    return [*lines, f"UNVERIFIED: {plan.unverified}: never executed by gpudock's tests."] if plan.unverified else lines


def _packed(text: str) -> str:
    return base64.b64encode(gzip.compress(text.encode(), 9, mtime=0)).decode()


def notes(text: str) -> list[str]:
    size = len(text.encode())
    return [f"{size} bytes: too large for {name}, which takes {limit}" for name, limit in LIMITS if size > limit]
