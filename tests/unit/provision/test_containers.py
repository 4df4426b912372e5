"""Which containers the doctor looks at."""

from typing import Any

from gpudock.engine.containers import Container, Limits
from gpudock.provision.probe.containers import LOOKED_AT, chosen


def container(name: str, **changed: Any) -> Container:
    values: dict[str, Any] = dict.fromkeys(Container._fields, "")
    values |= {"name": name, "state": "exited", "labels": {}, "environment": {}, "devices": (), "mounts": ()}
    return Container(**(values | {"gpu_request": False, "privileged": False, "limits": Limits()} | changed))


def test_those_with_gpus_and_what_has_run_long_before_what_was_tried_since() -> None:
    tried = [container(f"tried-{number}", gpu_request=True) for number in range(LOOKED_AT + 10)]
    found = chosen([*tried, container("other", state="running"), container("train", state="running", gpu_request=True)])
    assert [each.name for each in found[:2]] == ["train", "tried-0"]
    assert len(found) == LOOKED_AT
