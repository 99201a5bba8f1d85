"""Files and folders are written whole or not at all, whatever stops the writer."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.repository import CODE
from seedstability import files
from seedstability.files import whole_file, whole_folder, write_whole

STOPS = (OSError(28, "No space left on device"), KeyboardInterrupt(), SystemExit(3))


def tree(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("content", "expected"), [("µ\n", b"\xc2\xb5\n"), (b"\x00\r\n", b"\x00\r\n")]
)
def test_a_file_holds_the_bytes_given(tmp_path, content, expected):
    write_whole(tmp_path / "file.json", "earlier, and longer")
    write_whole(tmp_path / "file.json", content)
    assert tree(tmp_path) == {"file.json": expected}


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: type(stop).__name__)
def test_a_writer_that_is_stopped_leaves_the_earlier_file(tmp_path, stop):
    write_whole(tmp_path / "file", "earlier")

    def write():
        with whole_file(tmp_path / "file") as partial:
            partial.write_text("half")
            raise stop

    with pytest.raises(type(stop)):
        write()
    assert tree(tmp_path) == {"file": b"earlier"}


@pytest.mark.parametrize("stop", STOPS, ids=lambda stop: type(stop).__name__)
@pytest.mark.parametrize("replace", [True, False])
def test_a_writer_that_is_stopped_leaves_the_earlier_folder(tmp_path, stop, replace):
    with whole_folder(tmp_path / "out") as made:
        (made / "one").write_text("earlier")

    def write():
        with whole_folder(tmp_path / "out", replace) as partial:
            (partial / "one").write_text("half")
            raise stop

    with pytest.raises(type(stop)):
        write()
    assert tree(tmp_path) == {"out/one": b"earlier"}


def test_a_writer_that_is_killed_leaves_the_earlier_file_and_its_own_beside_it(tmp_path):
    write_whole(tmp_path / "file", "earlier")
    code = (
        "import os, signal; from pathlib import Path; from seedstability.files import whole_file\n"
        f"with whole_file(Path({str(tmp_path / 'file')!r})) as partial:\n"
        "    partial.write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(CODE)}
    ran = subprocess.run([sys.executable, "-c", code], env=environment)
    assert ran.returncode == -signal.SIGKILL
    found = tree(tmp_path)
    assert found.pop("file") == b"earlier"
    assert [name.startswith(".file.") and name.endswith(".partial") for name in found] == [True]


def test_content_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    order: list[str] = []

    def noted(name: str, function):
        def noting(path, *rest):
            order.append(f"{name} {'folder' if Path(path).is_dir() else 'file'}")
            return function(path, *rest)

        return noting

    monkeypatch.setattr(files, "_flush", noted("flush", files._flush))
    monkeypatch.setattr(Path, "replace", noted("name", Path.replace))
    monkeypatch.setattr(Path, "rename", noted("name", Path.rename))
    write_whole(tmp_path / "file", "x")
    assert order == ["flush file", "name file", "flush folder"]
    order.clear()
    with whole_folder(tmp_path / "out") as made:
        (made / "one").write_text("x")
    assert order == ["flush file", "name folder", "flush folder"]


def test_what_cannot_be_flushed_is_not_put_there(tmp_path, monkeypatch):
    write_whole(tmp_path / "file", "earlier")

    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        write_whole(tmp_path / "file", "later")
    with pytest.raises(OSError, match="No space left"), whole_folder(tmp_path / "out") as made:
        (made / "one").write_text("x")
    assert tree(tmp_path) == {"file": b"earlier"}


def test_a_new_folder_takes_the_place_of_an_empty_one_and_of_a_full_one_where_told(tmp_path):
    (tmp_path / "out").mkdir()
    for replace, text in ((False, "one"), (True, "two")):
        with whole_folder(tmp_path / "out", replace) as made:
            (made / text).write_text(text)
    assert tree(tmp_path) == {"out/two": b"two"}
    with pytest.raises(OSError, match="not empty"), whole_folder(tmp_path / "out") as made:
        (made / "three").write_text("three")
    assert tree(tmp_path) == {"out/two": b"two"}


@pytest.mark.parametrize("replace", [True, False])
def test_the_folder_one_stands_in_is_filled_and_stays_the_same(tmp_path, monkeypatch, replace):
    (tmp_path / "here").mkdir()
    if replace:
        (tmp_path / "here" / "one").write_text("earlier")
        (tmp_path / "here" / "two").write_text("earlier")
    monkeypatch.chdir(tmp_path / "here")
    with whole_folder(Path("."), replace) as made:
        (made / "two").write_text("new")
    assert os.listdir() == ["two"]
    assert tree(tmp_path) == {"here/two": b"new"}


def test_an_exchange_that_fails_puts_the_earlier_folder_back(tmp_path, monkeypatch):
    with whole_folder(tmp_path / "out") as made:
        (made / "one").write_text("earlier")
    rename = Path.rename

    def refuse_new(path, target):
        if (path / "two").exists():
            raise OSError(5, "Input/output error")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", refuse_new)
    with pytest.raises(OSError, match="Input"), whole_folder(tmp_path / "out", True) as made:
        (made / "two").write_text("later")
    assert tree(tmp_path) == {"out/one": b"earlier"}


def test_links_stay_and_what_they_lead_to_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    write_whole(tmp_path / "real" / "file", "earlier")
    (tmp_path / "file").symlink_to(tmp_path / "real" / "file")
    (tmp_path / "out").symlink_to(tmp_path / "real" / "out")
    write_whole(tmp_path / "file", "later")
    with whole_folder(tmp_path / "out") as made:
        (made / "one").write_text("x")
    assert (tmp_path / "file").is_symlink()
    assert (tmp_path / "out").is_symlink()
    assert tree(tmp_path / "real") == {"file": b"later", "out/one": b"x"}


def test_files_and_folders_have_the_mode_of_the_umask(tmp_path):
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "file").write_text("")
    with whole_folder(tmp_path / "out") as made:
        (made / "file").write_text("")
    write_whole(tmp_path / "file", "")
    plain = (tmp_path / "plain").stat().st_mode, (tmp_path / "plain" / "file").stat().st_mode
    assert ((tmp_path / "out").stat().st_mode, (tmp_path / "file").stat().st_mode) == plain
