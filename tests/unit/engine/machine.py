"""A machine's specification on disk, made from a plan whose key fits the machine that runs the tests."""

import json
from collections.abc import Mapping
from pathlib import Path

from gpudock.cdi import codec, project
from gpudock.plan.capabilities import label
from gpudock.plan.document import Plan
from gpudock.refresh.paths import Paths
from gpudock.start import key
from unit.cdi import specs

FOREIGN = {
    "cdiVersion": "0.5.0",
    "kind": "nvidia.com/gpu",
    "devices": [
        {"name": "0", "containerEdits": {"deviceNodes": [{"path": "/dev/null"}]}},
        {"name": "all", "containerEdits": {"deviceNodes": [{"path": "/dev/null"}]}},
    ],
    "containerEdits": {"hooks": [{"hookName": "createContainer", "path": "/bin/sh", "args": ["sh"]}]},
}


def places(folder: Path) -> Paths:
    return Paths(*(str(folder / name) for name in ("state", "run", "cdi", "libexec")))


def own(where: Paths, *, gpus: int = 2, boot_id: str | None = None, extra: tuple[str, ...] = ()) -> Plan:
    """Write a plan and its specification. With another machine's `boot_id` it is stale. `extra`: capabilities."""
    plan = specs.plan(gpus)
    if extra:
        plan["variants"][label(extra)] = plan["variants"]["utility"]
    plan["key"] = {
        "proc": "/proc",
        "sys": "/sys",
        "boot_id": boot_id or key.read_boot_id(),
        "module": "",
        "majors": {},
        "gpus": {},
        "mig_minors": {},
        "files": [],
    }
    path = Path(where.plans) / "0123456789abcdef.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(plan))
    path.chmod(0o644)
    path.parent.chmod(0o755)
    spec = Path(where.spec)
    spec.parent.mkdir(parents=True, exist_ok=True)
    options = project.Options(hook=("/bin/sh", "sh", "--plan", str(path)))
    spec.write_bytes(codec.encode(project.gpus(plan, options), "json"))
    return plan


def foreign(folder: Path, name: str = "nvidia.json", changes: Mapping[str, object] | None = None) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps({**FOREIGN, **(changes or {})}))
    return path
