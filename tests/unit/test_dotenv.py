"""What `muster.dotenv` promises of a `.env` file."""

import io
import multiprocessing
import os
import stat
import subprocess
import tempfile
from pathlib import Path

import dotenv as python_dotenv
import pytest

from muster import dotenv

NASTY = [
    pytest.param("", id="empty"),
    pytest.param("A=1\nB=2\n", id="plain"),
    pytest.param("A=1\nB=2", id="no final newline"),
    pytest.param("A=1\r\n# über\r\n\r\nB=2\r\n", id="carriage returns"),
    pytest.param("\ufeffA=1\n", id="byte order mark"),
    pytest.param("# TOKEN=commented out\n\n\n  \nA=1 # why\n", id="comments"),
    pytest.param("export A='x y'\n\texport B=2\n", id="export"),
    pytest.param("A='first\nTOKEN=inside\nlast'\nB=2\n", id="a text of many lines"),
    pytest.param('A="unterminated\nB=2\n', id="unterminated quote"),
    pytest.param("this is no line of a .env file\nA\nB=2\n", id="not a binding"),
    pytest.param("A=1\n\n\n", id="blank lines at the end"),
]

VALUES = [
    "",
    "0123456789abcdef0123456789abcdef01234567",
    "Aa1!Aa1!Aa1!Aa1!Aa1!Aa1!Aa1!Aa1!",
    "with space and # no comment",
    "$HOME $(id) `id` $$",
    "{[()]}<>|;&*?~^",
    '"double"',
    "it's",
    "back\\slash",
    "=leading",
    " surrounded ",
    "unicode: ü",
]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".env"


@pytest.fixture(autouse=True)
def _locks_of_our_own(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Let the lock files go with the test's own files."""
    monkeypatch.setenv("TMPDIR", str(tmp_path_factory.mktemp("locks")))
    monkeypatch.setattr(tempfile, "tempdir", None)


def test_writing_tells_the_keys_that_did_not_have_their_value_before(path: Path) -> None:
    path.write_text("A='1'\nB=1\nC=1\nC=2\n")
    assert dotenv.write(path, {"A": "1", "B": "2", "C": "2", "D": "3"}) == {"B", "D"}
    assert dotenv.write(path, {"A": "1", "B": "2", "C": "2", "D": "3"}) == set()


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("text", NASTY)
def test_a_new_key_leaves_every_other_line_as_it_is(path: Path, text: str) -> None:
    path.write_bytes(text.encode())
    dotenv.write(path, {"TOKEN": "new"})
    written = path.read_bytes().decode()
    assert written.startswith(text)
    newline = "\r\n" if "\r\n" in text else "\n"
    opening = newline if text and not text.endswith("\n") else ""
    assert written.removeprefix(text) == f"{opening}TOKEN=new{newline}"


@pytest.mark.parametrize("text", [case for case in NASTY if case.id != "no final newline"])
def test_writing_and_removing_a_key_gives_the_same_file_back(path: Path, text: str) -> None:
    path.write_bytes(text.encode())
    dotenv.write(path, {"TOKEN": "new"})
    dotenv.remove(path, {"TOKEN"})
    assert path.read_bytes().decode() == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("A=1\nTOKEN=old\nB=2\n", "A=1\nTOKEN=new\nB=2\n"),
        ("A=1\r\nTOKEN=old\r\nB=2\r\n", "A=1\r\nTOKEN=new\r\nB=2\r\n"),
        ("A=1\nTOKEN=old", "A=1\nTOKEN=new\n"),
        ("\n\n  export TOKEN='old' # why\nB=2\n", "\n\n  export TOKEN=new # why\nB=2\n"),
        ("TOKEN=old\t # why # not\r\n", "TOKEN=new\t # why # not\r\n"),
        ("TOKEN=old#er\n", "TOKEN=new\n"),
        ('TOKEN="old # er"# why\n', "TOKEN=new # why\n"),
        ("TOKEN='old # er'\n", "TOKEN=new\n"),
        ("TOKEN= # why\n", "TOKEN=new # why\n"),
        ('TOKEN="old\nof many\nlines"\nB=2\n', "TOKEN=new\nB=2\n"),
        ("TOKEN = old\n", "TOKEN=new\n"),
        ("TOKEN\nB=2\n", "TOKEN=new\nB=2\n"),
        ("\ufeffTOKEN=old\n", "\ufeffTOKEN=new\n"),
        ("# TOKEN=old\n", "# TOKEN=old\nTOKEN=new\n"),
        ("TOKEN_OTHER=1\nOTHER_TOKEN=2\n", "TOKEN_OTHER=1\nOTHER_TOKEN=2\nTOKEN=new\n"),
    ],
)
def test_a_key_that_is_there_keeps_its_place(path: Path, before: str, after: str) -> None:
    path.write_bytes(before.encode())
    dotenv.write(path, {"TOKEN": "new"})
    assert path.read_bytes().decode() == after


def test_new_keys_follow_an_old_one_that_ended_the_file_without_a_newline(path: Path) -> None:
    path.write_text("A=1\nTOKEN=old")
    dotenv.write(path, {"TOKEN": "new", "PASS": "x", "URL": "y"})
    assert path.read_text() == "A=1\nTOKEN=new\nPASS=x\nURL=y\n"


def test_of_a_key_that_is_there_twice_no_stale_value_stays(path: Path) -> None:
    path.write_text("TOKEN=older\nA=1\n\nTOKEN=old\nB=2\n")
    dotenv.write(path, {"TOKEN": "new"})
    assert path.read_text() == "A=1\n\nTOKEN=new\nB=2\n"


def test_removing_takes_every_line_of_the_key_and_no_other(path: Path) -> None:
    path.write_text("# crew\nTOKEN=older\nA=1\n\nexport TOKEN='old'\n# end\nTOKENS=3\n")
    dotenv.remove(path, {"TOKEN", "MISSING"})
    assert path.read_text() == "# crew\nA=1\n\n# end\nTOKENS=3\n"


def test_removing_from_no_file_makes_none(path: Path) -> None:
    dotenv.remove(path, {"TOKEN"})
    assert not path.exists()


def test_bytes_that_are_no_utf8_stay(path: Path) -> None:
    path.write_bytes(b"A='\xff\xfe'\n")
    dotenv.write(path, {"TOKEN": "new"})
    assert path.read_bytes() == b"A='\xff\xfe'\nTOKEN=new\n"


def test_of_a_key_that_is_there_twice_the_last_is_read(path: Path) -> None:
    path.write_text("TOKEN=old\nA\nTOKEN=new\n")
    assert dotenv.read(path) == {"TOKEN": "new"}


def test_no_file_reads_as_no_keys(path: Path) -> None:
    assert dotenv.read(path) == {}


@pytest.mark.parametrize("value", VALUES)
def test_python_dotenv_and_sh_read_back_what_was_written(path: Path, value: str) -> None:
    dotenv.write(path, {"TOKEN": value, "LAST": "1"})
    assert dotenv.read(path) == {"TOKEN": value, "LAST": "1"}
    stream = io.StringIO(path.read_text())
    assert python_dotenv.dotenv_values(stream=stream) == {"TOKEN": value, "LAST": "1"}
    script = '. "$0"; printf "%s|%s" "$TOKEN" "$LAST"'
    sourced = subprocess.run(["sh", "-eu", "-c", script, path], capture_output=True, check=True)
    assert sourced.stdout.decode() == f"{value}|1"


@pytest.mark.parametrize(
    "value", ["two\nlines", "nul\0", 'it\'s "both"', "ends in \\", "${HOME}", "\\\\"]
)
def test_a_value_that_readers_disagree_about_is_refused_and_not_repeated(
    path: Path, value: str
) -> None:
    path.write_text("A=1\n")
    with pytest.raises(dotenv.EnvFileError, match="TOKEN") as caught:
        dotenv.write(path, {"B": "2", "TOKEN": value})
    assert value not in str(caught.value)
    assert path.read_text() == "A=1\n"


def test_a_name_that_no_shell_takes_is_refused(path: Path) -> None:
    with pytest.raises(dotenv.EnvFileError, match=r"FORGE_TOKEN_A\.B"):
        dotenv.write(path, {"FORGE_TOKEN_A.B": "x"})
    assert not path.exists()


@pytest.mark.parametrize("before", [0o600, 0o644, 0o666, 0o400])
def test_the_file_is_its_owners_alone_whatever_it_was(path: Path, before: int) -> None:
    path.write_text("A=1\n")
    path.chmod(before)
    dotenv.write(path, {"TOKEN": "x"})
    assert mode(path) == 0o600


def test_a_file_that_needs_no_change_is_only_closed_to_others(path: Path) -> None:
    path.write_text("TOKEN=x\n")
    path.chmod(0o644)
    inode = path.stat().st_ino
    dotenv.write(path, {"TOKEN": "x"})
    assert (mode(path), path.stat().st_ino) == (0o600, inode)


def test_a_new_file_is_its_owners_alone_under_any_umask(path: Path) -> None:
    before = os.umask(0)
    try:
        dotenv.write(path, {"TOKEN": "x"})
    finally:
        os.umask(before)
    assert mode(path) == 0o600


def test_a_symbolic_link_stays_one(path: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "secrets"
    target.write_text("A=1\n")
    path.symlink_to(target)
    dotenv.write(path, {"TOKEN": "x"})
    assert path.is_symlink()
    assert target.read_text() == "A=1\nTOKEN=x\n"


def test_nothing_is_left_beside_the_file(path: Path) -> None:
    dotenv.write(path, {"TOKEN": "x"})
    dotenv.remove(path, {"TOKEN"})
    assert [entry.name for entry in path.parent.iterdir()] == [".env"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file to somebody else")
def test_roots_write_leaves_the_file_to_its_owner(path: Path) -> None:
    path.write_text("A=1\n")
    os.chown(path, 1234, 1235)
    dotenv.write(path, {"TOKEN": "x"})
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 1235)


def test_a_write_that_fails_changes_nothing_and_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path.write_text("A=1\n")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(dotenv.EnvFileError, match="No space left on device"):
        dotenv.write(path, {"TOKEN": "x"})
    assert path.read_text() == "A=1\n"
    assert [entry.name for entry in path.parent.iterdir()] == [".env"]


def test_a_folder_in_the_files_place_is_told_plainly(path: Path) -> None:
    path.mkdir()
    for attempt in (lambda: dotenv.read(path), lambda: dotenv.write(path, {"TOKEN": "x"})):
        with pytest.raises(dotenv.EnvFileError, match=r"\.env: Is a directory"):
            attempt()


def test_a_missing_folder_is_told_plainly(tmp_path: Path) -> None:
    with pytest.raises(dotenv.EnvFileError, match="No such file or directory"):
        dotenv.write(tmp_path / "nowhere" / ".env", {"TOKEN": "x"})


def _write_many(path: Path, prefix: str, start: "multiprocessing.synchronize.Barrier") -> None:
    start.wait()
    for number in range(40):
        dotenv.write(path, {f"{prefix}_{number}": "x"})


def test_two_processes_that_write_at_once_lose_nothing(path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(2)
    writers = [
        context.Process(target=_write_many, args=(path, prefix, start)) for prefix in ("A", "B")
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    assert set(dotenv.read(path)) == {f"{p}_{n}" for p in ("A", "B") for n in range(40)}
