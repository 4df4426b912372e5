"""What root must not trust: files and folders that belong to somebody else, which only root can make."""

import os
from pathlib import Path

import pytest

from gpudock import proc, publish
from gpudock.errors import RefusedError
from gpudock.refresh import cycle
from gpudock.refresh.adopt import adopt
from gpudock.refresh.making import Settings
from gpudock.refresh.paths import Paths, check
from unit.machines import whole
from unit.refresh.hosts import Host

pytestmark = pytest.mark.real


def test_somebody_elses_mps_folder_gives_nothing(tmp_path: Path) -> None:
    """Whoever owns it can put a link in its place after we have looked."""
    root = whole(tmp_path)
    os.makedirs(root.place("/tmp/nvidia-mps/x"))
    os.chown(f"{root.folder}/tmp/nvidia-mps", 12345, 12345)
    assert "/tmp/nvidia-mps" not in {socket.path for socket in root.files().sockets}
    os.chown(f"{root.folder}/tmp/nvidia-mps", 0, 0)
    assert "/tmp/nvidia-mps" in {socket.path for socket in root.files().sockets}


def test_nothing_moves_into_a_folder_that_others_can_change(tmp_path: Path) -> None:
    own = Paths(*(f"{tmp_path}/{name}" for name in ("state", "run", "cdi", "libexec")))
    spec = tmp_path / "nvidia.yaml"
    spec.write_text("kind: nvidia.com/gpu")
    os.mkdir(own.state, 0o700)
    os.chmod(own.state, 0o777)
    with pytest.raises(RefusedError, match="state"):
        adopt([str(spec)], own, lambda _: proc.Result(0, "", ""))
    assert spec.exists()


def test_nothing_is_written_where_others_can_change_it(tmp_path: Path) -> None:
    host = Host(tmp_path)
    os.mkdir(host.paths.state)
    os.chown(host.paths.state, 12345, -1)
    with pytest.raises(RefusedError, match=host.paths.state):
        cycle.refresh(host.take, host.hook, host.paths, Settings(ways=("link", "copy")))
    assert os.listdir(host.paths.state) == []
    assert not any(os.path.exists(path) for path in (host.paths.run, host.paths.cdi))


class TestCheck:
    @pytest.fixture
    def own(self, tmp_path: Path) -> Paths:
        return Paths(*(f"{tmp_path}/{name}/deep" for name in ("state", "run", "cdi", "libexec")))

    def test_missing_folders_and_roots_own(self, own: Paths) -> None:
        check(own)
        for folder in own:
            os.makedirs(folder)
        check(own)

    @pytest.mark.parametrize("name", Paths._fields)
    @pytest.mark.parametrize("owner", [(12345, 0o755), (0, 0o775), (0, 0o777), (0, 0o1777)])
    def test_each_folder_counts_and_what_is_above_it(self, own: Paths, name: str, owner: tuple[int, int]) -> None:
        folder = getattr(own, name)
        os.makedirs(folder)
        for place in (folder, os.path.dirname(folder)) if owner[1] != 0o1777 else (folder,):
            os.chown(place, owner[0], -1)
            os.chmod(place, owner[1])
            with pytest.raises(RefusedError) as caught:
                check(own)
            assert folder in caught.value.what
            assert place in caught.value.why
            os.chown(place, 0, -1)
            os.chmod(place, 0o755)
        check(own)

    @pytest.mark.parametrize("below", ["trees", "plans"])
    def test_what_is_in_them_counts(self, own: Paths, below: str) -> None:
        os.makedirs(getattr(own, below))
        os.chown(getattr(own, below), 12345, -1)
        with pytest.raises(RefusedError, match=getattr(own, below)):
            check(own)

    def test_trees_behind_a_link(self, own: Paths, tmp_path: Path) -> None:
        os.makedirs(own.state)
        os.symlink(tmp_path, own.trees)
        with pytest.raises(RefusedError, match="is a link"):
            check(own)


@pytest.mark.parametrize("path", ["real/python", "real", "links", "links/python"])
def test_who_owns_a_file_its_folder_or_a_link_to_it(tmp_path: Path, path: str) -> None:
    for folder in ("real", "links"):
        (tmp_path / folder).mkdir(0o755)
    (tmp_path / "real/python").touch(0o755)
    (tmp_path / "links/python").symlink_to("../real/python")
    assert publish.insecure(str(tmp_path / "links/python")) is None
    os.chown(tmp_path / path, 12345, -1, follow_symlinks=False)
    assert path in (publish.insecure(str(tmp_path / "links/python")) or "")
