"""Files that are written over are the old or the new one, whatever happens meanwhile."""

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import diffrec
from diffrec import Interactions
from diffrec.data._replace import companions, named_by_content, replacing, replacing_with_companions
from diffrec.data.tables import table_file

Write = Callable[[Path, int], None]
ROWS = 3000


def interactions(version: int) -> Interactions:
    return Interactions.from_arrays(np.arange(ROWS + version), np.arange(ROWS + version) % 50)


def save(path: Path, version: int) -> None:
    MODELS[version].save(path)


def read_model(path: Path) -> int:
    return diffrec.load(path).train_.shape[0] - ROWS


def write(path: Path, version: int) -> None:
    MODELS[version].train_.write(path)


def read_interactions(path: Path) -> int:
    return Interactions.read(path).shape[0] - ROWS


def export(path: Path, version: int) -> None:
    """An export writes several files into a folder of its own, in pieces, and one names the other."""
    with replacing_with_companions(path) as temporary:
        weights = temporary.with_suffix(".weights")
        with weights.open("wb") as stream:
            for _ in range(64):
                stream.write(bytes([version]) * 512)
        temporary.write_text(f"{version} {named_by_content(weights, temporary).name}")


def read_export(path: Path) -> int:
    # Who reads while somebody writes may find the second file gone, and the first another.
    for _ in range(1000):
        version, _, name = path.read_text().partition(" ")
        with contextlib.suppress(FileNotFoundError):
            whole = path.resolve().with_name(name).read_bytes()
            break
    assert len(whole) == 64 * 512
    assert set(whole) == {int(version)}
    return int(version)


def report(path: Path, version: int) -> None:
    """Lists and tables of results come a block of rows after the other."""
    with table_file(path) as append:
        for block in range(20):
            append({"user": np.arange(40 * block, 40 * block + 40), "score": np.full(40, float(version))})


def read_report(path: Path) -> int:
    lines = path.read_text().splitlines()
    versions = {float(line.partition("\t")[2]) for line in lines[1:]}
    assert len(lines) == 801
    assert len(versions) == 1
    return int(versions.pop())


MODELS = [diffrec.fit(interactions(version), variant="popularity") for version in (0, 1)]
KINDS: dict[str, tuple[Write, Callable[[Path], int]]] = {
    "model.diffrec": (save, read_model),
    "table.csv": (write, read_interactions),
    "split.npz": (write, read_interactions),
    "graph.pt2": (export, read_export),
    "report.tsv": (report, read_report),
}


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def kill(write: Write, path: Path, after: float) -> None:
    """Write both versions over and over in a process that is killed."""
    child = os.fork()
    if child == 0:
        for version in itertools.cycle((0, 1)):
            write(path, version)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def survive(folder: Path, kills: int) -> None:
    rng = np.random.default_rng(0)
    for name, (write, read) in KINDS.items():
        path = folder / name
        write(path, 0)
        left = 0
        for _ in range(kills // len(KINDS)):
            kill(write, path, float(rng.uniform(0.005, 0.05)))
            assert read(path) in (0, 1)
            left += len(set(folder.iterdir()) - {path})
        write(path, 1)
        assert read(path) == 1
        assert len(companions(path)) == (name == "graph.pt2")
        whole = {path, *companions(path)}
        assert set(folder.iterdir()) == whole, f"{left} were left by those killed"
        for file in whole:
            file.unlink()


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_25_writers_are_killed(tmp_path: Path) -> None:
    survive(tmp_path, 25)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_200_writers_of_each_kind_are_killed(tmp_path: Path) -> None:
    survive(tmp_path, 200 * len(KINDS))


@pytest.mark.parametrize("name", KINDS)
def test_what_raises_leaves_nothing(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write, read = KINDS[name]
    write(tmp_path / name, 0)
    before = set(tmp_path.iterdir())

    def full(_handle: int) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("diffrec.data._replace.os.fsync", full)
    with pytest.raises(OSError, match="no space left"):
        write(tmp_path / name, 1)
    assert read(tmp_path / name) == 0
    assert set(tmp_path.iterdir()) == before


def repeat(write: Write, path: Path, version: int, failures: list[BaseException]) -> None:
    try:
        for _ in range(15):
            write(path, version)
    except BaseException as error:
        failures.append(error)


def test_two_writers_at_once_leave_one_of_the_two(tmp_path: Path) -> None:
    for name, (write, read) in KINDS.items():
        path = tmp_path / name
        failures: list[BaseException] = []

        writers = [threading.Thread(target=repeat, args=(write, path, version, failures)) for version in (0, 1)]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            if path.exists():
                assert read(path) in (0, 1)
        for writer in writers:
            writer.join()
        assert not failures
        assert not [left for left in tmp_path.iterdir() if left.name.startswith(".")]


def test_permissions_stay_and_new_files_have_ordinary_ones(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        for name, (write, _) in KINDS.items():
            path = tmp_path / name
            write(path, 0)
            assert path.stat().st_mode & 0o777 == 0o640, name
            path.chmod(0o604)
            write(path, 1)
            assert path.stat().st_mode & 0o777 == 0o604, name
    finally:
        os.umask(before)


def test_a_private_file_is_private_while_it_is_written_over(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for mode in (0o600, 0o640, 0o400):
        path.touch()
        path.chmod(mode)
        with replacing(path) as temporary:
            assert temporary.stat().st_mode & 0o077 == mode & 0o077
            temporary.write_text("content")
        assert path.stat().st_mode & 0o777 == mode
        with replacing_with_companions(path) as temporary:
            assert temporary.parent.stat().st_mode & 0o077 == 0
            temporary.write_text("content")


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    for name, (write, read) in KINDS.items():
        link, file = tmp_path / name, tmp_path / "store" / f"current-{name}"
        for target in (file, Path("store") / f"current-{name}"):  # absolute, and relative to where the link is
            link.unlink(missing_ok=True)
            link.symlink_to(target)
            for version in (0, 1):  # one that leads nowhere yet, and one to a file
                write(link, version)
                assert link.is_symlink()
                assert read(file) == version


def test_what_is_killed_and_what_is_alive_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "file"
    stranger = tmp_path / ".file.12345678.writing.bak"
    stranger.write_text("of somebody else")
    (tmp_path / ".file.0123abcd.writing").write_text("left")
    with replacing(path) as first:
        first.write_text("first")
        with replacing(path) as second:
            second.write_text("second")
            assert sorted(file.name for file in tmp_path.iterdir()) == sorted([stranger.name, first.name, second.name])
        assert path.read_text() == "second"
    assert path.read_text() == "first"
    assert {file.name for file in tmp_path.iterdir()} == {"file", stranger.name}


def test_long_names(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 120 + ".csv")
    with replacing(path) as temporary:
        temporary.write_text("content")
    assert path.read_text() == "content"


def test_a_folder_that_vanishes_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "folder"

    def vanish() -> None:
        with replacing(folder / "file") as temporary:
            temporary.write_text("content")
            shutil.rmtree(folder)

    with pytest.raises(FileNotFoundError):
        vanish()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    for name, (write, read) in KINDS.items():
        write(tmp_path / name, 0)
        tmp_path.chmod(0o500)
        try:
            with pytest.raises(PermissionError):
                write(tmp_path / name, 1)
            assert read(tmp_path / name) == 0
        finally:
            tmp_path.chmod(0o700)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 160 KB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=160k", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
        pytest.skip("only root can mount a small file system")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", KINDS)
def test_a_full_disk_is_said_and_leaves_the_old_file(name: str, disk: Path) -> None:
    write, read = KINDS[name]
    write(disk / name, 0)
    size = (disk / name).stat().st_size
    free = shutil.disk_usage(disk).free
    (disk / "rest").write_bytes(b"0" * max(0, free - size // 2))
    with pytest.raises(OSError, match="No space left|space"):
        write(disk / name, 1)
    assert read(disk / name) == 0
    assert set(disk.iterdir()) == {disk / name, disk / "rest", *companions(disk / name)}


@pytest.mark.parametrize("name", KINDS)
def test_a_file_system_that_is_only_read_is_said(name: str, disk: Path) -> None:
    write, read = KINDS[name]
    write(disk / name, 0)
    before = set(disk.iterdir())
    subprocess.run(["mount", "-o", "remount,ro", str(disk)], check=True)
    with pytest.raises(OSError, match="[Rr]ead-only"):
        write(disk / name, 1)
    assert read(disk / name) == 0
    assert set(disk.iterdir()) == before
