"""Why containers would be refused with a specification of ours. Whole ones are made in test_cycle."""

from pathlib import Path

from gpudock.refresh.current import outdated


def test_a_hook_that_is_gone_is_told(tmp_path: Path) -> None:
    """The engine itself only says that Python cannot open a file."""
    script, plan = tmp_path / "hook.py", tmp_path / "plan.json"
    hook = {"path": "/usr/bin/python3", "args": ["python3", "-I", str(script), "--plan", str(plan)]}
    document: dict[str, object] = {"containerEdits": {"hooks": [{"args": 5}, hook]}}
    assert outdated(document) == [f"{script}, which prepares containers, is gone: sudo gpudock refresh"]
    script.touch()
    (said,) = outdated(document)
    assert said.startswith(f"{plan}: ")
    assert outdated({"containerEdits": {"hooks": [{"path": "/x", "args": ["x", str(script)]}]}}) == []
