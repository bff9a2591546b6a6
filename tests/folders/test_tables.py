"""Files that are whole or not there."""

import pytest

from gimefive_hf.tables import whole_file, write_whole


def test_a_file_takes_its_place_when_it_is_whole(tmp_path):
    path = tmp_path / "run.json"
    write_whole(path, "first\n")
    with whole_file(path) as part:
        part.write_text("second\n")
        assert path.read_text() == "first\n"
    assert path.read_text() == "second\n"
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]


def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "run.json"
    write_whole(path, "first\n")

    def half() -> None:
        with whole_file(path) as part:
            part.write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert path.read_text() == "first\n"
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]
