import io
import tarfile

from hypothesis import given
from hypothesis import strategies as st

from gpudock.env.archive.steady import steady


def packed(time: int) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as tar:
        for name, kind, data in (
            ("blobs", tarfile.DIRTYPE, b""),
            ("blobs/layer", tarfile.REGTYPE, b"x" * 5000),
            ("blobs/" + "long" * 60, tarfile.REGTYPE, b"y"),
            ("blobs/sha256", tarfile.DIRTYPE, b""),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.size = kind, len(data)
            info.mtime = time if kind == tarfile.DIRTYPE else 7
            tar.addfile(info, io.BytesIO(data))
    return target.getvalue()


def steadied(data: bytes, step: int = 1 << 20) -> bytes:
    source = io.BytesIO(data)
    read = steady(lambda size: source.read(min(size, step)))
    return b"".join(iter(lambda: read(step), b""))


def test_two_moments_give_the_same_bytes_with_the_same_content() -> None:
    first, second = steadied(packed(1_700_000_000)), steadied(packed(1_800_000_000), 700)
    assert first == second
    assert len(first) == len(packed(1))
    with tarfile.open(fileobj=io.BytesIO(first)) as tar:
        assert [(each.name[:12], each.size, each.mtime) for each in tar] == [
            ("blobs", 0, 0),
            ("blobs/layer", 5000, 7),
            ("blobs/longlo", 1, 7),
            ("blobs/sha256", 0, 0),
        ]


@given(st.binary(max_size=2000))
def test_what_is_no_tar_passes_as_it_is(data: bytes) -> None:
    assert steadied(data) == data
    assert steadied(packed(5) + data)[: len(packed(5))] == steadied(packed(5))
    assert steadied(packed(5) + data).endswith(data)
