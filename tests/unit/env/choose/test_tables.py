from pathlib import Path

import pytest

from gpudock.env.choose import tables
from gpudock.errors import InputError
from gpudock.gpu.cuda import numbers


def test_the_tables_are_whole() -> None:
    found = tables.load(())
    for name in ("pytorch", "tensorflow", "jax"):
        framework = found.framework(name)
        versions = [numbers(row.version) for row in framework.rows]
        assert versions == sorted(versions, reverse=True)
        assert framework.sources
        for row in framework.rows:
            every = {*row.cuda, *row.experimental}
            assert not row.default or row.default in every
            assert every <= {*found.cuda.toolkits}
            assert {each.partition(".")[0] for each in every} <= {*found.cuda.families}


def test_a_users_table_is_laid_over(tmp_path: Path) -> None:
    (tmp_path / "tables.toml").write_text(
        '[cuda.toolkits]\n"14.0" = "650"\n'
        '[[pytorch.rows]]\nversion = "2.15"\ncuda = ["13.2"]\npython = ["3.10", "3.15"]\n'
        '[[pytorch.rows]]\nversion = "2.14"\ncuda = ["13.0"]\npython = ["3.10", "3.15"]\n'
    )
    found = tables.load((str(tmp_path), str(tmp_path / "none")))
    assert found.cuda.toolkits["14.0"] == "650"
    assert found.cuda.toolkits["12.8"] == "570.26"
    assert [row.version for row in found.pytorch.rows[:3]] == ["2.15", "2.14", "2.13"]
    assert found.pytorch.rows[1].cuda == ("13.0",)


@pytest.mark.parametrize("text", ["[", "[cuda]\nfamilies = 3\n", "[[pytorch.rows]]\nversion = 2\n", "colour = 1\n"])
def test_a_wrong_table_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "tables.toml").write_text(text)
    with pytest.raises(InputError, match=r"tables\.toml"):
        tables.load((str(tmp_path),))
