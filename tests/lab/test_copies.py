"""A reader's copies of the lessons follow their lessons until the reader edits them."""

import json
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eslab.errors import InvalidInput
from eslab.lab.copies import RECORD, copy_lessons


def notebook(*sources: str, outputs: tuple = ()) -> str:
    """A notebook with these code cells, each with these outputs."""
    cells = [{"cell_type": "code", "source": text, "metadata": {}, "outputs": list(outputs)} for text in sources]
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})


@pytest.fixture
def source(tmp_path) -> Path:
    """A folder with two lessons, a folder of solutions and a file that is no notebook."""
    folder = tmp_path / "notebooks"
    (folder / "solutions").mkdir(parents=True)
    (folder / "solutions" / "00_start.ipynb").write_text(notebook("guess = 0"))
    (folder / "notes.txt").write_text("no notebook")
    (folder / "00_start.ipynb").write_text(notebook("guess = ..."))
    (folder / "01_frosting.ipynb").write_text(notebook("red"))
    return folder


@pytest.fixture
def lab(tmp_path) -> Path:
    """The reader's folder, which doesn't exist yet."""
    return tmp_path / "my work" / "lab"


def files(folder: Path) -> dict[str, str]:
    """The notebooks in a folder, by name."""
    return {path.name: path.read_text() for path in sorted(folder.glob("*.ipynb"))}


def test_the_first_copy_brings_every_lesson(source, lab):
    """Byte for byte, without the solutions and without leftovers."""
    copied = copy_lessons(source, lab)
    assert copied.added == ["00_start.ipynb", "01_frosting.ipynb"]
    assert files(lab) == files(source)
    assert sorted(path.name for path in lab.iterdir()) == [RECORD, "00_start.ipynb", "01_frosting.ipynb"]
    assert str(copied) == f"The lessons are in {lab}: 2 added, 0 updated."


def test_a_copy_that_is_repeated_changes_nothing(source, lab):
    """Not even the times of the files."""
    copy_lessons(source, lab)
    before = {path: path.stat().st_mtime_ns for path in lab.iterdir()}
    copied = copy_lessons(source, lab)
    assert {path: path.stat().st_mtime_ns for path in lab.iterdir()} == before
    assert (copied.added, copied.updated, copied.kept, copied.beside) == ([], [], [], {})


@pytest.mark.parametrize(
    "saved",
    [notebook("red"), notebook("red", outputs=({"output_type": "stream", "text": "1"},)),
     notebook("red").replace('"red"', '["r", "ed"]'), json.dumps(json.loads(notebook("red")), indent=4)],
    ids=["untouched", "run", "source in lines", "indented"],
)  # fmt: skip
def test_an_unedited_copy_follows_its_lesson(source, lab, saved):
    """However it was saved, and whether or not it was run."""
    copy_lessons(source, lab)
    (lab / "01_frosting.ipynb").write_text(saved)
    (source / "01_frosting.ipynb").write_text(notebook("red, better"))
    copied = copy_lessons(source, lab)
    assert copied.updated == ["01_frosting.ipynb"]
    assert files(lab) == files(source)


EDITED = [notebook("red", "my cell"), notebook(), notebook("Red"), "{ half a notebo", "", "[]", '{"cells": [3]}']


@pytest.mark.parametrize("mine", EDITED)
def test_an_edited_copy_is_kept(source, lab, mine):
    """As long as the lesson is the same, there is nothing to put beside it."""
    copy_lessons(source, lab)
    (lab / "01_frosting.ipynb").write_text(mine)
    copied = copy_lessons(source, lab)
    assert copied.kept == ["01_frosting.ipynb"]
    assert files(lab) == {**files(source), "01_frosting.ipynb": mine}
    assert str(copied).endswith("Kept as you edited them: 01_frosting.ipynb.")


@pytest.mark.parametrize("mine", EDITED)
def test_an_updated_lesson_is_put_beside_an_edited_copy(source, lab, mine):
    """Once: a repeat, or a deleted new version, brings nothing more."""
    copy_lessons(source, lab)
    (lab / "01_frosting.ipynb").write_text(mine)
    (source / "01_frosting.ipynb").write_text(notebook("blue"))
    copied = copy_lessons(source, lab)
    assert copied.beside == {"01_frosting.ipynb": "01_frosting.new.ipynb"}
    assert files(lab)["01_frosting.ipynb"] == mine
    assert files(lab)["01_frosting.new.ipynb"] == notebook("blue")
    assert "You edited 01_frosting.ipynb, and the lesson has changed: the new version is" in str(copied)
    (lab / "01_frosting.new.ipynb").unlink()
    assert copy_lessons(source, lab).kept == ["01_frosting.ipynb"]
    assert "01_frosting.new.ipynb" not in files(lab)


def test_a_new_version_that_was_edited_is_kept_too(source, lab):
    """The next one gets a number; an unedited one is replaced."""
    copy_lessons(source, lab)
    (lab / "01_frosting.ipynb").write_text(notebook("mine"))
    for text in ("blue", "green"):
        (source / "01_frosting.ipynb").write_text(notebook(text))
        copy_lessons(source, lab)
    assert files(lab)["01_frosting.new.ipynb"] == notebook("green")
    (lab / "01_frosting.new.ipynb").write_text(notebook("mine too"))
    (source / "01_frosting.ipynb").write_text(notebook("white"))
    assert copy_lessons(source, lab).beside == {"01_frosting.ipynb": "01_frosting.new-2.ipynb"}
    assert files(lab)["01_frosting.new.ipynb"] == notebook("mine too")


def test_a_reader_who_takes_the_new_version_follows_the_lesson_from_then_on(source, lab):
    """The new version renamed over the edited copy is an unedited copy."""
    copy_lessons(source, lab)
    (lab / "01_frosting.ipynb").write_text(notebook("mine"))
    (source / "01_frosting.ipynb").write_text(notebook("blue"))
    copy_lessons(source, lab)
    (lab / "01_frosting.new.ipynb").replace(lab / "01_frosting.ipynb")
    (source / "01_frosting.ipynb").write_text(notebook("green"))
    assert copy_lessons(source, lab).updated == ["01_frosting.ipynb"]


def test_new_lessons_are_added_and_the_readers_own_are_left_alone(source, lab):
    """So is a copy whose lesson is gone; a deleted copy comes back."""
    copy_lessons(source, lab)
    (lab / "mine.ipynb").write_text("mine")
    (lab / "00_start.ipynb").unlink()
    (source / "01_frosting.ipynb").rename(source / "01_icing.ipynb")
    assert copy_lessons(source, lab).added == ["00_start.ipynb", "01_icing.ipynb"]
    assert [*files(lab)] == ["00_start.ipynb", "01_frosting.ipynb", "01_icing.ipynb", "mine.ipynb"]


@pytest.mark.parametrize("record", [None, "", "[]", '{"01_frosting.ipynb": 3}', "{ half"])
def test_without_a_record_nothing_is_written_over(source, lab, record):
    """A copy of unknown origin counts as edited."""
    copy_lessons(source, lab)
    (lab / RECORD).unlink()
    if record is not None:
        (lab / RECORD).write_text(record)
    (source / "01_frosting.ipynb").write_text(notebook("blue"))
    assert copy_lessons(source, lab).beside == {"01_frosting.ipynb": "01_frosting.new.ipynb"}
    assert files(lab)["01_frosting.ipynb"] == notebook("red")


class Killed(BaseException):
    """The end of the process."""


@given(stop=st.integers(0, 6), edit=st.booleans())
def test_a_copy_that_was_killed_is_finished_by_the_next(tmp_path_factory, stop, edit):
    """At whichever write it died, the reader's text survives and the next copy brings every lesson."""
    base = tmp_path_factory.mktemp("killed")
    source, lab = base / "notebooks", base / "lab"
    source.mkdir()
    for name in "abc":
        (source / f"{name}.ipynb").write_text(notebook("old"))
    copy_lessons(source, lab)
    if edit:
        (lab / "b.ipynb").write_text(notebook("mine"))
    for name in "abc":
        (source / f"{name}.ipynb").write_text(notebook("new"))
    with pytest.MonkeyPatch.context() as patch:
        writes = iter(range(100))
        replace = Path.replace

        def dying(path: Path, target: Path) -> Path:
            if next(writes) == stop:
                raise Killed
            return replace(path, target)

        patch.setattr(Path, "replace", dying)
        with suppress(Killed):
            copy_lessons(source, lab)
    copy_lessons(source, lab)
    expected = {name: notebook("new") for name in ("a.ipynb", "b.ipynb", "c.ipynb")}
    if edit:
        expected |= {"b.ipynb": notebook("mine"), "b.new.ipynb": notebook("new")}
    assert files(lab) == expected


def test_an_impossible_target_is_refused(source, tmp_path):
    """The lessons' own folder, by whatever path, a folder inside it, and a file."""
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(source)
    for target in (source, source / "lab", tmp_path / "link", tmp_path / "x" / ".." / "notebooks"):
        with pytest.raises(InvalidInput, match="Expected a folder apart from the lessons' own"):
            copy_lessons(source, target)
    with pytest.raises(InvalidInput, match="found a file"):
        copy_lessons(source, tmp_path / "file")
    (tmp_path / "lab" / "00_start.ipynb").mkdir(parents=True)
    with pytest.raises(InvalidInput, match="found a folder"):
        copy_lessons(source, tmp_path / "lab")


def test_a_source_without_lessons_is_refused(tmp_path):
    """And no folder is made."""
    with pytest.raises(InvalidInput, match="found no notebook there"):
        copy_lessons(tmp_path / "nowhere", tmp_path / "lab")
    assert not (tmp_path / "lab").exists()


def test_a_folder_that_cannot_be_made_is_refused(source, tmp_path):
    """With the system's reason."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidInput, match=r"Expected a folder that you may write to at .*Not a directory"):
        copy_lessons(source, tmp_path / "file" / "lab")
