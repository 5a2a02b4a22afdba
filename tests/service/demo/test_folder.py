"""The demo removes what a demo made, and nothing else."""

from pathlib import Path

import pytest

from service.demo.folder import MARKER, DemoFolder, ForeignFolder


def test_a_new_folder_is_made_and_marked(tmp_path: Path) -> None:
    folder = DemoFolder(tmp_path / "a" / "demo")
    folder.claim()
    assert [path.name for path in folder.path.iterdir()] == [MARKER]


def test_a_folder_with_anything_in_it_is_refused_and_stays(tmp_path: Path) -> None:
    (tmp_path / ".hidden").write_text("mine")
    with pytest.raises(ForeignFolder, match="not empty"):
        DemoFolder(tmp_path).claim()
    with pytest.raises(ForeignFolder, match="nothing was removed"):
        DemoFolder(tmp_path).clear()
    assert [path.name for path in tmp_path.iterdir()] == [".hidden"]


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "demo").write_text("mine")
    with pytest.raises(ForeignFolder):
        DemoFolder(tmp_path / "demo").claim()


def test_what_the_last_demo_left_is_removed_but_marker_and_lock(tmp_path: Path) -> None:
    folder = _claimed(tmp_path / "demo")
    for name in ("storyrelay.toml", "published/x/video.mp4", "var/ledger.sqlite3", "var/videos/x"):
        (folder.path / name).parent.mkdir(parents=True, exist_ok=True)
        (folder.path / name).write_text("old")
    folder.claim()
    folder.clear()
    files = {str(path.relative_to(folder.path)) for path in folder.path.rglob("*") if path.is_file()}
    assert files == {MARKER, "var/up.lock"}
    assert folder.logs.is_dir()


def test_a_link_is_removed_and_not_what_it_leads_to(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")
    folder = _claimed(tmp_path / "demo")
    (folder.path / "published").symlink_to(theirs)
    (folder.path / "var" / "videos").symlink_to(theirs)
    folder.clear()
    assert (theirs / "thesis.txt").exists()
    assert not (folder.path / "published").exists()


def _claimed(path: Path) -> DemoFolder:
    folder = DemoFolder(path)
    folder.claim()
    (path / "var").mkdir()
    (path / "var" / "up.lock").write_text("process 1")
    return folder
