import os
import stat
from pathlib import Path

import pytest

from service.private_folder import make_private


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_a_new_folder_is_its_owners_alone(tmp_path: Path) -> None:
    assert mode(make_private(tmp_path / "a" / "var")) == 0o700


def test_a_wider_one_of_ours_is_closed(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir(mode=0o755)
    assert mode(make_private(tmp_path / "var")) == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a folder of somebody else")
def test_somebody_elses_is_refused(tmp_path: Path) -> None:
    (tmp_path / "var").mkdir()
    os.chown(tmp_path / "var", 65534, -1)
    with pytest.raises(PermissionError, match="somebody else"):
        make_private(tmp_path / "var")


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "var").write_text("")
    with pytest.raises(FileExistsError):
        make_private(tmp_path / "var")
