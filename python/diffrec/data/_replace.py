"""Files that are complete or what they were before."""

import contextlib
import hashlib
import os
import re
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows, where a file that is open can neither be locked so nor replaced
    fcntl = None  # type: ignore[assignment]

# Names may have 255 bytes; what is added to one has 18.
_KEPT = 200


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Give the path of a new file beside ``path`` that takes its place when the block ends; folders are made.

    When the block raises, or is interrupted, nothing is left of the new file. What a process that is killed leaves is
    taken away by whoever writes ``path`` next. A symbolic link stays one, and the file it leads to is replaced; who may
    read and write a file that is replaced may do so afterwards. The block writes into the file that is there: one that
    it put in its place would not be known to be in use.

    Raises
    ------
    IsADirectoryError
        When ``path`` is a folder.
    """
    path = _target_file(path)
    with _fresh(path, folder=False) as temporary:
        yield temporary
        _put(temporary, path)


@contextmanager
def replacing_with_companions(path: Path) -> Iterator[Path]:
    """Replace a file that may come with others, which name one another: it is made under its own name elsewhere.

    What else the block leaves in the folder of the new file is put beside ``path`` before it. A companion that is named
    by what it holds, as :func:`named_by_content` does, is that of one file alone: whoever is left with the old file is
    left with the old companion, which goes once the new file has taken its place.
    """
    path = _target_file(path)
    with _fresh(path, folder=True) as folder:
        temporary = folder / path.name
        yield temporary
        with _alone_in(path.parent):
            # The file itself comes last: whoever finds it finds the others.
            made = sorted(folder.iterdir(), key=lambda file: file == temporary)
            for written in made:
                _put(written, path.with_name(written.name))
            for left in set(companions(path)) - {path.with_name(written.name) for written in made}:
                _remove(left)


@contextmanager
def folder_beside(path: Path) -> Iterator[Path]:
    """Give a folder beside ``path`` to work in, which is gone when the block ends, as is what others left that died."""
    with _fresh(_target(path), folder=True) as folder:
        yield folder


def named_by_content(file: Path, path: Path) -> Path:
    """Rename the companion of a file, such as its weights, so that no other file's companion has its name.

    Parameters
    ----------
    file : Path
        The companion, beside ``path``.
    path : Path
        The file that will name it.

    Returns
    -------
    Path
        What it is called now: as ``path``, with a checksum of its content behind.
    """
    digest = hashlib.blake2b(digest_size=8)
    with file.open("rb") as stream:
        while piece := stream.read(1 << 20):
            digest.update(piece)
    return file.rename(path.with_name(f"{path.name}.{digest.hexdigest()}.data"))


def companions(path: Path) -> list[Path]:
    """Files that :func:`named_by_content` named for ``path``, or for the file that a link leads to."""
    path = path.resolve() if path.is_symlink() else path
    ours = re.compile(re.escape(path.name) + r"\.[0-9a-f]{16}\.data")
    return [file for file in path.parent.iterdir() if ours.fullmatch(file.name)]


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Be the only one who puts several files that belong together into a folder, which takes moments."""
    if fcntl is None:
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


def _target(path: Path) -> Path:
    """Return the path to replace: the file itself where a link leads to it. Its folder is made."""
    path = path.resolve() if path.is_symlink() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _target_file(path: Path) -> Path:
    """Return the path to replace, refusing a folder by its name."""
    if path.is_dir():
        raise IsADirectoryError(f"{path} is a folder; name a file")
    return _target(path)


@contextmanager
def _fresh(path: Path, *, folder: bool) -> Iterator[Path]:
    """A file or a folder of a new name beside ``path``; nothing of that name is left when the block ends."""
    if fcntl is not None:
        _sweep(path)
    handle, temporary = _locked(path, folder=folder)
    try:
        yield temporary
    finally:
        if handle is not None:
            os.close(handle)
        _remove(temporary)


def _locked(path: Path, *, folder: bool) -> tuple[int | None, Path]:
    """Make and lock it: as long as it is locked somebody is writing it, and the lock ends with the process."""
    while True:
        temporary = path.with_name(f"{_prefix(path)}{secrets.token_hex(4)}.writing")
        if fcntl is None:  # what is killed is left
            temporary.mkdir() if folder else temporary.touch(exist_ok=False)
            return None, temporary
        if folder:
            temporary.mkdir(mode=0o700)
            try:
                handle = os.open(temporary, os.O_RDONLY)
            except FileNotFoundError:  # swept before it was opened
                continue
        else:
            # Who may not read the old file may not read the new one while it is written.
            mode = _mode_of(path)
            handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, (0o666 if mode is None else mode) | 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: what is killed is then left
            fcntl.flock(handle, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):  # swept before it was locked
            if os.path.samestat(os.fstat(handle), temporary.stat()):
                return handle, temporary
        os.close(handle)


def _sweep(path: Path) -> None:
    """Take away what writers of ``path`` left that were killed."""
    ours = re.compile(re.escape(_prefix(path)) + r"[0-9a-f]{8}\.writing")
    for left in path.parent.iterdir():
        if ours.fullmatch(left.name):
            with contextlib.suppress(OSError):  # somebody is writing it, or it is gone
                handle = os.open(left, os.O_RDONLY)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(left)
                finally:
                    os.close(handle)


def _prefix(path: Path) -> str:
    return f".{path.name.encode()[:_KEPT].decode(errors='ignore')}."


def _put(written: Path, path: Path) -> None:
    """Put a written file in its place: flushed, and with the permissions of what was there."""
    mode = _mode_of(path)
    if mode is not None:
        with contextlib.suppress(OSError):  # files of others can be replaced, but not be given to them
            if fcntl is not None:
                before = path.stat()
                os.chown(written, before.st_uid, before.st_gid)
        written.chmod(mode)
    _flush(written)
    written.replace(path)
    if fcntl is not None:  # Windows opens no folders
        _flush(path.parent)


def _mode_of(path: Path) -> int | None:
    """Who may do what with a file; None where there is none."""
    with contextlib.suppress(OSError):
        mode = path.stat().st_mode
        return stat.S_IMODE(mode) if stat.S_ISREG(mode) else None
    return None


def _flush(path: Path) -> None:
    # Windows flushes what may be written.
    handle = os.open(path, os.O_RDWR if fcntl is None else os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):  # gone with its folder
            path.unlink()
