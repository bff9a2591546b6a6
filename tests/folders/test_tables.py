"""Files that are whole or not there."""

from contextlib import suppress

from gimefive_hf.tables import whole_file, write_whole


def test_a_file_takes_its_place_when_it_is_whole(tmp_path):
    """An error leaves the old one, and nothing else."""
    path = tmp_path / "run.json"
    write_whole(path, "first\n")
    with suppress(RuntimeError), whole_file(path) as part:
        part.write_text("half")
        raise RuntimeError
    assert path.read_text() == "first\n"
    with whole_file(path) as part:
        part.write_text("second\n")
        assert path.read_text() == "first\n"
    assert path.read_text() == "second\n"
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]
