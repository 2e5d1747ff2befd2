"""What the owner may do with files whose modes somebody changed."""

from pathlib import Path

from runtime import modes


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


def test_folders_and_files_are_usable_for_their_owner_again(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "sub" / "file").touch(mode=0o640)
    for path in (folder / "sub" / "file", folder / "sub", folder):
        path.chmod(0)
    modes.restore(folder)
    assert [mode(path) for path in (folder, folder / "sub", folder / "sub" / "file")] == [
        0o700,
        0o700,
        0o600,
    ]


def test_modes_that_suffice_stay(tmp_path: Path) -> None:
    (tmp_path / "object").touch(mode=0o444)
    (tmp_path / "program").touch(mode=0o755)
    modes.restore(tmp_path, file=modes.READ_ONLY)
    assert mode(tmp_path / "object") == 0o444
    assert mode(tmp_path / "program") == 0o755


def test_links_are_not_followed_and_missing_files_are_left_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.touch()
    outside.chmod(0)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "link").symlink_to(outside)
    modes.restore(tmp_path / "folder", tmp_path / "missing")
    assert mode(outside) == 0
